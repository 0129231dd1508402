package recommender

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
	"unique"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// History is what was measured, per workload, container and signal; a rollout does not end it.
// The newest minutes are kept one by one, ten at least where percentiles are read, and older time coarser and coarser (see
// units), up to Retention. It is not safe for use by several goroutines at once.
type History struct {
	workloads map[key][]series // each sorted by container and signal
	pace      Pace
}

// NewHistory is a history of nothing.
func NewHistory() *History {
	return &History{workloads: map[key][]series{}}
}

// key is a workload's Ref. Where it is, as many others are, is held once.
type key struct {
	in   unique.Handle[place]
	name string
}

type place struct{ cluster, namespace, kind string }

func keyOf(r fleet.Ref) key {
	return key{unique.Make(place{r.Cluster, r.Namespace, r.Kind}), r.Name}
}

func (k key) ref() fleet.Ref {
	in := k.in.Value()
	return fleet.Ref{Cluster: in.cluster, Namespace: in.namespace, Kind: in.kind, Name: k.name}
}

// of is the series of a workload, in their place until another begins.
func (h *History) of(ref fleet.Ref) []series { return h.workloads[keyOf(ref)] }

// Hurry has plans go by another pace. It comes before the first sample, and no checkpoint of another pace may be
// restored: its times are none of this one's.
func (h *History) Hurry(p Pace) { h.pace = p }

// Add counts one sample in. Samples of one pod must come in the order of their ends, and those of
// different pods less than two minutes late against each other: ErrRepeated for one that is not
// newer than its pod's last, another error for one that is wrong in itself or too late. The history
// is not changed then.
func (h *History) Add(s fleet.Sample, now time.Time) error {
	if err := check(s, now); err != nil {
		return fmt.Errorf("%s of %s pod %s: %w", s.Signal, s.Ref, s.Pod, err)
	}
	r := reading{
		at: s.At.UnixNano(), window: uint32(s.Window.Round(time.Millisecond) / time.Millisecond),
		mean: float32(s.Mean), peak: float32(max(s.Mean, s.Max)), n: countOf(s.N),
	}
	list := h.of(s.Ref)
	i, known := find(list, s.Container, s.Signal)
	if !known {
		list = h.begin(s, list, i)
	}
	to := &list[i]
	to.hour = uint16(h.pace.hour()) // a restored one knows none
	if s.Signal == fleet.Memory {
		to.image = crc32.ChecksumIEEE([]byte(s.Image))
	}
	if err := to.add(idOf(s.Pod), r, list); err != nil {
		return err
	}
	switch {
	case s.Signal == fleet.OOM && s.Mean > 0:
		h.killed(s)
		h.restarted(s)
	case s.Signal == fleet.CPU && to.images().fresh(s.Image):
		to.profile().Renewed(h.pace.planned(s.At.Unix()))
	case s.Signal == fleet.Requests:
		h.answered(to.load(), s)
	}
	return nil
}

// countOf is a number of readings as a reading keeps it.
func countOf(n int) uint16 { return uint16(min(n, math.MaxUint16)) }

// begin adds a series at place i of a workload's list. Names are copies, for those of a sample may be parts of
// longer texts, and each is held once.
func (h *History) begin(s fleet.Sample, list []series, i int) []series {
	room := slices.Grow([]series(nil), len(list)+1) // slices.Insert would double it
	list = slices.Insert(append(room, list...), i, newSeries(s.Container, s.Signal))
	k := keyOf(s.Ref)
	k.name = strings.Clone(k.name)
	h.workloads[k] = list
	return list
}

// killed tells the memory of a container of a kill: it wanted more than its limit, as far as that is known, and
// more than its peak of the day.
func (h *History) killed(s fleet.Sample) {
	if m, ok := h.series(s.Ref, s.Container, fleet.Memory); ok {
		var limit float32
		if i, known := m.find(idOf(s.Pod)); known {
			limit = m.pods[i].limit
		}
		m.memory().OOM(h.pace.planned(s.At.Unix()), float64(limit), crc32.ChecksumIEEE([]byte(s.Image)))
	}
}

// The bounds of a sample that makes sense.
const (
	skew       = 30 * time.Second // that another machine's clock may be ahead
	maxWindow  = 24 * time.Hour
	maxReading = 1e18 // an exbibyte in bytes
	maxN       = 1_000_000
)

func check(s fleet.Sample, now time.Time) error {
	switch {
	case s.Ref.Name == "" || s.Pod == "":
		return errors.New("without a workload or a pod")
	case !slices.Contains(signals(), s.Signal):
		return errors.New("is not a known signal")
	case !(s.Mean >= 0 && s.Mean <= maxReading && s.Max >= 0 && s.Max <= maxReading): // NaN too
		return fmt.Errorf("mean %g and max %g are not amounts", s.Mean, s.Max)
	case s.N < 1 || s.N > maxN:
		return fmt.Errorf("%d readings", s.N)
	case s.Window < 0 || s.Window > maxWindow:
		return fmt.Errorf("window of %s", s.Window)
	case s.At.Unix() <= int64(maxWindow/time.Second) || s.At.Unix() > math.MaxUint32-int64(maxWindow/time.Second):
		return errors.New("without a time")
	case s.At.After(now.Add(skew)):
		return fmt.Errorf("ends %s in the future", s.At.Sub(now))
	}
	return nil
}

func signals() []fleet.Signal {
	return []fleet.Signal{fleet.CPU, fleet.Memory, fleet.Requests, fleet.Latency, fleet.Throttling, fleet.OOM, fleet.GPU, fleet.GPUMemory}
}

// find is the place of a series in its workload's list, and whether it is there.
func find(list []series, container string, signal fleet.Signal) (int, bool) {
	return sort.Find(len(list), func(i int) int {
		of := list[i].of.Value()
		return cmp.Or(strings.Compare(container, of.container), strings.Compare(string(signal), string(of.signal)))
	})
}

func (h *History) series(ref fleet.Ref, container string, signal fleet.Signal) (*series, bool) {
	list := h.of(ref)
	if i, ok := find(list, container, signal); ok {
		return &list[i], true
	}
	return nil, false
}

// Refs is every workload that anything is known of, in the fixed order of Refs.
func (h *History) Refs() []fleet.Ref {
	out := make([]fleet.Ref, 0, len(h.workloads))
	for k := range h.workloads {
		out = append(out, k.ref())
	}
	slices.SortFunc(out, fleet.Ref.Compare)
	return out
}

// Last is the end of the newest sample of all; the zero time when there is none.
func (h *History) Last() time.Time {
	var last time.Time
	for _, all := range h.workloads {
		if at, ok := lastOf(all); ok && at.After(last) {
			last = at
		}
	}
	return last
}

// LastOf is the end of the newest sample of one workload.
func (h *History) LastOf(ref fleet.Ref) (time.Time, bool) {
	return lastOf(h.of(ref))
}

func lastOf(all []series) (time.Time, bool) {
	var newest int64
	for i := range all {
		newest = max(newest, all[i].newest)
	}
	if newest == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, newest).UTC(), true
}

// Forget drops what ended before the given time, to the coarseness that is kept, and every workload
// of which nothing is left.
func (h *History) Forget(before time.Time) {
	for k, list := range h.workloads {
		list = slices.DeleteFunc(list, func(s series) bool { return s.newest < before.UnixNano() })
		for i := range list {
			s := &list[i]
			s.past = s.past.after(before.Unix(), floorOf(s.signal()))
		}
		if h.workloads[k] = list; len(list) == 0 {
			delete(h.workloads, k)
		}
	}
}
