package curve

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func largeMLP() Line { return Line{Fixed: 0.70e-3, PerRow: 0.085e-3} }
func midMLP() Line   { return Line{Form: Hinge, Fixed: 50e-6, PerRow: 12.1e-6} }
func convLike() Line { return Line{Fixed: 5e-6, PerRow: 18e-6} }
func coldMLP() Line  { return Line{Form: Doubling, Fixed: 170e-6, PerRow: 120e-6} }

func near(got, want, share float64) bool { return math.Abs(got-want) <= share*math.Abs(want) }

func TestLine(t *testing.T) {
	tests := []struct {
		line Line
		rows float64
		want float64 // microseconds
	}{
		{largeMLP(), 1, 785}, {largeMLP(), 10, 1550}, {midMLP(), 1, 50}, {midMLP(), 4, 50}, {midMLP(), 10, 121}, {Line{}, 9, 0},
		{coldMLP(), 1, 170}, {coldMLP(), 4, 410}, {coldMLP(), 64, 890}, {coldMLP(), 0.5, 170}, // not less than one row takes
	}
	for _, tt := range tests {
		if got := tt.line.At(tt.rows) * 1e6; !near(got, tt.want, 1e-9) {
			t.Errorf("%+v at %v rows: %v us, want %v", tt.line, tt.rows, got, tt.want)
		}
	}
}

// TestTimes: batches after each other take the sum, whatever their form.
func TestTimes(t *testing.T) {
	for _, l := range []Line{largeMLP(), midMLP(), coldMLP()} {
		for _, rows := range []float64{1, 4, 10} {
			if got, want := l.Times(3).At(rows), 3*l.At(rows); !near(got, want, 1e-12) {
				t.Errorf("three of %+v at %v rows: %v, want %v", l, rows, got, want)
			}
		}
	}
}

func TestWithin(t *testing.T) {
	tests := []struct {
		line    Line
		seconds float64
		limit   int
		want    int
	}{
		{largeMLP(), 0.0016, 64, 10}, // 0.9 ms / 85 us = 10.6
		{largeMLP(), 0.0007, 64, 0},  // the fixed part only
		{largeMLP(), -1, 64, 0},      // no time
		{largeMLP(), 1, 64, 64},      // more than enough
		{midMLP(), 121e-6, 64, 10},   // exactly
		{midMLP(), 49e-6, 64, 0},     // less than the fixed part
		{Line{Fixed: 1}, 1, 64, 64},  // rows cost nothing
		{Line{}, 0, 64, 64},          // nothing costs anything
		{Line{PerRow: 0.1}, 1, 64, 10},
		{coldMLP(), 530e-6, 64, 8},  // 170 + 3*120
		{coldMLP(), 529e-6, 64, 7},  // 2^(359/120) = 7.95
		{coldMLP(), 169e-6, 64, 0},  // less than a row takes
		{coldMLP(), 891e-6, 64, 64}, // more than all take
	}
	for _, tt := range tests {
		if got := tt.line.Within(tt.seconds, tt.limit); got != tt.want {
			t.Errorf("%+v within %v s: %d rows, want %d", tt.line, tt.seconds, got, tt.want)
		}
	}
}

func TestWithinIsAtBackwards(t *testing.T) {
	for _, l := range []Line{largeMLP(), midMLP(), convLike(), coldMLP(), {PerRow: 0.1}, {PerRow: 1. / 3}} {
		for n := range 2000 {
			if got := l.Within(l.At(float64(n)), 5000); got != n && l.At(float64(got)) != l.At(float64(n)) {
				t.Errorf("%+v: %d rows in the time of %d", l, got, n)
			}
		}
	}
}

// TestGain: large: 785 / (6140/64 = 95.94) = 8.18. mid: 50 / 12.1 = 4.13. conv: 23 / (18 + 5/64) = 1.27.
func TestGain(t *testing.T) {
	tests := []struct {
		line Line
		rows int
		want float64
	}{{largeMLP(), 64, 8.182}, {midMLP(), 64, 4.132}, {convLike(), 64, 1.272}, {largeMLP(), 1, 1}, {largeMLP(), 0, 1}, {Line{}, 8, 1}}
	for _, tt := range tests {
		if got := (Curve{CPU: tt.line, Samples: 1}).Gain(tt.rows); !near(got, tt.want, 1e-3) {
			t.Errorf("%+v: a gain of %.4f at %d rows, want %v", tt.line, got, tt.rows, tt.want)
		}
	}
}

// TestEnough against trying every size, and against numbers worked out by hand: large in Enough's comment;
// mid: 12.1 + 30/b <= 1.05*(12.1 + 30/64) from 28; conv: 18 + 35/b <= 1.05*(18 + 35/64) from 24; cold: (200 + 120*log2(b))/b <= 1.05*920/64 = 15.09 from 61, which takes 14.95.
func TestEnough(t *testing.T) {
	for line, want := range map[Line]int{largeMLP(): 45, midMLP(): 28, convLike(): 24, coldMLP(): 61, {PerRow: 1}: 1, {}: 20, {Fixed: 1}: 61} {
		if got := (Curve{CPU: line}).Enough(64, 30e-6, 0.05); got != want && line != (Line{}) {
			t.Errorf("%+v: %d rows are enough, want %d", line, got, want)
		}
		for limit := -1; limit < 100; limit++ {
			c, tried := Curve{CPU: line}, 1
			row := func(n int) float64 { return (c.CPU.At(float64(n)) + 30e-6) / float64(n) }
			for row(tried) > 1.05*row(max(limit, 1)) {
				tried++
			}
			if got := c.Enough(limit, 30e-6, 0.05); got != tried {
				t.Errorf("%+v up to %d: %d rows are enough, want %d", line, limit, got, tried)
			}
		}
	}
}

func TestPlace(t *testing.T) {
	want := map[int]int{1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 5, 8: 5, 9: 6, 12: 6, 13: 7, 16: 7, 17: 8, 24: 8, 25: 9, 32: 9, 4096: 23, 1 << 30: 23}
	for rows, bucket := range want {
		if got := place(rows); got != bucket {
			t.Errorf("%d rows are in bucket %d, want %d", rows, got, bucket)
		}
	}
}

// noisy is a server whose batches take what the lines say times a noise.
type noisy struct {
	*rand.Rand
	fitter *Fitter
	wall   Line
	cores  float64 // CPU ÷ wall
	noise  func(*rand.Rand) float64
	sizes  []int
}

func tenPercent(r *rand.Rand) float64 { return 1 + 0.1*r.NormFloat64() }

// oneSided is what machines do: never faster, often a little slower.
func oneSided(r *rand.Rand) float64 { return 1 + 0.05*r.ExpFloat64() }

func server(seed uint64, wall Line, noise func(*rand.Rand) float64, sizes ...int) *noisy {
	return &noisy{rand.New(rand.NewPCG(seed, 1)), New(), wall, 1, noise, sizes}
}

func (n *noisy) run(batches int) Curve {
	for range batches {
		rows := n.sizes[n.IntN(len(n.sizes))]
		wall := n.wall.At(float64(rows)) * max(0.5, n.noise(n.Rand))
		n.fitter.Add(rows, wall, wall*n.cores, at)
	}
	return n.fitter.Curve()
}

// off is the largest relative error of a line at 1 to 64 rows.
func off(got, want Line) float64 {
	worst := 0.0
	for rows := 1.0; rows <= 64; rows++ {
		worst = max(worst, math.Abs(got.At(rows)/want.At(rows)-1))
	}
	return worst
}

func powers() []int { return []int{1, 2, 4, 8, 16, 32, 64} }

func every() (sizes []int) {
	for n := range 64 {
		sizes = append(sizes, n+1)
	}
	return sizes
}

// TestRecovers: the curves of real models come back from noisy batches, within 5 % at every size.
func TestRecovers(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP(), convLike(), {Fixed: 1e-3}, {PerRow: 1e-3}} {
		for name, sizes := range map[string][]int{"powers": powers(), "every": every()} {
			for seed := range uint64(10) {
				c := server(seed, line, tenPercent, sizes...).run(2500)
				if off(c.Wall, line) > 0.05 || off(c.CPU, line) > 0.05 {
					t.Errorf("%+v, %s, seed %d: wall %+v and CPU %+v, off by %.3f", line, name, seed, c.Wall, c.CPU, off(c.Wall, line))
				}
				// The median of the absolute value of a normal error of 10 % is 6.7 %.
				if c.Error < 0.04 || c.Error > 0.10 || c.Samples != 2500 || c.Largest != 64 || !c.Updated.Equal(at) || !c.Known() {
					t.Errorf("%+v, %s: %+v", line, name, c)
				}
			}
		}
	}
}

// TestForm: the hinge is told from the line where it is one, and a profile of three runs a size is enough.
func TestForm(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP(), convLike()} {
		for seed := range uint64(10) {
			c := server(seed, line, oneSided, powers()...).run(300)
			if c.Wall.Form != line.Form || c.CPU.Form != line.Form {
				t.Errorf("%+v, seed %d: %s and %s", line, seed, c.Wall.Form, c.CPU.Form)
			}
			if !near(c.Wall.Fixed, line.Fixed*1.05, 0.05) && line != convLike() || !near(c.Wall.PerRow, line.PerRow*1.05, 0.05) {
				t.Errorf("seed %d: %+v, want %+v and 5 %%", seed, c.Wall, line)
			}
		}
		profile := New()
		for _, rows := range powers() {
			for _, slower := range []float64{1.3, 1, 1.02} { // the first is a warm-up
				profile.Add(rows, line.At(float64(rows))*slower, line.At(float64(rows))*slower, at)
			}
		}
		if c := profile.Curve(); off(c.Wall, line) > 0.05 || c.Wall.Form != line.Form {
			t.Errorf("the profile of %+v is %+v", line, c.Wall)
		}
	}
}

// TestFormStays: nearly straight lines do not change their form all the time.
func TestFormStays(t *testing.T) {
	n := server(1, Line{Fixed: 10e-6, PerRow: 18e-6}, tenPercent, powers()...)
	n.run(200)
	changes, before := 0, n.fitter.wall
	for range 300 {
		if n.run(10); n.fitter.wall != before {
			changes++
			before = n.fitter.wall
		}
	}
	if changes > 2 {
		t.Errorf("the form changed %d times", changes)
	}
}

// TestTracks: when everything takes twice as long, the curve says so after some batches of each size; and
// sizes that never run again do not hold it back for ever.
func TestTracks(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP()} {
		n := server(2, line, oneSided, powers()...)
		n.run(2000)
		slower := line.Times(2)
		n.wall = slower
		if c := n.run(31 * len(powers())); off(c.Wall, slower) > 0.12 || off(c.CPU, slower) > 0.12 {
			t.Errorf("%+v: %+v after 217 batches that take twice as long", line, c.Wall)
		}
		n.wall, n.sizes = line, []int{30, 31, 32}
		if c := n.run(1500); !near(c.Wall.At(32), line.At(32)*1.04, 0.05) {
			t.Errorf("%+v: %.3g s for 32 rows, want %.3g", line, c.Wall.At(32), line.At(32))
		}
	}
}

// TestOutliers: one batch in twenty that takes ten times as long moves nothing.
func TestOutliers(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP(), convLike()} {
		c := server(3, line, func(r *rand.Rand) float64 {
			if r.IntN(20) == 0 {
				return 10
			}
			return 1 + 0.02*r.NormFloat64()
		}, powers()...).run(1000)
		if off(c.Wall, line) > 0.05 || off(c.CPU, line) > 0.05 {
			t.Errorf("%+v: %+v, off by %.3f", line, c.Wall, off(c.Wall, line))
		}
	}
}

// TestNeighbour: a neighbour that stretches three batches in five, not their CPU, does not move the wall
// by more than what is cut; one that stays does, in the end.
func TestNeighbour(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	f, line := New(), largeMLP()
	add := func(batches int, stretched float64, by float64) Curve {
		for range batches {
			rows := powers()[r.IntN(7)]
			cpu, wall := line.At(float64(rows)), line.At(float64(rows))
			if r.Float64() < stretched {
				wall *= by
			}
			f.Add(rows, wall, cpu, at)
		}
		return f.Curve()
	}
	add(300, 0, 1)
	if c := add(90, 0.6, 8); off(c.Wall, line) > 0.1 {
		t.Errorf("a burst of a neighbour's makes the curve %+v", c.Wall)
	}
	if c := add(1000, 1, 3); !near(c.Wall.At(64), 3*line.At(64), 0.05) || off(c.CPU, line) > 0.02 {
		t.Errorf("a neighbour that stays makes the curve %+v", c)
	}
}

// TestOneSize: nobody knows what a row costs, so that the curve is flat; the second size tells.
func TestOneSize(t *testing.T) {
	f := New()
	for range 9 {
		f.Add(4, 2e-3, 1e-3, at)
	}
	if c := f.Curve(); c.Wall != (Line{Fixed: 2e-3}) || c.CPU != (Line{Fixed: 1e-3}) || c.Error != 0 {
		t.Errorf("from one size: %+v", c)
	}
	f.Add(8, 3e-3, 2e-3, at)
	if c := f.Curve(); !near(c.Wall.At(8), 3e-3, 1e-6) || !near(c.CPU.PerRow, 0.25e-3, 1e-6) || !near(c.Wall.At(4), 2e-3, 1e-6) {
		t.Errorf("from two sizes: %+v", c)
	}
}

// TestNeverNegative: whatever comes in, the numbers are finite and at least 0, and more rows never take less.
func TestNeverNegative(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := New()
		for range 1 + r.IntN(60) {
			f.Add(1+r.IntN(1<<r.IntN(14)), math.Exp(10*r.NormFloat64()), math.Exp(10*r.NormFloat64()), at)
		}
		for _, l := range []Line{f.Curve().Wall, f.Curve().CPU} {
			if !(l.Fixed >= 0 && l.PerRow >= 0 && l.Fixed+l.PerRow > 0 && l.Fixed+l.PerRow < math.Inf(1)) {
				t.Errorf("seed %d: %+v", seed, l)
			}
		}
	}
}

func TestNonsenseIsPassedOver(t *testing.T) {
	f := New()
	f.Add(0, 1, 1, at)
	f.Add(-1, 1, 1, at)
	f.Add(1, 0, 1, at)
	f.Add(1, -1, 1, at)
	f.Add(1, math.NaN(), 1, at)
	f.Add(1, math.Inf(1), 1, at)
	f.Add(1, 1, math.NaN(), at)
	f.Add(1, 1, -1, at)
	f.Add(1, 1, math.Inf(1), at)
	if c := f.Curve(); c != (Curve{}) || c.Known() {
		t.Errorf("from nonsense: %+v", c)
	}
	f.Add(1, 1, 0, at) // CPU time that was too short to be measured is no nonsense
	if c := f.Curve(); c.Wall.Fixed != 1 || c.CPU != (Line{}) || c.Gain(4) != 1 {
		t.Errorf("without CPU time: %+v", c)
	}
}

func TestJSON(t *testing.T) {
	c := Curve{Wall: midMLP(), CPU: largeMLP(), Error: 0.05, Samples: 7, Updated: at, Largest: 64, Spread: Spread{0.96, 1, 1.08, 1.28}}
	const want = `{"wall":{"form":"hinge","fixed_seconds":0.00005,"per_row_seconds":0.0000121},` +
		`"cpu":{"form":"linear","fixed_seconds":0.0007,"per_row_seconds":0.000085},` +
		`"error":0.05,"samples":7,"updated":"2026-03-01T12:00:00Z","largest_rows":64,"spread":{"p10":0.96,"p50":1,"p90":1.08,"p99":1.28}}`
	text, err := json.Marshal(c)
	if err != nil || string(text) != want {
		t.Errorf("%s %v, want %s", text, err, want)
	}
	var back Curve
	if err := json.Unmarshal(text, &back); err != nil || back != c {
		t.Errorf("read back: %+v %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"wall":{"form":"cubic"}}`), &back); err == nil {
		t.Error("a cubic curve is read")
	}
}

func BenchmarkAdd(b *testing.B) {
	f, i := New(), 0
	for b.Loop() {
		i++
		f.Add(1+i%64, 1e-3, 1e-3, at)
	}
}

func BenchmarkCurve(b *testing.B) {
	for _, sizes := range [][]int{powers(), every()} {
		b.Run(fmt.Sprint(len(sizes)), func(b *testing.B) {
			n := server(1, midMLP(), tenPercent, sizes...)
			n.run(3000)
			b.ReportAllocs()
			for b.Loop() {
				n.fitter.Curve()
			}
		})
	}
}
