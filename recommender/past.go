package recommender

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// past is the closed buckets of a series, oldest first, in some 2 to 30 bytes each. It begins with the end of the newest,
// in minutes since 1970, in 4 bytes, and its mean in 3; an empty past is nil. A bucket is, counts as uvarints and
// differences as varints:
//
//	marks     a byte: its stretch, which of the following are there, and the form of its histogram
//	step      minutes from the end of the one before, or from 1970; else one of stretches
//	span      minutes; else it is the step
//	mean      a decimal of floors: the difference to the one before, or to 0
//	peak      a float's bits: the difference to the mean's; else 0
//	pods      twice, and one more where the next but one is there; and
//	total     its mean, a decimal of floors: the difference to the mean; else it is the mean, and there was one pod
//	even      its mean, a decimal of floors: the difference to the mean; else it is the total by pods
//	weight    seconds: the difference to its span,
//	samples   the difference to one a minute, and
//	length    seconds from `from` to `to`: the difference to its span; else all three differences are 0
//	histogram its length in bytes, and see appendCells; else all of it is the mean, or, with both marks, it is not kept
type past []byte

// The marks of a bucket. The lowest three bits are a place in stretches, or one of the two beyond.
const (
	ownStep    = 6 // its span is its step
	ownSpan    = 7 // both are written
	oneStretch = 7
	ownPeak    = 1 << 3
	several    = 1 << 4 // pods, their total, and their mean where that is another
	ownRates   = 1 << 5
	inValues   = 1 << 6 // its histogram is values
	inRanges   = 1 << 7 // its histogram is ranges
	noValues   = inValues | inRanges
)

// stretches are the usual steps and spans, minutes: those of units.
var stretches = [...]uint32{1, 10, 60, 6 * 60, 24 * 60, 4 * 24 * 60}

const (
	pastHead = 7
	spare    = 16 // bytes of room for the buckets of the next minutes
)

// mostWeight bounds the seconds that a bucket stands for, 68 years: as a float32 the largest uint32 is too large for one.
const mostWeight = 1 << 31

// entry is a bucket as a past holds it, its histogram by its bytes.
type entry struct {
	bucket
	mean, total uint32 // decimals of floors
	even        uint32 // a decimal of floors, or shared
	form        byte
	cells       []byte
}

// append is p and one more bucket, which does not end before the last.
func (p past) append(b bucket, fine widths, floor float64) past {
	mean := decimalOf(b.sum / float64(b.weight) / floor)
	var room [300]byte
	form, cells := appendCells(room[:0], b.hist, fine, mean, floor)
	total := decimalOf(b.total / float64(b.weight) / floor)
	return p.with(&entry{b, mean, total, b.evenOf(floor), form, cells}, floor)
}

// with is p and one more entry.
func (p past) with(e *entry, floor float64) past {
	if len(p) == 0 {
		p = append(p, make(past, pastHead)...)
	}
	to := (e.to + aMinute - 1) / aMinute
	var room [64]byte
	head := e.append(room[:0], to-binary.LittleEndian.Uint32(p), int64(e.mean)-int64(uint24(p[4:])), floor)
	if size := len(head) + len(e.cells); cap(p)-len(p) < size {
		p = append(slices.Grow(past(nil), len(p)+size+spare), p...) // slices.Grow uses what the allocator gives
	}
	binary.LittleEndian.PutUint32(p, to)
	p[4], p[5], p[6] = byte(e.mean), byte(e.mean>>8), byte(e.mean>>16)
	return append(append(p, head...), e.cells...)
}

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

// append appends all of it but its histogram. It ends so many minutes after the one before, whose mean differs by so much.
func (e *entry) append(p []byte, step uint32, differs int64, floor float64) []byte {
	marks := e.form
	at, span := len(p), max((e.span+aMinute-1)/aMinute, 1)
	p = append(p, 0)
	stretch := slices.Index(stretches[:], step)
	switch {
	case span != step:
		marks |= ownSpan
		p = binary.AppendUvarint(binary.AppendUvarint(p, uint64(step)), uint64(span))
	case stretch < 0:
		marks |= ownStep
		p = binary.AppendUvarint(p, uint64(step))
	default:
		marks |= byte(stretch)
	}
	p = binary.AppendVarint(p, differs)
	if e.peak > 0 {
		marks |= ownPeak
		mean := float32(amountOf(e.mean) * floor)
		p = binary.AppendVarint(p, int64(math.Float32bits(e.peak))-int64(math.Float32bits(mean)))
	}
	if e.pods > 1 || e.total != e.mean {
		marks |= several
		p = e.appendSeveral(p)
	}
	weight, samples, length := e.rates(span)
	if weight != 0 || samples != 0 || length != 0 {
		marks |= ownRates
		p = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(p, weight), samples), length)
	}
	p[at] = marks
	return p
}

// shared is where the mean of all replicas is the total by pods, as in every stretch in which these were always as many.
const shared = math.MaxUint32

// evenOf is the decimal of the mean of all replicas, or shared.
func (b *bucket) evenOf(floor float64) uint32 {
	if math.Abs(b.even*float64(max(b.pods, 1))-b.total) <= b.total*tolerance {
		return shared
	}
	return decimalOf(b.even / float64(b.weight) / floor)
}

// appendSeveral appends what there is of several pods.
func (e *entry) appendSeveral(p []byte) []byte {
	own := uint64(0)
	if e.even != shared {
		own = 1
	}
	p = binary.AppendVarint(binary.AppendUvarint(p, uint64(e.pods)<<1|own), int64(e.total)-int64(e.mean))
	if own != 0 {
		p = binary.AppendVarint(p, int64(e.even)-int64(e.mean))
	}
	return p
}

// rates is by how much weight, samples and length differ from those of a span of minutes with a sample in each.
func (e *entry) rates(span uint32) (weight, samples, length int64) {
	whole := int64(span) * aMinute
	ends := (int64(e.to) + aMinute - 1) / aMinute * aMinute
	return int64(min(max(math.Round(float64(e.weight)), 1), mostWeight)) - whole, int64(e.samples) - int64(span), ends - int64(e.from) - whole
}

// entries appends all of them.
func (p past) entries(all []entry, floor float64) []entry {
	for r := p.reader(floor); r.entry(); {
		all = append(all, r.at)
	}
	return all
}

// coarsened joins the buckets of each unit, at a time in unix seconds, and drops what is older than Retention. What
// has a histogram and what has none are not joined: half of one is none.
func (p past) coarsened(now int64, fine widths, floor float64) past {
	var few [64]entry
	all := p.entries(few[:0], floor)
	unmatched(all)
	var room [2048]byte
	out, r := past(room[:0]), pastReader{floor: floor}
	var parts []cell
	for i, j := 0, 0; i < len(all); i = j {
		unit := unitAt(int64(all[i].to), now, all[i].plain)
		for j = i + 1; j < len(all) && all[j].plain == all[i].plain && int64(all[j].to-1)/unit == int64(all[i].to-1)/unit; j++ {
		}
		switch {
		case now-int64(all[j-1].to) > int64(Retention/time.Second):
		case j == i+1:
			out = out.with(&all[i], floor)
		default:
			b := r.joined(all[i:j], parts[:0])
			out, parts = out.append(b, fine, floor), b.hist
		}
	}
	return out.kept()
}

// joined is all of them as one, with its histogram in the room of parts.
func (r *pastReader) joined(all []entry, parts []cell) bucket {
	sum := all[0].bucket
	for i := range all[1:] {
		sum.add(&all[1+i].bucket)
	}
	for i := range all {
		parts = append(parts, r.histogram(&all[i])...)
	}
	sum.hist = newHistogram(parts)
	return sum
}

// kept is p where it may stay, with some room.
func (p past) kept() past {
	if len(p) == 0 {
		return nil
	}
	return append(slices.Grow(past(nil), len(p)+spare), p...)
}

// plain is p without histograms.
func (p past) plain(floor float64) past {
	var room [1024]byte
	out := past(room[:0])
	for r := p.reader(floor); r.entry(); {
		r.at.form, r.at.cells = noValues, nil
		out = out.with(&r.at, floor)
	}
	return out.kept()
}

// after is what of p ended after a time in unix seconds.
func (p past) after(t int64, floor float64) past {
	var out past
	for r := p.reader(floor); r.entry(); {
		if int64(r.at.to) > t {
			out = out.with(&r.at, floor)
		}
	}
	return out
}
