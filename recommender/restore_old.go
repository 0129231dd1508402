package recommender

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// namedReading is one as version 2 wrote it. A pod that it did not remember is taken up again.
func (d *decoder) namedReading(s *series) reading {
	pod := d.pod()
	r := reading{
		at: s.newest - d.time(0, s.newest-int64(maxWindow)-1), window: uint32(time.Duration(d.time(0, int64(maxWindow))).Round(time.Millisecond) / time.Millisecond),
		mean: float32(d.double()), peak: float32(d.double()), n: countOf(int(d.time(1, maxN))),
	}
	d.must(r.mean <= 2*maxReading && r.peak <= 2*maxReading)
	i, known := s.find(pod)
	if d.must(known || len(s.pods) < mostPods); !known {
		s.meet(i, pod)
		s.pods[i].at = r.at
	}
	r.pod = uint16(i)
	return r
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
	d.must(b.weight > 0)
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
