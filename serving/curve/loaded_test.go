package curve

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// ranBy is a fitter after so many batches of each size in microseconds: of the self-profile, and of requests. Wall is CPU and a tenth.
func ranBy(profile, live map[int]float64) *Fitter {
	f := New()
	for range 3 {
		for rows, us := range profile {
			f.Profile(rows, 1.1*us*1e-6, us*1e-6, at)
		}
	}
	for range 100 {
		for rows, us := range live {
			f.Add(rows, 1.1*us*1e-6, us*1e-6, at)
		}
	}
	return f
}

// TestLoaded by hand: see the comment of Fitter.Loaded. The lines through two points and those in line are exact.
func TestLoaded(t *testing.T) {
	type sizes = map[int]float64
	profile := sizes{1: 100, 2: 110, 4: 130} // 90 us + 10 us a row
	tests := []struct {
		name          string
		profile, live sizes
		want          sizes
	}{
		{"nothing ran", profile, nil, nil},
		{"no profile", nil, sizes{1: 200, 11: 420}, sizes{1: 200, 11: 420, 21: 640}},
		{"one size without a profile", nil, sizes{4: 200}, sizes{1: 200, 8: 200}},
		{"twice the profile", profile, sizes{1: 200}, sizes{1: 200, 2: 220, 4: 260}},
		{"three times, of a size that was not tried", profile, sizes{3: 360}, sizes{1: 300, 2: 330, 3: 360, 4: 390}},
		{"doublings", nil, sizes{1: 170, 4: 410, 16: 650, 64: 890}, sizes{1: 170, 2: 290, 8: 530, 32: 770}},
		{"the fixed part hides the first rows", nil, sizes{1: 100, 4: 100, 16: 400, 64: 1600}, sizes{1: 100, 2: 100, 32: 800}},
	}
	for _, tt := range tests {
		l := ranBy(tt.profile, tt.live).Loaded()
		if tt.want == nil && l != (Loaded{}) {
			t.Errorf("%s: %+v", tt.name, l)
		}
		for rows, us := range tt.want {
			if got := 1e6 * l.CPU.At(float64(rows)); !near(got, us, 1e-9) {
				t.Errorf("%s: %d rows take %g us of CPU, want %g", tt.name, rows, got, us)
			}
			if got := 1e6 * l.Wall.At(float64(rows)); !near(got, 1.1*us, 1e-9) {
				t.Errorf("%s: %d rows take %g us, want %g", tt.name, rows, got, 1.1*us)
			}
		}
	}
}

// TestNearest: 2 rows are as near to 1 as to 4, and 8 to 4.
func TestNearest(t *testing.T) {
	ran := []weighed{{mean: mean{rows: 1}}, {mean: mean{rows: 4}}}
	for rows, want := range map[float64]float64{1: 1, 2: 1, 2.1: 4, 4: 4, 8: 4} {
		if got := nearest(ran, rows).rows; got != want {
			t.Errorf("%g rows are nearest to %g, want %g", rows, got, want)
		}
	}
}

// TestLoadedWall: a fifth of the batches is stretched by 1.4, not their CPU. Their mean is 1.08 ms; the spread has it too, so that
// what is usual comes back: 1 ms.
func TestLoadedWall(t *testing.T) {
	f := New()
	for i := range 1000 {
		wall := 1e-3
		if i%5 == 0 {
			wall *= 1.4
		}
		f.Add(4, wall, 1e-3, at)
	}
	c := f.Curve()
	c.Loaded = f.Loaded()
	if u := c.UnderLoad(); !near(c.Loaded.Wall.At(4), 1.08e-3, 0.01) || !near(c.Loaded.CPU.At(4), 1e-3, 1e-6) || !near(u.Wall.At(4)*u.Spread.Mean(), 1.08e-3, 0.01) || !near(u.Wall.At(4), 1e-3, 0.06) {
		t.Errorf("%+v, under load %+v", c, u.Wall.At(4))
	}
}

// TestLoadedIsTheMean: of batches of which one in ten takes five times as long, 1.4 times what the middle does; the curve's
// own lines are deaf to that.
func TestLoadedIsTheMean(t *testing.T) {
	for _, line := range []Line{largeMLP(), midMLP(), coldMLP()} {
		n := server(7, line, func(r *rand.Rand) float64 {
			if r.IntN(10) == 0 {
				return 5
			}
			return 1
		}, powers()...)
		c := n.run(512 * 7)
		loaded := n.fitter.Loaded().CPU
		dear := line.Times(1.4)
		if got := off(loaded, dear); got > 0.1 {
			t.Errorf("%+v under load is %+v, off by %.3f", line, loaded, got)
		}
		if line.Form != Doubling && off(c.CPU, line) > 0.05 {
			t.Errorf("%+v: %+v", line, c.CPU)
		}
		if f := loaded.Form; f != line.Form {
			t.Errorf("%+v under load is %s", line, f)
		}
	}
}

// TestLoadedBentProfile: twice what the profile took, though no line goes through that; three runs of a size are believed by
// 3/13, so that most of it is the line's.
func TestLoadedBentProfile(t *testing.T) {
	f := New()
	for range 90 {
		for rows, us := range map[int]float64{1: 77, 2: 123, 4: 208, 8: 253.5, 16: 317.5} {
			f.Profile(rows, us*1e-6, us*1e-6, at)
		}
	}
	for range 100 {
		f.Add(1, 154e-6, 154e-6, at)
	}
	l := f.Loaded().CPU
	for rows, us := range map[float64]float64{1: 154, 2: 246, 4: 416, 8: 507, 16: 635} {
		if got := 1e6 * l.At(rows); !near(got, us, 0.06) {
			t.Errorf("%g rows take %.0f us, want %.0f", rows, got, us)
		}
	}
}

// TestLoadedFollows: what has changed for good is told after some thousand batches of a size.
func TestLoadedFollows(t *testing.T) {
	n := server(8, largeMLP(), oneSided, 1, 8)
	n.run(4000)
	n.wall = largeMLP().Times(2)
	n.run(4 * 2 * steady)
	if l := n.fitter.Loaded().CPU; !near(l.At(8), 2*1.05*largeMLP().At(8), 0.05) {
		t.Errorf("%+v", l)
	}
}

// TestLoadedIsOfTheNew: batches of 2 rows took three times as long as those of other sizes, long ago: that is believed by 2/12 then,
// and by 100/110 at once.
func TestLoadedIsOfTheNew(t *testing.T) {
	f := ranBy(nil, map[int]float64{1: 100, 2: 300, 4: 100, 8: 100})
	if got := 1e6 * f.Loaded().CPU.At(2); got < 260 {
		t.Errorf("at once %.0f us", got)
	}
	for range 20_000 {
		for _, rows := range []int{1, 4, 8} {
			f.Add(rows, 110e-6, 100e-6, at)
		}
	}
	if got := 1e6 * f.Loaded().CPU.At(2); got > 150 || got < 110 {
		t.Errorf("long after %.0f us", got)
	}
}

// TestUnderLoad: the mean of the middles by their spread is that of the batches.
func TestUnderLoad(t *testing.T) {
	c := Curve{Wall: midMLP(), CPU: midMLP(), Samples: 9, Spread: Spread{0.9, 1, 1.5, 3}}
	if c.UnderLoad() != c {
		t.Errorf("without batches of requests: %+v", c.UnderLoad())
	}
	c.Loaded = Loaded{Wall: largeMLP(), CPU: convLike()}
	u := c.UnderLoad()
	if u.CPU != convLike() || !near(u.Wall.At(4)*u.Spread.Mean(), largeMLP().At(4), 1e-9) || u.Loaded != (Loaded{}) || u.Samples != 9 {
		t.Errorf("%+v", u)
	}
}

// TestLoadedNeverNegative, whatever comes in.
func TestLoadedNeverNegative(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		f := New()
		for range 1 + r.IntN(200) {
			add := f.Add
			if r.IntN(4) == 0 {
				add = f.Profile
			}
			add(1+r.IntN(1<<r.IntN(6)), math.Exp(10*r.NormFloat64()), math.Exp(10*r.NormFloat64()), at)
		}
		for _, l := range []Line{f.Loaded().Wall, f.Loaded().CPU} {
			if !(l.Fixed >= 0 && l.PerRow >= 0 && l.Fixed+l.PerRow < math.Inf(1)) || l.Form == Doubling && l.PerRow > l.Fixed || !(l.Bends == Bends{} || slices.Min(l.Bends[:]) > 0 && slices.Max(l.Bends[:]) < math.Inf(1)) {
				t.Errorf("seed %d: %+v", seed, l)
			}
		}
	}
}
