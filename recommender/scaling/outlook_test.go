package scaling

import (
	"math"
	"testing"
)

// dice is a small generator, so that tests are the same everywhere.
type dice uint64

func (d *dice) roll() float64 {
	*d = *d*6364136223846793005 + 1442695040888963407
	return float64(*d>>11) / (1 << 53)
}

// normal is near enough to a normal variable: twelve rolls.
func (d *dice) normal() float64 {
	s := -6.
	for range 12 {
		s += d.roll()
	}
	return s
}

func TestNeed(t *testing.T) {
	for _, c := range []struct {
		rate, capacity float64
		want           int
	}{
		{0, 10, 1}, {10, 10, 1}, {10.1, 10, 2}, {35, 10, 4},
		{1e15, 1e-300, mostReplicas}, {math.Inf(1), 1, mostReplicas}, {math.NaN(), 1, mostReplicas},
	} {
		if got := need(c.rate, c.capacity); got != c.want {
			t.Errorf("need(%v, %v) = %d, want %d", c.rate, c.capacity, got, c.want)
		}
	}
}

func TestMarkOf(t *testing.T) {
	for _, c := range []struct {
		z    float64
		mark int
	}{{-9, 0}, {-2, 0}, {-1.9, 1}, {0, 2}, {.5, 2}, {.6, 3}, {30, 15}, {1e9, 15}, {math.Inf(1), 15}} {
		if got := markOf(c.z); got != c.mark {
			t.Errorf("error of %v spreads: mark %d, want %d", c.z, got, c.mark)
		}
	}
}

func TestBelieved(t *testing.T) {
	above := 1.
	for i, m := range marks {
		left := math.Exp(-max(m, 0))
		if i == len(marks)-1 {
			left = 0
		}
		if math.Abs(believed[i]-(above-left)) > 1e-8 {
			t.Errorf("mark %v is believed to have %v, want %v", m, believed[i], above-left)
		}
		above = left
	}
}

func TestChancesOfNothing(t *testing.T) {
	var y tally
	p := y.chances(0)
	if p[0] != 0 || p[1] != 0 {
		t.Errorf("an empty tally believes in errors below the forecast: %v", p)
	}
	if want := 1 - math.Exp(-.5); math.Abs(p[2]-want) > 1e-8 {
		t.Errorf("chance of the mark 0.5 is %v, want %v", p[2], want)
	}
	if want := math.Exp(-21.); math.Abs(p[15]-want) > 1e-8 {
		t.Errorf("chance of the last mark is %v, want %v", p[15], want)
	}
}

// 36 windows after a calm one missed by the mark 0.5; 4 after a rise by the mark 30.
func TestChancesByHand(t *testing.T) {
	var y tally
	for range 36 {
		y.add(0, 2)
	}
	for range 4 {
		y.add(1, 15)
	}
	// all windows: the last mark (4 + 4 e^-21) of 40 + 4, nearly 1/11; after a rise (4 + 20/11) of 24
	if p := y.chances(1); math.Abs(p[15]-(4+20./11)/24) > 1e-6 {
		t.Errorf("after a rise the last mark has %v, want %v", p[15], (4+20./11)/24)
	}
	// after a calm window (0 + 20/11) of 56
	if p := y.chances(0); math.Abs(p[15]-20./11/56) > 1e-6 {
		t.Errorf("after a calm window the last mark has %v, want %v", p[15], 20./11/56)
	}
}

func TestTallyFades(t *testing.T) {
	var y tally
	d := dice(1)
	for range 10_000 {
		y.add(0, int(d.roll()*16))
		if n := sum(y[0][:]); n >= fullTally {
			t.Fatalf("tally of %v, want less than %d", n, fullTally)
		}
	}
	for range 4096 {
		y.add(0, 3)
	}
	if share := float64(y[0][3]) / sum(y[0][:]); share < .7 {
		t.Errorf("after 4096 windows of one mark it has %.2f of the tally", share)
	}
}

func randomOutlook(d *dice) outlook {
	var y tally
	for range int(d.roll() * 400) {
		y.add(int(d.roll()*2), min(int(d.roll()*d.roll()*16), 15))
	}
	return outlook{root: 100 * d.roll(), spread: 10 * d.roll(), p: y.chances(int(d.roll() * 2))}
}

// slowCheapest tries every number of replicas that can be needed.
func slowCheapest(o *outlook, capacity, risk float64, least int) float64 {
	cost := math.Inf(1)
	for n := least; n <= max(least, need(o.rate(len(marks)-1), capacity)); n++ {
		cost = min(cost, float64(n)+risk*o.above(n, capacity))
	}
	return cost
}

func TestCheapestIsNoDearerThanTryingAll(t *testing.T) {
	d := dice(7)
	for range 3000 {
		o := randomOutlook(&d)
		sum := 0.
		for _, p := range o.p {
			sum += p
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("chances sum to %v", sum)
		}
		capacity, risk, least := 1+1e3*d.roll(), 200*d.roll(), 1+int(5*d.roll())
		n := o.cheapest(capacity, risk, least)
		got := float64(n) + risk*o.above(n, capacity)
		if want := slowCheapest(&o, capacity, risk, least); n < least || got > want+1e-9 {
			t.Fatalf("%d replicas cost %v, the best costs %v (least %d)", n, got, want, least)
		}
	}
}

func TestMoreRiskNeverMeansFewerReplicas(t *testing.T) {
	d := dice(11)
	for range 2000 {
		o := randomOutlook(&d)
		capacity, before := 1+1e3*d.roll(), 0
		for risk := .5; risk < 1e4; risk *= 2 {
			n := o.cheapest(capacity, risk, 1)
			if n < before {
				t.Fatalf("risk %v asks for %d replicas, half of it for %d", risk, n, before)
			}
			before = n
		}
	}
}
