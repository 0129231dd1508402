package recommender

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"
	"unique"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// ErrRepeated tells that a sample is not newer than the last one of its pod, so that it, or one that
// overlaps it, has been counted: nothing to mend.
var ErrRepeated = errors.New("not newer than the last sample of its pod")

// series is one signal of one container, or of a workload's pods, over time.
type series struct {
	of      unique.Handle[subject]
	newest  int64     // end of the newest sample, unix nanoseconds
	pods    []seen    // sorted by id; those of the last hour and of open slots
	open    []reading // of slots that may still grow, sorted by end, then pod
	past    past      // what is closed
	learned any       // by signal: *usage of CPU, *sizing.MemoryProfile, *load of requests; nil: nothing
	image   uint32    // of memory, a hash of what the newest sample ran
	hour    uint16    // its Pace, seconds; 0: an hour's
	plain   bool      // nobody asks for its percentiles: what is closed is kept without histograms
}

// subject is what is measured; that of many series is held once.
type subject struct {
	container string
	signal    fleet.Signal
}

// usage is what is learned of CPU.
type usage struct {
	sizing.Profile        // the peak of each hour
	images         images // what ran lately
}

// newSeries is a series of nothing.
func newSeries(container string, signal fleet.Signal) series {
	s := series{of: unique.Make(subject{container, signal})}
	switch signal {
	case fleet.CPU:
		s.learned = new(usage)
	case fleet.Memory:
		s.learned = new(sizing.MemoryProfile)
	case fleet.Requests:
		s.learned = newLoad()
	}
	return s
}

func (s *series) container() string    { return s.of.Value().container }
func (s *series) signal() fleet.Signal { return s.of.Value().signal }
func (s *series) pace() Pace           { return Pace(s.hour) * Pace(time.Second) }

// profile is that of CPU; nil for other signals.
func (s *series) profile() *sizing.Profile {
	if t, ok := s.learned.(*usage); ok {
		return &t.Profile
	}
	return nil
}

// images is what ran lately where the signal is CPU.
func (s *series) images() *images { return &s.learned.(*usage).images }

// memory is the peaks and kills of memory; nil for other signals.
func (s *series) memory() *sizing.MemoryProfile {
	m, _ := s.learned.(*sizing.MemoryProfile)
	return m
}

// load is the course of requests, and what one replica answers; nil for other signals.
func (s *series) load() *load {
	l, _ := s.learned.(*load)
	return l
}

// widths is how finely values are told apart: CPU and what is like it are asked for their percentiles, memory for its
// peak.
func (s *series) widths() widths {
	if s.plain {
		return widths{}
	}
	if s.signal() == fleet.Memory || s.signal() == fleet.GPUMemory {
		return widths{4, 4, 4, 0}
	}
	return fine
}

// images are the hashes of the last images that a container ran; several do during a rollout.
type images [4]uint32

// fresh tells whether an image was not seen before, and remembers it. The first one is not fresh: after a restart
// nothing is remembered.
func (m *images) fresh(image string) bool {
	hash := crc32.ChecksumIEEE([]byte(image))
	if image == "" || slices.Contains(m[:], hash) {
		return false
	}
	first := *m == images{}
	copy(m[1:], m[:])
	m[0] = hash
	return !first
}

// seen is a pod that was measured.
type seen struct {
	pod   podID
	at    int64   // end of its last sample, unix nanoseconds
	born  uint32  // when it started, unix seconds; 0: it is not known, or was long ago
	limit float32 // of what the series measures, in its unit; 0: none, or not known
}

// podID stands for the name of a pod, of which nothing else is asked: its FNV-1a hash. Of 10,000 pods of a workload within
// an hour two are taken for one by a chance of 1 in 400 billion.
type podID uint64

func idOf(pod string) podID {
	id := podID(14695981039346656037)
	for i := range len(pod) {
		id = (id ^ podID(pod[i])) * 1099511628211
	}
	return id
}

// reading is a sample of an open slot.
type reading struct {
	at         int64   // unix nanoseconds
	window     uint32  // milliseconds
	mean, peak float32 // in the signal's unit
	n          uint16  // readings in it; of more it counts so many
	pod        uint16  // its place in the series' pods
}

// mostPods is how many pods of a series are told apart within an hour.
const mostPods = math.MaxUint16 + 1

// slot is a stretch of time in which pods are compared: (end - length, end], in unix nanoseconds.
type slot struct{ end, length int64 }

// slot is the one the reading falls in: whole minutes, as many as its window needs.
func (r reading) slot(p Pace) slot {
	minute := p.minute()
	length := minute * max(1, (r.lasted()+minute-1)/minute)
	return slot{end: ((r.at-1)/length + 1) * length, length: length}
}

// lasted is the reading's window in nanoseconds.
func (r reading) lasted() int64 { return int64(r.window) * int64(time.Millisecond) }

// add counts a reading of a pod in. Others are the series of its workload, which may know the pod.
func (s *series) add(pod podID, r reading, others []series) error {
	i, known := s.find(pod)
	if known && r.at <= s.pods[i].at {
		return ErrRepeated
	}
	if r.slot(s.pace()).end+s.pace().lateness() <= s.newest {
		return fmt.Errorf("ended %s before the newest of its kind", time.Duration(s.newest-r.at))
	}
	if !known && len(s.pods) == mostPods && !s.vacated(r.at, others) {
		return fmt.Errorf("is one of more than %d pods within an hour", mostPods)
	}
	if !known {
		i, _ = s.find(pod)
		s.meet(i, pod)
		if s.age(r.at-r.lasted()) > s.pace().shortened(startUp) {
			s.pods[i].born = uint32((r.at - r.lasted()) / int64(time.Second)) // the others are older
		}
	}
	s.pods[i].at = r.at
	if before := s.newest / s.pace().minute(); r.at > s.newest && before != r.at/s.pace().minute() {
		s.advance(r.at, others) // before the reading takes up room: its own slot stays open
		i, _ = s.find(pod)
	}
	s.newest = max(s.newest, r.at)
	r.pod = uint16(i)
	s.keep(r)
	return nil
}

// inTurn orders the readings of open slots.
func inTurn(a, b reading) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.pod, b.pod)) }

// keep adds a reading to those of open slots.
func (s *series) keep(r reading) {
	j, _ := slices.BinarySearchFunc(s.open, r, inTurn)
	if len(s.open) == cap(s.open) { // slices.Insert would double it
		s.open = append(make([]reading, 0, len(s.open)+1+len(s.open)/4), s.open...)
	}
	s.open = slices.Insert(s.open, j, r)
}

// find is the place of a pod, and whether it is there.
func (s *series) find(pod podID) (int, bool) {
	return slices.BinarySearchFunc(s.pods, pod, func(p seen, pod podID) int { return cmp.Compare(p.pod, pod) })
}

// meet takes up a pod at place i.
func (s *series) meet(i int, pod podID) {
	s.pods = slices.Insert(s.pods, i, seen{pod: pod})
	for j := range s.open {
		if int(s.open[j].pod) >= i {
			s.open[j].pod++
		}
	}
}

// leaving marks the pods that were silent for an hour before a time, unix nanoseconds, and that no slot waits for then;
// nil where all were heard.
func (s *series) leaving(at int64) []bool {
	silent := func(p seen) bool { return p.at < at-int64(time.Hour) }
	if !slices.ContainsFunc(s.pods, silent) {
		return nil
	}
	gone := make([]bool, len(s.pods))
	for i, p := range s.pods {
		gone[i] = silent(p)
	}
	for _, r := range s.open {
		if r.slot(s.pace()).end+s.pace().lateness() > at {
			gone[r.pod] = false
		}
	}
	return gone
}

// vacated tells whether some pods are none of the last hour at a time, and forgets them. Where that is not so nothing
// is done, for the sample that asked is refused.
func (s *series) vacated(at int64, others []series) bool {
	if !slices.Contains(s.leaving(max(at, s.newest)), true) {
		return false
	}
	s.advance(at, others)
	return true
}

// part forgets the pods that were silent for an hour and that no open slot waits for, in one pass: they may be many.
func (s *series) part() {
	gone := s.leaving(s.newest)
	if gone == nil {
		return
	}
	places, stay := make([]uint16, len(s.pods)), s.pods[:0]
	for i, p := range s.pods {
		if places[i] = uint16(len(stay)); !gone[i] {
			stay = append(stay, p)
		}
	}
	s.pods = stay
	for j := range s.open {
		s.open[j].pod = places[s.open[j].pod]
	}
}

// advance makes a time the newest, unless it is older, and settles what has ended until then.
func (s *series) advance(to int64, others []series) {
	before := s.newest
	s.newest = max(before, to)
	s.settle(before, others)
}

// settle closes the slots that no sample is expected for any more, and lets the past grow coarser when a tick has
// begun since.
func (s *series) settle(before int64, others []series) {
	var few [16]reading
	in := few[:0]
	for len(s.open) > 0 {
		next := earliest(s.open, s.pace())
		if next.end+s.pace().lateness() > s.newest {
			break
		}
		in, s.open = take(in[:0], s.open, next, s.pace())
		b, hot := summary(in, next)
		if !s.plain {
			b.hist = cellsOf(hot, float64(b.weight), floorOf(s.signal()))
		}
		s.learn(in, b, next, others)
		s.past = s.past.append(b, s.widths(), floorOf(s.signal()))
	}
	const ticks = aTick * int64(time.Second)
	if before/ticks != s.newest/ticks {
		s.past = s.past.coarsened(s.newest/ticks*aTick, s.widths(), floorOf(s.signal()))
	}
	s.part()
}

// busiest is the use of the busiest minute in a bucket of the hottest replica: what a request is judged by. A
// shorter burst is what CPU above the request is for.
func (b bucket) busiest(p Pace) float64 {
	if int64(b.span)*int64(time.Second) > p.minute() {
		return float64(b.peak)
	}
	return b.sum / float64(b.weight)
}

// latest is the use of the busiest minute that no closed slot holds yet.
func (s *series) latest() (most float64) {
	for _, r := range s.open {
		most = max(most, r.busiest(s.pace()))
	}
	return most
}

// earliest is the slot that ends first, of the shorter ones first.
func earliest(open []reading, p Pace) slot {
	first := open[0].slot(p)
	for _, r := range open[1:] {
		if s := r.slot(p); s.end < first.end || s.end == first.end && s.length < first.length {
			first = s
		}
	}
	return first
}

// take parts the readings into those of slot s, appended to in, and the rest. It reuses open.
func take(in, open []reading, s slot, p Pace) (taken, rest []reading) {
	rest = open[:0]
	for _, r := range open {
		if r.slot(p) == s {
			in = append(in, r)
			continue
		}
		rest = append(rest, r)
	}
	clear(open[len(rest):])
	return in, rest
}
