package recommender

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// past is the closed buckets of a series, oldest first, in some 6 to 30 bytes each. It begins with the end of the
// newest, in minutes since 1970, in 4 bytes; an empty past is nil. A bucket is, counts as uvarints:
//
//	marks     a byte: which of the following are there
//	step      minutes from the end of the one before, or from 1970
//	span      minutes; else it is the step
//	weight    seconds, and
//	samples   else it weighs its span and had one sample a minute
//	length    seconds from `from` to `to`; else it is the span
//	pods      else 0
//	peak      4 bytes, a float; else 0
//	mean      3 bytes, a decimal of floors
//	total     its mean, a decimal of floors; else it is the mean
//	histogram its length in bytes, and see appendCells; else all of it is the mean, or, with both marks, it is not kept
type past []byte

// The marks of a bucket.
const (
	ownSpan = 1 << iota
	ownRates
	ownLength
	ownPods
	ownPeak
	ownTotal
	inValues // its histogram is values
	inRanges // its histogram is ranges
	noValues = inValues | inRanges
)

const (
	pastHead = 4
	spare    = 16 // bytes of room for the buckets of the next minutes
)

// append is p and one more bucket, which does not end before the last.
func (p past) append(b bucket, fine widths, floor float64) past {
	if len(p) == 0 {
		p = make(past, pastHead, pastHead+spare)
	}
	var room [300]byte
	to := (b.to + aMinute - 1) / aMinute
	written := past(room[:0]).appendBucket(b, to-binary.LittleEndian.Uint32(p), fine, floor)
	if cap(p)-len(p) < len(written) {
		p = append(slices.Grow(past(nil), len(p)+len(written)+spare), p...) // slices.Grow uses what the allocator gives
	}
	binary.LittleEndian.PutUint32(p, to)
	return append(p, written...)
}

// appendBucket appends one that ends so many minutes after the one before.
func (p past) appendBucket(b bucket, step uint32, fine widths, floor float64) past {
	span, weight := max((b.span+aMinute-1)/aMinute, 1), uint32(max(math.Round(float64(b.weight)), 1))
	length := (b.to+aMinute-1)/aMinute*aMinute - b.from
	mean, total := decimalOf(b.sum/float64(b.weight)/floor), decimalOf(b.total/float64(b.weight)/floor)
	at, marks := len(p), byte(0)
	p = binary.AppendUvarint(append(p, 0), uint64(step))
	own := func(mark byte, is bool, counts ...uint32) {
		if !is {
			return
		}
		marks |= mark
		for _, v := range counts {
			p = binary.AppendUvarint(p, uint64(v))
		}
	}
	own(ownSpan, span != step, span)
	own(ownRates, weight != span*aMinute || b.samples != span, weight, b.samples)
	own(ownLength, length != span*aMinute, length)
	own(ownPods, b.pods > 0, b.pods)
	if b.peak > 0 {
		marks |= ownPeak
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(b.peak))
	}
	p = append(p, byte(mean), byte(mean>>8), byte(mean>>16))
	if total != mean {
		marks |= ownTotal
		p = append(p, byte(total), byte(total>>8), byte(total>>16))
	}
	form, p := p.appendCells(b.hist, fine, mean, floor)
	p[at] = marks | form
	return p
}

// placed is a bucket without its histogram, and where it stands in a past.
type placed struct {
	bucket
	from, to int
}

// placed appends all of them.
func (p past) placed(all []placed, floor float64) []placed {
	r := p.reader(floor)
	at := pastHead
	for b := (bucket{}); r.next(&b, false); {
		end := len(p) - len(r.rest)
		all, at = append(all, placed{b, at, end}), end
	}
	return all
}

// coarsened joins the buckets of each unit, at a time in unix seconds, and drops what is older than Retention. What
// stays as it was is copied. What has a histogram and what has none are not joined: half of one is none.
func (p past) coarsened(now int64, fine widths, floor float64) past {
	var few [64]placed
	all := p.placed(few[:0], floor)
	unmatched(all)
	var room [2048]byte
	out := past(room[:0])
	r := pastReader{floor: floor}
	var parts []cell
	for i, j := 0, 0; i < len(all); i = j {
		unit := unitAt(int64(all[i].bucket.to), now, all[i].plain)
		for j = i + 1; j < len(all) && all[j].plain == all[i].plain && int64(all[j].bucket.to-1)/unit == int64(all[i].bucket.to-1)/unit; j++ {
		}
		if now-int64(all[j-1].bucket.to) > int64(Retention/time.Second) {
			continue
		}
		if j == i+1 && len(out) > 0 {
			out = append(out, p[all[i].from:all[i].to]...)
			binary.LittleEndian.PutUint32(out, all[i].bucket.to/aMinute)
			continue
		}
		sum := all[i].bucket
		parts = parts[:0]
		for k := i; k < j; k++ {
			if k > i {
				sum.add(&all[k].bucket)
			}
			parts = append(parts, r.histogramAt(p, all[k])...)
		}
		sum.hist = newHistogram(parts)
		out = out.append(sum, fine, floor)
	}
	if len(out) == 0 {
		return nil
	}
	return append(slices.Grow(past(nil), len(out)+spare), out...)
}

// pastReader goes over a past, oldest first.
type pastReader struct {
	rest   []byte
	floor  float64
	after  uint32 // minutes: histograms of what ended until then are not read
	to     uint32 // minutes
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
	if len(r.rest) == 0 || r.broken {
		return false
	}
	marks, step := r.byte(), r.count()
	r.must(step <= math.MaxUint32/aMinute-r.to)
	r.to += step
	span := step
	if marks&ownSpan != 0 {
		span = r.count()
	}
	r.must(span > 0 && span <= math.MaxUint32/aMinute)
	*b = bucket{to: r.to * aMinute, span: span * aMinute, samples: span}
	weight, length := b.span, b.span
	if marks&ownRates != 0 {
		weight, b.samples = r.count(), r.count()
	}
	if marks&ownLength != 0 {
		length = r.count()
	}
	if marks&ownPods != 0 {
		b.pods = r.count()
	}
	if marks&ownPeak != 0 {
		b.peak = r.float()
	}
	mean := r.decimal()
	total := mean
	if marks&ownTotal != 0 {
		total = r.decimal()
	}
	r.must(weight > 0)
	b.from, b.weight = b.to-min(length, b.to), float32(weight)
	b.sum, b.total = mean*float64(b.weight), total*float64(b.weight)
	b.plain = marks&noValues == noValues
	b.hist = r.histogram(marks, mean, b.weight, hist && r.to > r.after)
	return !r.broken
}

// histogramAt is that of one bucket.
func (r *pastReader) histogramAt(p past, at placed) histogram {
	var b bucket
	r.rest = p[at.from:at.to]
	r.to = 0
	r.next(&b, true)
	return b.hist
}

func (r *pastReader) must(ok bool) {
	if !ok {
		r.broken, r.rest = true, nil
	}
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

func (r *pastReader) byte() byte {
	if len(r.rest) == 0 {
		r.must(false)
		return 0
	}
	v := r.rest[0]
	r.rest = r.rest[1:]
	return v
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

func (r *pastReader) float() float32 {
	v := math.Float32frombits(binary.LittleEndian.Uint32(r.bytes(4)))
	r.must(v >= 0 && v <= 1e30)
	return v
}

// decimal is an amount in the signal's unit.
func (r *pastReader) decimal() float64 {
	b := r.bytes(3)
	code := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	r.must(code <= decimalMost)
	return amountOf(min(code, decimalMost)) * r.floor
}

// plain is p without histograms.
func (p past) plain(floor float64) past {
	if len(p) == 0 {
		return nil
	}
	var room [1024]byte
	out := append(past(room[:0]), make([]byte, pastHead)...)
	r := p.reader(floor)
	for b := (bucket{}); r.next(&b, false); {
		b.hist = nil
		out = out.append(b, widths{}, floor)
	}
	return append(slices.Grow(past(nil), len(out)+spare), out...)
}

// after is what of p ended after a time in unix seconds.
func (p past) after(t int64, fine widths, floor float64) past {
	all := p.placed(nil, floor)
	i := slices.IndexFunc(all, func(b placed) bool { return int64(b.bucket.to) > t })
	switch i {
	case -1:
		return nil
	case 0:
		return p
	}
	r := pastReader{floor: floor}
	first := all[i].bucket
	first.hist = r.histogramAt(p, all[i])
	out := past(nil).append(first, fine, floor)
	out = append(out, p[all[i].to:]...)
	copy(out, p[:pastHead])
	return out
}
