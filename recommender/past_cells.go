package recommender

import (
	"encoding/binary"
	"math"
	"slices"
)

// steps are the distances of ranges that a cell can have in two bits; for others those are 0.
var steps = [4]uint16{0, 1, 2, 4}

// appendCells appends a histogram, and is the mark of its form. Of one value that is the mean nothing is written. Else
// it is its length in bytes and, from the largest cell on, what its values are and the share of the time that was not
// below them, rounded up, as a place in tails. Of few cells the values are the largest of each, a float, and a byte
// the place, which the last, whose share is 1, has not. Of more they are ranges: of the first cell a uvarint and a
// byte, of every other by how much range and place are less, two bits and six; or a byte 0, a uvarint and a byte
// where they do not fit. Widths of nothing keep nothing.
func appendCells(p []byte, h histogram, fine widths, mean uint32, floor float64) (form byte, _ []byte) {
	if len(h) == 0 || fine.common == 0 {
		return noValues, p
	}
	if len(h) == 1 && decimalOf(float64(h[0].top)/floor) == mean {
		return 0, p
	}
	at := len(p)
	p = append(p, 0)
	if len(h) <= fine.values {
		p = appendValues(p, h)
		p[at] = byte(len(p) - at - 1)
		return inValues, p
	}
	for ; ; fine = fine.doubled() {
		h = h.thinned(fine)
		if p = appendRanges(p, h); len(p)-at-1 <= math.MaxUint8 {
			p[at] = byte(len(p) - at - 1)
			return inRanges, p
		}
		p = p[:at+1]
	}
}

func appendValues(p []byte, h histogram) []byte {
	total, above := h.weight(), 0.0
	for i := len(h) - 1; i >= 0; i-- {
		p = binary.LittleEndian.AppendUint32(p, math.Float32bits(h[i].top))
		if above += float64(h[i].weight); i > 0 {
			p = append(p, tailOf(above/total))
		}
	}
	return p
}

func appendRanges(p []byte, h histogram) []byte {
	total, above := h.weight(), 0.0
	var in uint16
	var tail byte
	for i := len(h) - 1; i >= 0; i-- {
		above += float64(h[i].weight)
		now := byte(0)
		if i > 0 {
			now = tailOf(above / total)
		}
		step, less := in-h[i].in, tail-now
		k := slices.Index(steps[1:], step) + 1
		switch {
		case i == len(h)-1:
			p = append(binary.AppendUvarint(p, uint64(h[i].in)), now)
		case k > 0 && less < 64:
			p = append(p, byte(k)<<6|less)
		default:
			p = append(binary.AppendUvarint(append(p, 0), uint64(step)), less)
		}
		in, tail = h[i].in, now
	}
	return p
}

// histogram reads that of an entry, by descending range. It is good until the next call.
func (r *pastReader) histogram(e *entry) histogram {
	r.cells = r.cells[:0]
	rest := r.rest
	switch {
	case e.form == noValues || r.broken:
	case e.form == 0:
		r.keep(cellOf(float32(amountOf(e.mean)*r.floor), e.weight, r.floor), e.weight)
	case e.form == inValues:
		r.rest = e.cells[1:]
		r.readValues(e.weight)
	default:
		r.rest = e.cells[1:]
		r.readRanges(e.weight)
	}
	if !r.broken {
		r.rest = rest
	}
	return r.cells
}

// readValues reads all that is left.
func (r *pastReader) readValues(weight float32) {
	above, before := 0.0, float32(math.Inf(1))
	for r.must(len(r.rest) > 0); len(r.rest) > 0; {
		c, share := cellOf(r.float(), 0, r.floor), 1.0
		if len(r.rest) > 0 {
			share = tails[r.byte()]
			r.must(len(r.rest) > 0)
		}
		r.must(c.top < before && share >= above)
		before = c.top
		r.keep(c, weight*float32(share-above))
		above = share
	}
}

// readRanges reads all that is left.
func (r *pastReader) readRanges(weight float32) {
	first := r.count()
	in, tail := uint16(min(first, ranges-1)), r.byte()
	r.must(first < ranges)
	above := tails[tail]
	r.keep(r.ranged(in), weight*float32(above))
	for len(r.rest) > 0 {
		b := r.byte()
		step, less := uint32(steps[b>>6]), b&63
		if step == 0 {
			r.must(b == 0)
			step, less = r.count(), r.byte()
		}
		if r.must(step > 0 && step <= uint32(in) && less <= tail); r.broken {
			return
		}
		in, tail = in-uint16(step), tail-less
		r.keep(r.ranged(in), weight*float32(tails[tail]-above))
		above = tails[tail]
	}
	r.must(tail == 0)
}

func (r *pastReader) ranged(in uint16) cell {
	return cell{top: float32(r.floor * rangeEnds[in]), in: in}
}

// keep adds a cell, unless it has no weight.
func (r *pastReader) keep(c cell, weight float32) {
	if c.weight = weight; weight > 0 {
		r.cells = append(r.cells, c)
	}
}
