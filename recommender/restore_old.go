package recommender

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// namedReading is one as version 2 wrote it, and the place of its pod. One that it did not remember is taken up again,
// as long as there is room.
func (d *decoder) namedReading(s *series) (r reading, place int) {
	pod := d.pod()
	r = reading{
		at: s.newest - d.time(0, s.newest-int64(maxWindow)-1), window: uint32(time.Duration(d.time(0, int64(maxWindow))).Round(time.Millisecond) / time.Millisecond),
		mean: float32(d.double()), peak: float32(d.double()), n: countOf(int(d.time(1, maxN))),
	}
	d.must(r.mean <= 2*maxReading && r.peak <= 2*maxReading)
	i, known := s.find(pod)
	if !known && len(s.pods) == mostPods {
		return r, lost
	}
	if !known {
		s.meet(i, pod)
		s.pods[i].at = r.at
	}
	return r, i
}

// buckets is a past as version 2 wrote it.
func (d *decoder) buckets(s *series) past {
	var p past
	last := uint32(0)
	for range d.count() {
		b := d.bucket(floorOf(s.signal()))
		if d.must(last <= b.to); d.broken {
			return nil
		}
		p, last = p.append(b, s.widths(), floorOf(s.signal())), b.to
	}
	return p
}

func (d *decoder) bucket(floor float64) bucket {
	b := bucket{to: d.uint32()}
	length := d.uint32()
	d.must(b.to > 0 && b.to <= math.MaxUint32-aMinute && length <= b.to)
	b.from = b.to - length
	b.span, b.samples, b.pods = d.uint32(), d.uint32(), d.uint32()
	b.weight, b.peak, b.sum, b.total = d.single(), d.single(), d.double(), d.double()
	d.must(b.weight > 0 && b.weight <= mostWeight)
	if b.even = b.sum; b.tellsEven() {
		b.even = b.total / float64(b.pods)
	}
	for range d.count() {
		c := cellOf(d.single(), d.single(), floor)
		n := len(b.hist)
		d.must(c.weight > 0 && (n == 0 || b.hist[n-1].top < c.top))
		b.hist = append(b.hist, c)
	}
	b.hist = newHistogram(slices.Clone(b.hist))
	return b
}

func (d *decoder) double() float64 {
	return d.amount(math.Float64frombits(binary.LittleEndian.Uint64(d.next(8))))
}

// tellsEven is whether the mean of all replicas is the total by pods in a bucket of an older version: of a joined one the
// most pods at once are known, and the total by those may be far less. There the hottest replica is taken for the mean,
// so that no skew is told that may not be.
func (b *bucket) tellsEven() bool { return b.pods > 0 && b.span <= aMinute }

// The marks of a bucket up to version 5; those of histograms are those of today.
const (
	oldSpan = 1 << iota
	oldRates
	oldLength
	oldPods
	oldPeak
	oldTotal
)

// marked is a past as versions 3 to 5 wrote it: the end of its newest bucket in 4 bytes, then buckets whose numbers are
// no differences but for their steps.
func (d *decoder) marked(written []byte, floor float64) (p past) {
	d.must(len(written) > 4)
	if d.broken {
		return nil
	}
	r := pastReader{rest: written[4:], floor: floor}
	for r.markedEntry() {
		p = p.with(&r.at, floor)
	}
	d.must(!r.broken && binary.LittleEndian.Uint32(written) == r.to)
	return p
}

// markedEntry reads one of those. Numbers that are not there are as in entry, and there are no pods.
func (r *pastReader) markedEntry() bool {
	if len(r.rest) == 0 || r.broken {
		return false
	}
	marks, step := r.byte(), r.count()
	r.must(step <= math.MaxUint32/aMinute-r.to)
	r.to += step
	span := step
	if marks&oldSpan != 0 {
		span = r.count()
	}
	r.must(span > 0 && span <= math.MaxUint32/aMinute)
	b := bucket{to: r.to * aMinute, span: span * aMinute, samples: span}
	weight, length := b.span, b.span
	if marks&oldRates != 0 {
		weight, b.samples = r.count(), r.count()
	}
	if marks&oldLength != 0 {
		length = r.count()
	}
	if marks&oldPods != 0 {
		b.pods = r.count()
	}
	if marks&oldPeak != 0 {
		b.peak = r.float()
	}
	r.at = entry{bucket: b, mean: r.markedDecimal(), form: marks & noValues}
	if r.at.total = r.at.mean; marks&oldTotal != 0 {
		r.at.total = r.markedDecimal()
	}
	if r.at.even = r.at.mean; b.tellsEven() {
		r.at.even = shared
	}
	r.must(weight > 0 && weight <= mostWeight)
	r.at.from, r.at.weight = b.to-min(length, b.to), float32(weight)
	if r.at.form == inValues || r.at.form == inRanges {
		r.at.cells = r.block()
	}
	return !r.broken
}

func (r *pastReader) markedDecimal() uint32 {
	code := uint24(r.bytes(3))
	r.must(code <= decimalMost)
	return min(code, decimalMost)
}
