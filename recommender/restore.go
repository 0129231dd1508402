package recommender

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"slices"
	"strings"

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

func decode(data []byte) (map[fleet.Ref][]*series, error) {
	body, ok := strings.CutPrefix(string(data), magic)
	if !ok || len(body) < 1+crc32.Size {
		return nil, errBroken
	}
	if v := body[0]; v != version && v != trackless {
		return nil, fmt.Errorf("the checkpoint is of version %d, this program reads %d and %d", v, trackless, version)
	}
	end := len(data) - crc32.Size
	if crc32.ChecksumIEEE(data[:end]) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, errBroken
	}
	return decodeBody(data[len(magic)+1:end], body[0] != trackless)
}

// trackless is the version of checkpoints that know no tracks of CPU and memory.
const trackless = 1

func decodeBody(body []byte, tracks bool) (map[fleet.Ref][]*series, error) {
	d := decoder{rest: body, tracks: tracks}
	out := map[fleet.Ref][]*series{}
	for range d.count() {
		ref := d.ref()
		var list []*series
		for range d.count() {
			s := d.series()
			i, known := find(list, s.container, s.signal)
			d.must(!known && i == len(list))
			list = append(list, s)
		}
		_, known := out[ref]
		d.must(!known && len(list) > 0)
		if d.broken {
			return nil, errBroken
		}
		out[ref] = list
	}
	d.must(len(d.rest) == 0)
	if d.broken {
		return nil, errBroken
	}
	return out, nil
}

// decoder reads what an encoder wrote. After the first fault it gives zeros and is broken.
type decoder struct {
	rest   []byte
	tracks bool // each series of CPU or memory ends with its track
	broken bool
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

func (d *decoder) double() float64 {
	return d.amount(math.Float64frombits(binary.LittleEndian.Uint64(d.next(8))))
}

func (d *decoder) single() float32 {
	return float32(d.amount(float64(math.Float32frombits(binary.LittleEndian.Uint32(d.next(4))))))
}

func (d *decoder) series() *series {
	s := newSeries(d.name(), fleet.Signal(d.name()))
	s.newest = d.time(1+int64(maxWindow), math.MaxUint32*1e9-int64(maxWindow))
	d.must(slices.Contains(signals(), s.signal))
	for range d.count() {
		s.pods = append(s.pods, seen{d.name(), s.newest - d.time(0, s.newest)})
		i := len(s.pods) - 1
		d.must(i == 0 || s.pods[i-1].pod < s.pods[i].pod)
	}
	for range d.count() {
		s.open = append(s.open, reading{
			pod: d.name(), at: s.newest - d.time(0, s.newest-int64(maxWindow)-1), window: d.time(0, int64(maxWindow)),
			mean: d.double(), peak: d.double(), n: d.time(1, maxN),
		})
		i := len(s.open) - 1
		d.must(s.open[i].mean <= maxReading && s.open[i].peak <= maxReading)
		d.must(i == 0 || s.open[i-1].at <= s.open[i].at)
	}
	for range d.count() {
		s.closed = append(s.closed, d.bucket())
		i := len(s.closed) - 1
		d.must(i == 0 || s.closed[i-1].to <= s.closed[i].to)
	}
	if d.tracks && s.profile != nil {
		d.must(s.profile.UnmarshalBinary([]byte(d.name())) == nil)
	}
	if d.tracks && s.memory != nil {
		d.must(s.memory.UnmarshalBinary([]byte(d.name())) == nil)
	}
	return s
}

func (d *decoder) bucket() bucket {
	b := bucket{to: d.uint32()}
	length := d.uint32()
	d.must(b.to > 0 && length <= b.to)
	b.from = b.to - length
	b.span, b.samples, b.pods = d.uint32(), d.uint32(), d.uint32()
	b.weight, b.peak, b.sum, b.total = d.single(), d.single(), d.double(), d.double()
	d.must(b.weight > 0)
	for range d.count() {
		c := cell{d.single(), d.single()}
		n := len(b.hist)
		d.must(c.weight > 0 && (n == 0 || b.hist[n-1].top < c.top))
		b.hist = append(b.hist, c)
	}
	return b
}
