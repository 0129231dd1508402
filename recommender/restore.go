package recommender

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// UnmarshalBinary puts what MarshalBinary wrote in the place of everything that h holds. On an error
// h is not changed.
func (h *History) UnmarshalBinary(data []byte) error {
	restored, err := decode(data)
	if err != nil {
		return fmt.Errorf("restore history: %w", err)
	}
	h.workloads = restored
	return nil
}

// Restore adds the workloads of a Checkpoint to h. What h held of the same workloads is replaced, so
// checkpoints are restored before samples are added. On an error h is not changed.
func (h *History) Restore(checkpoint []byte) error {
	restored, err := decode(checkpoint)
	if err != nil {
		return fmt.Errorf("restore history: %w", err)
	}
	maps.Copy(h.workloads, restored)
	return nil
}

var errBroken = errors.New("the checkpoint is truncated or corrupt")

func decode(data []byte) (map[key][]series, error) {
	body, ok := strings.CutPrefix(string(data), magic)
	if !ok || len(body) < 1+crc32.Size {
		return nil, errBroken
	}
	if v := body[0]; v < trackless || v > version {
		return nil, fmt.Errorf("the checkpoint is of version %d, this program reads %d to %d", v, trackless, version)
	}
	end := len(data) - crc32.Size
	if crc32.ChecksumIEEE(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, errBroken
	}
	return decodeBody(data[len(magic)+1:end], body[0])
}

// The versions of older checkpoints.
const (
	trackless = 1 // know no tracks of CPU and memory
	bucketed  = 2 // and before: each bucket is written by itself, and each open reading has the name of its pod
	loadless  = 3 // and before: know no loads of requests
	named     = 5 // and before: pods are written by their names, and a past as marked reads it
)

func decodeBody(body []byte, of byte) (map[key][]series, error) {
	d := decoder{rest: body, version: of}
	out := map[key][]series{}
	var list []series // reused
	for range d.count() {
		ref := keyOf(d.ref())
		list = list[:0]
		for range d.count() {
			s := d.series()
			i, known := find(list, s.container(), s.signal())
			d.must(!known && i == len(list))
			list = append(list, s)
		}
		_, known := out[ref]
		d.must(!known && len(list) > 0)
		if d.broken {
			return nil, errBroken
		}
		out[ref] = slices.Clone(list) // append may have doubled it
	}
	d.must(len(d.rest) == 0)
	if d.broken {
		return nil, errBroken
	}
	return out, nil
}

// decoder reads what an encoder wrote. After the first fault it gives zeros and is broken.
type decoder struct {
	rest    []byte
	version byte
	broken  bool
}

func (d *decoder) must(ok bool) {
	if !ok {
		d.broken, d.rest = true, nil
	}
}

func (d *decoder) next(n int) []byte {
	if n > len(d.rest) {
		d.must(false)
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > most {
		d.must(false)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count is a number of things that follow, each of which takes a byte at least.
func (d *decoder) count() int { return int(d.uint(uint64(len(d.rest)))) }

func (d *decoder) uint32() uint32 { return uint32(d.uint(math.MaxUint32)) }

func (d *decoder) name() string { return string(d.next(d.count())) }

func (d *decoder) ref() fleet.Ref {
	return fleet.Ref{Cluster: d.name(), Namespace: d.name(), Kind: d.name(), Name: d.name()}
}

func (d *decoder) time(least, most int64) int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 || v < least || v > most {
		d.must(false)
		return least
	}
	d.rest = d.rest[n:]
	return v
}

// amount checks that v is a number from 0 to 1e30, so that no sum of them overflows.
func (d *decoder) amount(v float64) float64 {
	if !(v >= 0 && v <= 1e30) {
		d.must(false)
		return 0
	}
	return v
}

func (d *decoder) single() float32 {
	return float32(d.amount(float64(math.Float32frombits(binary.LittleEndian.Uint32(d.next(4))))))
}

func (d *decoder) series() series {
	s := newSeries(d.name(), fleet.Signal(d.name()))
	s.newest = d.time(1+int64(maxWindow), math.MaxUint32*1e9-int64(maxWindow))
	d.must(slices.Contains(signals(), s.signal()))
	places := d.pods(&s)
	d.open(&s, places)
	if d.version <= bucketed {
		s.past = d.buckets(&s)
	} else {
		s.past, s.plain = d.past(floorOf(s.signal()))
	}
	if d.version > trackless && s.profile() != nil {
		d.must(s.profile().UnmarshalBinary([]byte(d.name())) == nil)
	}
	if d.version > trackless && s.memory() != nil {
		d.must(s.memory().UnmarshalBinary([]byte(d.name())) == nil)
	}
	if d.version > loadless && s.load() != nil {
		d.load(s.load())
	}
	return s
}

// pods are those of a series: of more than are told apart, as older versions did, the newest. Places are where they are,
// in the order in which they were written; lost where they are not.
func (d *decoder) pods(s *series) (places []int) {
	var written []podID
	for range d.count() {
		p := seen{pod: d.pod(), at: s.newest - d.time(0, s.newest)}
		s.pods, written = append(s.pods, p), append(written, p.pod)
	}
	slices.SortFunc(s.pods, byID)
	for i := range s.pods {
		d.must(i == 0 || s.pods[i-1].pod < s.pods[i].pod)
	}
	s.pods = newestOf(s.pods)
	for _, pod := range written {
		places = append(places, s.placeOf(pod))
	}
	return places
}

// lost is the place of a pod that is not known.
const lost = -1

func (s *series) placeOf(pod podID) int {
	if i, known := s.find(pod); known {
		return i
	}
	return lost
}

func byID(a, b seen) int { return cmp.Compare(a.pod, b.pod) }

// newestOf is as many of some pods as are told apart, by id.
func newestOf(pods []seen) []seen {
	if len(pods) <= mostPods {
		return pods
	}
	slices.SortFunc(pods, func(a, b seen) int { return cmp.Or(cmp.Compare(b.at, a.at), byID(a, b)) })
	pods = slices.Clone(pods[:mostPods])
	slices.SortFunc(pods, byID)
	return pods
}

func (d *decoder) pod() podID {
	if d.version <= named {
		return idOf(d.name())
	}
	return podID(binary.LittleEndian.Uint64(d.next(8)))
}

// reading is one of an open slot, and the place of its pod.
func (d *decoder) reading(s *series, places []int) (r reading, pod int) {
	if d.version <= bucketed {
		return d.namedReading(s)
	}
	pod = d.place(places)
	r = reading{
		at:     s.newest - d.time(0, s.newest-int64(maxWindow)-1),
		window: uint32(d.uint(uint64(maxWindow / time.Millisecond))), mean: d.single(), peak: d.single(), n: countOf(int(d.uint(maxN))),
	}
	d.must(r.mean <= 2*maxReading && r.peak <= 2*maxReading && r.n > 0)
	return r, pod
}

// open is the readings of open slots, without those of pods that are lost.
func (d *decoder) open(s *series, places []int) {
	last := int64(0)
	for range d.count() {
		r, pod := d.reading(s, places)
		d.must(last <= r.at)
		if last = r.at; pod != lost {
			r.pod = uint16(pod)
			s.open = append(s.open, r)
		}
	}
	slices.SortStableFunc(s.open, inTurn)
}

// place is where a pod is that was written as one of some.
func (d *decoder) place(places []int) int {
	i := d.uint32()
	if d.must(int(i) < len(places)); d.broken {
		return lost
	}
	return places[i]
}

// past is one as it is kept, and checked; plain where its newest bucket is.
func (d *decoder) past(floor float64) (p past, plain bool) {
	if p = past(d.name()); len(p) == 0 {
		return nil, false
	}
	if d.version <= named {
		p = d.marked(p, floor)
	}
	d.must(len(p) > pastHead)
	if d.broken {
		return nil, false
	}
	r := p.reader(floor)
	for b := (bucket{}); r.next(&b, true); {
		plain = b.plain
	}
	d.must(!r.broken && binary.LittleEndian.Uint32(p) == r.to && uint24(p[4:]) == r.at.mean)
	return p, plain
}
