package scaling

import (
	"bytes"
	"math"
	"testing"
	"time"
	"unsafe"
)

const (
	day    = 24 * 3600
	window = 300
)

// next is the start of the window that is decided now, unix seconds: the first that a replica asked for after the newest
// window can still serve.
func (t *Track) next() int64 { return t.s.Last + int64(t.o.horizon())*t.o.step() }

// noisyDays is a rate that goes up and down once a day between 20 and 180 with noise of 10 %, and for
// six windows of every 8 hours three times that.
func noisyDays(windows int, seed dice) []float64 {
	out := make([]float64, windows)
	for i := range out {
		level := 100 - 80*math.Cos(2*math.Pi*float64(i*window%day)/day)
		if i%96 >= 50 && i%96 < 56 {
			level *= 3
		}
		out[i] = max(0, level*(1+.1*seed.normal()))
	}
	return out
}

// follow is the advice that was in force in each window, decided lead windows ahead.
func follow(o Options, rates []float64) []int {
	t := New(o)
	out := make([]int, len(rates)+mostAhead)
	for i, r := range rates {
		at := int64(i) * window
		if i == 0 {
			for j := range mostAhead {
				out[j] = need(r, o.Capacity*2/3)
			}
		}
		t.Add(at, r)
		out[i+t.o.horizon()] = t.Replicas(t.next()).Replicas
	}
	return out[:len(rates)]
}

// reactive is an autoscaler: the most replicas at 0.7 of the capacity that any of the six windows
// before asked for, lead windows late.
func reactive(capacity float64, rates []float64, lead int) []int {
	out := make([]int, len(rates))
	for i := range rates {
		out[i] = need(rates[0], .7*capacity)
		if end := i - lead; end > 0 {
			out[i] = 0
			for _, r := range rates[max(0, end-6):end] {
				out[i] = max(out[i], need(r, .7*capacity))
			}
		}
	}
	return out
}

func tallied(replicas []int, rates []float64, capacity float64) (sum, over int) {
	for i, n := range replicas {
		sum += n
		if need(rates[i], capacity) > n {
			over++
		}
	}
	return sum, over
}

func TestBeatsAnAutoscaler(t *testing.T) {
	for _, lead := range []int{0, 1} {
		for seed := range 5 {
			rates := noisyDays(14*288, dice(seed))
			o := Options{Capacity: 40, Lead: time.Duration(lead*window) * time.Second}
			sum, over := tallied(follow(o, rates), rates, 40)
			rivalSum, rivalOver := tallied(reactive(40, rates, lead), rates, 40)
			if sum > rivalSum || sum+defaultRisk*over > rivalSum+defaultRisk*rivalOver {
				t.Errorf("lead %d, seed %d: %d replica-windows and %d over; an autoscaler %d and %d", lead, seed, sum, over, rivalSum, rivalOver)
			}
		}
	}
}

// With a lead of three windows, a smooth daily rise is met in time once the calendar knows it.
func TestGrowsAheadOfADailyRise(t *testing.T) {
	rates := make([]float64, 14*288)
	for i := range rates {
		rates[i] = 20 + 560*math.Pow(.5-.5*math.Cos(2*math.Pi*float64(i)/288), 6)
	}
	o := Options{Capacity: 10, Target: 1, Lead: 15 * time.Minute, Risk: 100}
	late := len(rates) - 4*288
	sum, over := tallied(follow(o, rates)[late:], rates[late:], 10)
	least, _ := tallied(reactive(10/.7, rates, 0)[late:], rates[late:], 10)
	if over > 0 || float64(sum) > 1.1*float64(least) {
		t.Errorf("%d windows over in four days, %d replica-windows; %d would do without a lead", over, sum, least)
	}
	tr := New(o)
	for i, r := range rates[:len(rates)-180] { // to the middle of a rise
		tr.Add(int64(i)*window, r)
	}
	if a := tr.Replicas(tr.next()); a.Season == NoSeason {
		t.Errorf("the calendar is not followed: %+v", a)
	}
}

func TestSteadyRateByHand(t *testing.T) {
	for _, c := range []struct {
		name     string
		o        Options
		rate     float64
		replicas int
		reason   Reason
	}{
		// 60 at 2/3 of 10 each: 9
		{"target", Options{Capacity: 10}, 60, 9, ByFloor},
		// it lies under the mark at half the least spread: 60 * 1.01 * 1.01 is 61.2
		{"whole capacity", Options{Capacity: 10, Target: 1}, 60, 7, ByForecast},
		{"whole capacity, no risk", Options{Capacity: 10, Target: 1, Risk: .01}, 60, 6, ByFloor},
		{"one may be lost", Options{Capacity: 10, Redundancy: 1}, 60, 10, ByFloor},
		{"two may be lost", Options{Capacity: 10, Redundancy: 2}, 60, 11, ByFloor},
		{"min", Options{Capacity: 10, Min: 12}, 60, 12, AtMin},
		{"max", Options{Capacity: 10, Max: 7}, 60, 7, AtMax},
		{"max with one to lose", Options{Capacity: 10, Max: 9, Redundancy: 1}, 60, 9, AtMax},
		{"nothing comes", Options{Capacity: 10}, 0, 1, ByForecast},
		{"nothing comes, one may be lost", Options{Capacity: 10, Redundancy: 1}, 0, 2, ByForecast},
		{"no capacity", Options{Min: 3}, 60, 3, NoCapacity},
		{"capacity is no number", Options{Capacity: math.NaN()}, 60, 1, NoCapacity},
	} {
		tr := New(c.o)
		for i := range 600 {
			tr.Add(int64(i)*window, c.rate)
		}
		a := tr.Replicas(tr.next())
		if a.Replicas != c.replicas || a.Reason != c.reason {
			t.Errorf("%s: %d for %s, want %d for %s", c.name, a.Replicas, a.Reason, c.replicas, c.reason)
		}
	}
	if a := New(Options{Capacity: 1, Min: 2}).Replicas(0); a.Replicas != 2 || a.Reason != NoRates {
		t.Errorf("nothing seen: %+v", a)
	}
}

// The terms of 60 requests/s with three replicas to lose: 9 run for 60 at 2/3 of 10 each, 3 more for a
// loss, and there is hardly a chance that 12 do not suffice.
func TestCostTerms(t *testing.T) {
	tr := New(Options{Capacity: 10, Redundancy: 3})
	for i := range 2000 {
		tr.Add(int64(i)*window, 60)
	}
	c := tr.Replicas(tr.next()).Cost
	if c.Run != 9 || c.Redundant != 3 || c.Over < 0 || c.Over > .1 {
		t.Errorf("cost %+v, want 9, 3 and nearly 0", c)
	}
}

func TestADipIsNotBelieved(t *testing.T) {
	tr := New(Options{Capacity: 10})
	for i := range 500 {
		tr.Add(int64(i)*window, 60)
	}
	for i := 500; i < 506; i++ {
		tr.Add(int64(i)*window, 0)
		if a := tr.Replicas(tr.next()); a.Replicas < 6 {
			t.Errorf("%d windows into a dip %d replicas are left; 6 served what came before it", i-499, a.Replicas)
		}
	}
}

// The newest of 18 requests/s asks for 3 replicas at 2/3 of 10 each; the rest is what two windows reached.
func TestFloorByHand(t *testing.T) {
	for _, c := range []struct {
		name  string
		rates []float64 // oldest first
		want  int
	}{
		{"the newest rules", []float64{18, 18, 60}, 9},
		{"one spike is no evidence", []float64{18, 90, 18}, 3},
		{"two are", []float64{90, 18, 85, 18}, 9},
		{"the lower of the two counts", []float64{90, 61, 18}, 7},
		{"two of eight windows", []float64{60, 60, 18, 18, 18, 18, 18, 18}, 6},
		{"one of the two is too old", []float64{60, 60, 18, 18, 18, 18, 18, 18, 18}, 3},
		{"a first window", []float64{18}, 3},
		{"none came", []float64{0, 0, 0}, 1},
	} {
		tr := New(Options{Capacity: 10})
		for i, r := range c.rates {
			tr.Add(int64(i)*window, r)
		}
		if got := tr.floor(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct{ before, settled, asked, want int }{
		{5, 5, 4, 5}, {4, 5, 4, 4}, {5, 5, 3, 3}, {5, 5, 6, 6}, {5, 5, 5, 5}, {0, 0, 1, 1},
	} {
		d := decision{uint16(c.before), uint16(c.settled)}
		if got := d.settle(c.asked); got != c.want {
			t.Errorf("asked %d, settled %d, now asked %d: %d, want %d", c.before, c.settled, c.asked, got, c.want)
		}
	}
}

func TestScaleDoesNotMatter(t *testing.T) {
	rates := noisyDays(3000, 3)
	a, b := New(Options{Capacity: 40}), New(Options{Capacity: 160})
	for i, r := range rates {
		at := int64(i) * window
		a.Add(at, r)
		b.Add(at, 4*r)
		x, y := a.Replicas(at+window), b.Replicas(at+window)
		x.Forecast, x.Low, x.High = 4*x.Forecast, 4*x.Low, 4*x.High
		if x != y {
			t.Fatalf("window %d: %+v, four times as much of both: %+v", i, x, y)
		}
	}
}

func TestAdviceIsAlwaysInBounds(t *testing.T) {
	d := dice(5)
	for range 60 {
		o := Options{
			Capacity: math.Exp(30*d.roll() - 15), Target: d.roll(), Min: int(4 * d.roll()), Redundancy: int(3 * d.roll()),
			Risk: 100 * d.roll(), Lead: time.Duration(d.roll() * float64(30*time.Minute)),
		}
		tr := New(o)
		o = tr.o
		at := int64(0)
		for range 400 {
			at += window * (1 + int64(d.roll()*1.2))
			rate := math.Exp(60*d.roll()-30) * math.Floor(1.5*d.roll()+.5)
			tr.Add(at, rate)
			a := tr.Replicas(tr.next())
			asked := min(need(rate, o.Capacity*o.Target)+o.Redundancy, o.Max)
			if a.Replicas < o.Min || a.Replicas > o.Max || a.Replicas < asked {
				t.Fatalf("%+v: %d replicas for %v requests/s, want at least %d", o, a.Replicas, rate, asked)
			}
			sum := a.Forecast + a.Low + a.High + a.Cost.Run + a.Cost.Redundant + a.Cost.Over
			if math.IsNaN(sum) || math.IsInf(sum, 0) || a.Low > a.Forecast || a.Forecast > a.High {
				t.Fatalf("%+v: %+v", o, a)
			}
		}
		if data, err := tr.MarshalBinary(); err != nil || New(o).UnmarshalBinary(data) != nil {
			t.Fatalf("%+v: its own checkpoint is refused", o)
		}
	}
}

func TestBadRatesAreLeftOut(t *testing.T) {
	tr := New(Options{Capacity: 10})
	tr.Add(1000, 5)
	before, _ := tr.MarshalBinary()
	for _, r := range []float64{math.NaN(), math.Inf(1), -1, 1e16} {
		tr.Add(2000, r)
	}
	tr.Add(1000, 7)
	tr.Add(900, 7)
	if after, _ := tr.MarshalBinary(); !bytes.Equal(before, after) || tr.Windows() != 1 {
		t.Error("a bad rate or an old window changed the track")
	}
}

func TestNothingIsComparedAcrossAGap(t *testing.T) {
	tr := New(Options{Capacity: 10})
	for i := range 100 {
		tr.Add(int64(i)*window, 50)
	}
	errors := tr.s.Ways[0].Errors
	tr.Add(200*window, 5000)
	if tr.s.Ways[0].Errors != errors {
		t.Error("a rate after a gap of 100 windows was compared with what was foreseen before it")
	}
}

func TestStateIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(state{}); n > 1024 {
		t.Errorf("the state of a server takes %d bytes, want at most 1024", n)
	} else {
		t.Logf("the state of a server takes %d bytes", n)
	}
	tr := New(Options{Capacity: 10})
	at := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		at += window
		tr.Add(at, 60)
		tr.Replicas(at + window)
	}); n > 0 {
		t.Errorf("a window allocates %v times", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	rates := noisyDays(4096, 1)
	tr := New(Options{Capacity: 40})
	b.ReportAllocs()
	for i := range b.N {
		tr.Add(int64(i)*window, rates[i%len(rates)])
	}
}

func BenchmarkReplicas(b *testing.B) {
	tr := New(Options{Capacity: 40})
	for i, r := range noisyDays(4096, 1) {
		tr.Add(int64(i)*window, r)
	}
	at := tr.next()
	b.ReportAllocs()
	for range b.N {
		tr.Replicas(at)
	}
}
