package capacity

import (
	"math"

	"trimtab.dev/trimtab/serving/curve"
)

// Batches is what the batches of a window were and used together.
type Batches struct {
	Count float64 `json:"count"`
	Rows  float64 `json:"rows"`
	CPU   float64 `json:"cpu"` // seconds
}

// mean is the rows and the CPU seconds of a batch.
func (b Batches) mean() (rows, cpu float64) { return b.Rows / b.Count, b.CPU / b.Count }

// Under is a curve as batches under one load follow it, by windows of that load at different settings. What a server
// publishes is the middle of all batches that it ran, its self-profile's among them, which ran one after the other. Under
// a load a batch begins when the caches have gone cold, the colder the longer the server was idle, which it is where
// batches are large; and some batches take far longer than the middle. So the lines go through the windows' means. Where
// these are of one size they tell only by how much the published lines are off there; without windows those stay.
//
//	published       windows: rows, CPU      becomes
//	100 us + 10 us  1, 220 us; 11, 420 us   200 us + 20 us
//	100 us + 10 us  1, 220 us               200 us + 20 us: both are twice what is published
//	100 us + 10 us  1, 220 us; 11, 200 us   210 us: larger batches take no less
//	100 us + 10 us  1, 170; 4, 410; 8, 530  170 us, and 120 us for each doubling
//
// Rows share more the more they are where each batch begins with cold caches: then the line goes by doublings. Beyond the
// sizes of the windows it says too little, where a straight one says too much.
func Under(c curve.Curve, windows []Batches) curve.Curve {
	var cpu, wall batchCosts // at the same sizes
	for _, w := range windows {
		if rows, seconds := w.mean(); rows > 0 && seconds > 0 && c.CPU.At(rows) > 0 {
			cpu = append(cpu, batchCost{rows, seconds})
			wall = append(wall, batchCost{rows, seconds * max(1, c.Wall.At(rows)/c.CPU.At(rows)) / c.Spread.Mean()})
		}
	}
	if len(cpu) > 0 {
		form := cpu.form()
		c.CPU, c.Wall = cpu.line(c.CPU, form), wall.line(c.Wall, form)
	}
	return c
}

// batchCost is what batches of a size take.
type batchCost struct{ rows, seconds float64 }

type batchCosts []batchCost

// form is how the points lie: straight, or clearly nearer to a line by doublings.
func (all batchCosts) form() curve.Form {
	const (
		clearly = 0.7  // doublings must leave this share of the error
		noise   = 1e-4 // squared relative error that is nothing: 1 %
	)
	bent := all.through(curve.Doubling)
	if bent.PerRow <= bent.Fixed && all.misfit(bent)+noise < clearly*(all.misfit(all.through(curve.Linear))+noise) {
		return curve.Doubling
	}
	return curve.Linear
}

// line is the line of a form nearest to the points. Sizes that hardly differ only scale the line that is known.
func (all batchCosts) line(known curve.Line, form curve.Form) curve.Line {
	const apart = 1.3 // the largest size over the smallest
	least, most, ratio := all[0].rows, all[0].rows, 0.0
	for _, p := range all {
		least, most = min(least, p.rows), max(most, p.rows)
		ratio += p.seconds / known.At(p.rows) / float64(len(all))
	}
	if most < apart*least {
		return known.Times(ratio)
	}
	return all.through(form)
}

// through is the line, straight or by doublings, that is nearest to the points by relative error, neither of whose parts is
// below 0.
func (all batchCosts) through(form curve.Form) curve.Line {
	var n, x, xx, y, xy float64 // sums over 1/seconds²
	for _, p := range all {
		at, w := p.rows, 1/(p.seconds*p.seconds)
		if form == curve.Doubling {
			at = math.Log2(p.rows)
		}
		n, x, xx, y, xy = n+w, x+w*at, xx+w*at*at, y+w*p.seconds, xy+w*at*p.seconds
	}
	fixed, perRow := (xx*y-x*xy)/(n*xx-x*x), (n*xy-x*y)/(n*xx-x*x)
	switch {
	case perRow < 0:
		return curve.Line{Fixed: y / n}
	case fixed < 0:
		return curve.Line{PerRow: xy / xx}
	}
	return curve.Line{Form: form, Fixed: fixed, PerRow: perRow}
}

// misfit is the mean of the squared relative errors of a line.
func (all batchCosts) misfit(l curve.Line) float64 {
	sum := 0.0
	for _, p := range all {
		off := l.At(p.rows)/p.seconds - 1
		sum += off * off
	}
	return sum / float64(len(all))
}
