package recommender

import (
	"encoding/binary"
	"math"
)

// pastReader goes over a past, oldest first.
type pastReader struct {
	rest   []byte
	floor  float64
	after  uint32 // minutes: histograms of what ended until then are not read
	to     uint32 // minutes
	at     entry  // the last one that was read
	cells  []cell // reused
	broken bool   // the bytes are no past
}

func (p past) reader(floor float64) pastReader {
	if len(p) == 0 {
		return pastReader{}
	}
	return pastReader{rest: p[pastHead:], floor: floor}
}

// next reads a bucket into b, and its histogram, which is good until the next call, where asked for. It is false at
// the end and at a fault.
func (r *pastReader) next(b *bucket, hist bool) bool {
	if !r.entry() {
		return false
	}
	*b = r.at.bucket
	if hist && r.to > r.after {
		b.hist = r.histogram(&r.at)
	}
	return !r.broken
}

// entry reads one. It is false at the end and at a fault.
func (r *pastReader) entry() bool {
	if len(r.rest) == 0 || r.broken {
		return false
	}
	marks := r.byte()
	step, span := r.stretch(marks & oneStretch)
	r.must(step <= math.MaxUint32/aMinute-r.to && span > 0 && span <= math.MaxUint32/aMinute)
	r.to += step
	code := r.decimal(r.at.mean)
	mean := amountOf(code) * r.floor
	r.at = entry{mean: code, total: code, even: shared, form: marks & noValues}
	b := &r.at.bucket
	*b = bucket{to: r.to * aMinute, span: span * aMinute, pods: 1, plain: r.at.form == noValues}
	if marks&ownPeak != 0 {
		b.peak = math.Float32frombits(r.near(math.Float32bits(float32(mean))))
		r.must(b.peak >= 0 && b.peak <= 1e30)
	}
	if marks&several != 0 {
		r.several()
	}
	weight, length := b.span, b.span
	if b.samples = span; marks&ownRates != 0 {
		weight, b.samples, length = r.near(weight), r.near(span), r.near(length)
	}
	r.must(weight > 0 && weight <= mostWeight)
	b.from, b.weight = b.to-min(length, b.to), float32(weight)
	b.sum = mean * float64(b.weight)
	r.at.spread(r.floor)
	if r.at.form == inValues || r.at.form == inRanges {
		r.at.cells = r.block()
	}
	return !r.broken
}

// several reads what there is of several pods.
func (r *pastReader) several() {
	pods := r.count()
	r.at.pods = pods >> 1
	r.at.total = r.decimal(r.at.mean)
	if pods&1 != 0 {
		r.at.even = r.decimal(r.at.mean)
	}
}

// spread makes what all replicas used, and their mean, of their decimals.
func (e *entry) spread(floor float64) {
	e.bucket.total = e.sum
	if e.total != e.mean {
		e.bucket.total = amountOf(e.total) * floor * float64(e.weight)
	}
	if e.bucket.even = e.bucket.total / float64(max(e.pods, 1)); e.even != shared {
		e.bucket.even = amountOf(e.even) * floor * float64(e.weight)
	}
}

// stretch is the step and the span of a bucket, minutes.
func (r *pastReader) stretch(mark byte) (step, span uint32) {
	if mark < byte(len(stretches)) {
		return stretches[mark], stretches[mark]
	}
	step = r.count()
	if span = step; mark == ownSpan {
		span = r.count()
	}
	return step, span
}

func (r *pastReader) must(ok bool) {
	if !ok {
		r.broken, r.rest = true, nil
	}
}

func (r *pastReader) byte() byte {
	if len(r.rest) == 0 {
		r.must(false)
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
}

// block is bytes with how many there are before them, both.
func (r *pastReader) block() []byte {
	n := 1
	if len(r.rest) > 0 {
		n += int(r.rest[0])
	}
	return r.bytes(n)
}

// bytes is the next n.
func (r *pastReader) bytes(n int) []byte {
	if n > len(r.rest) {
		r.must(false)
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *pastReader) count() uint32 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		return uint32(r.byte())
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxUint32 {
		r.must(false)
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}

// near is a number by its difference to another one.
func (r *pastReader) near(other uint32) uint32 {
	d, n := int64(0), 1
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		d = int64(r.rest[0]>>1) ^ -int64(r.rest[0]&1)
	} else {
		d, n = binary.Varint(r.rest)
	}
	if v := int64(other) + d; n > 0 && d >= -math.MaxUint32 && v >= 0 && v <= math.MaxUint32 {
		r.rest = r.rest[n:]
		return uint32(v)
	}
	r.must(false)
	return 0
}

// decimal is one by its difference to another one.
func (r *pastReader) decimal(other uint32) uint32 {
	code := r.near(other)
	r.must(code <= decimalMost)
	return min(code, decimalMost)
}

func (r *pastReader) float() float32 {
	v := math.Float32frombits(binary.LittleEndian.Uint32(r.bytes(4)))
	r.must(v >= 0 && v <= 1e30)
	return v
}
