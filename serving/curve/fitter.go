package curve

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"time"
)

const (
	kept    = 31  // samples that a bucket remembers: a change shows when half of them are new
	buckets = 24  // half octaves, up to 4096 rows; larger batches are in the last
	stale   = 512 // batches after which a bucket that got none of them says half
	steal   = 1.5 // wall beyond this many times the usual wall ÷ CPU is a neighbour's doing
)

// Fitter fits curves while batches run. Batches of about the same number of rows share a bucket, which
// remembers the newest few; the lines go through the middles of the buckets. So outliers do not move
// them, sizes that are often seen do not outvote those that are seldom seen, and what changed is
// forgotten after a number of batches, not of seconds. A Fitter is not safe for concurrent use.
type Fitter struct {
	buckets   [buckets]bucket
	samples   int
	largest   int
	updated   time.Time
	ratio     float64 // the usual wall ÷ CPU; 0: not known
	wall, cpu Form

	loadedWall, loadedCPU Form
}

type bucket struct {
	samples []sample // a ring once it is full
	next    int
	seen    int  // Fitter.samples when the newest came
	live    mean // of batches that requests made
	profile mean // of the others
}

type sample struct{ rows, wall, cpu float64 }

// point is what a bucket says, with its weight in the fit, and of how many batches it is a mean, where that counts.
type point struct{ rows, seconds, weight, count float64 }

// New returns a Fitter that knows nothing.
func New() *Fitter { return &Fitter{} }

// Add tells what a batch of rows rows that requests made took, in wall and CPU seconds, and when it ended. Batches without
// rows or time, and numbers that are none, are passed over.
func (f *Fitter) Add(rows int, wall, cpu float64, at time.Time) {
	if b, s := f.add(rows, wall, cpu, at); b != nil {
		b.live.add(s)
	}
}

// Profile tells the same of a batch that no request asked for.
func (f *Fitter) Profile(rows int, wall, cpu float64, at time.Time) {
	if b, s := f.add(rows, wall, cpu, at); b != nil {
		b.profile.add(s)
	}
}

// add is the bucket of a batch, and the batch; nil: it is passed over.
func (f *Fitter) add(rows int, wall, cpu float64, at time.Time) (*bucket, sample) {
	if rows < 1 || !(wall > 0) || math.IsInf(wall, 0) || !(cpu >= 0) || math.IsInf(cpu, 0) {
		return nil, sample{}
	}
	f.samples++
	f.largest, f.updated = max(f.largest, rows), at
	b, s := &f.buckets[place(rows)], sample{float64(rows), f.own(wall, cpu), cpu}
	b.add(s, f.samples)
	return b, s
}

// place is the bucket of a number of rows: 1, 2, 3, 4, 5-6, 7-8, 9-12, 13-16 and so on.
func place(rows int) int {
	octave := bits.Len(uint(rows - 1)) // rows are in (2^(octave-1), 2^octave]
	if octave < 2 {
		return octave // 1 and 2 rows
	}
	half := 2*octave - 2 // 3 rows are half 2, 4 rows half 3
	if rows > 3<<(octave-2) {
		half++
	}
	return min(half, buckets-1)
}

// own is the wall seconds without what a busy neighbour took: it is cut where it exceeds the CPU seconds
// by far more than usual. What is usual follows slowly, so that a lasting change is believed.
func (f *Fitter) own(wall, cpu float64) float64 {
	if cpu == 0 {
		return wall
	}
	ratio := wall / cpu
	switch {
	case f.ratio == 0:
		f.ratio = ratio
	case ratio > f.ratio:
		f.ratio = min(ratio, f.ratio*1.02)
	default:
		f.ratio = max(ratio, f.ratio/1.02)
	}
	return min(wall, cpu*f.ratio*steal)
}

func (b *bucket) add(s sample, seen int) {
	b.seen = seen
	if len(b.samples) < kept {
		b.samples = append(b.samples, s)
		return
	}
	b.samples[b.next] = s
	b.next = (b.next + 1) % kept
}

// Curve is the fit now, without Loaded. It costs some 30 us: ask for it now and then, not after each batch.
func (f *Fitter) Curve() Curve {
	if f.samples == 0 {
		return Curve{}
	}
	c := Curve{Samples: f.samples, Updated: f.updated, Largest: f.largest}
	c.Wall = fit(f.points(func(s sample) float64 { return s.wall }), &f.wall, Linear, Hinge)
	c.CPU = fit(f.points(func(s sample) float64 { return s.cpu }), &f.cpu, Linear, Hinge)
	c.Error = f.error(c.Wall)
	c.Spread = f.spread(c.Wall)
	return c
}

func (f *Fitter) points(of func(sample) float64) []point {
	var points []point
	scratch := make([]float64, 0, kept)
	for i := range f.buckets {
		b := &f.buckets[i]
		if len(b.samples) == 0 {
			continue
		}
		p := point{rows: b.middle(scratch, func(s sample) float64 { return s.rows }), seconds: b.middle(scratch, of)}
		if p.weight = b.weight(f.samples); p.seconds > 0 {
			points = append(points, p)
		}
	}
	return points
}

// weight is how much a bucket says: more with more samples, less when others have spoken since. It never
// ends, because an old word on small batches is better than none.
func (b *bucket) weight(samples int) float64 {
	return float64(len(b.samples)) * b.new(samples)
}

// new is 1 where a bucket has just spoken, and less the more batches others have told since.
func (b *bucket) new(samples int) float64 {
	age := float64(samples-b.seen) / stale
	return max(0.02, 1/(1+age*age))
}

// sorted are the numbers of the bucket in order.
func (b *bucket) sorted(scratch []float64, of func(sample) float64) []float64 {
	for _, s := range b.samples {
		scratch = append(scratch, of(s))
	}
	slices.Sort(scratch)
	return scratch
}

// middle is the mean of the middle half: as deaf to outliers as the median, and steadier.
func (b *bucket) middle(scratch []float64, of func(sample) float64) float64 {
	values := b.sorted(scratch, of)
	cut := (len(values) + 1) / 4
	values = values[cut : len(values)-cut]
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func (b *bucket) median(scratch []float64, of func(sample) float64) float64 {
	values := b.sorted(scratch, of)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// error is the median over the buckets of the median relative error in each.
func (f *Fitter) error(wall Line) float64 {
	type said struct{ off, weight float64 }
	var all []said
	total := 0.0
	scratch := make([]float64, 0, kept)
	for i := range f.buckets {
		if b := &f.buckets[i]; len(b.samples) > 0 {
			off := b.median(scratch, func(s sample) float64 { return math.Abs(s.wall-wall.At(s.rows)) / s.wall })
			all = append(all, said{off, b.weight(f.samples)})
			total += b.weight(f.samples)
		}
	}
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(a.off, b.off) })
	half := 0.0
	for _, s := range all {
		if half += s.weight; half >= total/2 {
			return s.off
		}
	}
	return 0 // unreachable unless bug
}
