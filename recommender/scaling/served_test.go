package scaling

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"
)

const millisecond = time.Millisecond

// answers is so many windows at a rate, in which every twentieth is slow.
func answers(s *Served, windows int, rate, latency, slow float64) {
	for i := range windows {
		l := latency
		if i%20 == 19 {
			l = slow
		}
		s.Add(int64(i)*60, rate, l)
	}
}

func TestCapacityByHand(t *testing.T) {
	for _, c := range []struct {
		name         string
		see          func(*Served)
		rate, broken float64 // 0: not known
	}{
		{"nothing", func(*Served) {}, 0, 0},
		{"two windows are no evidence", func(s *Served) { answers(s, 2, 40, .01, .01) }, 0, 0},
		{"in time", func(s *Served) { answers(s, 3, 40, .01, .01) }, 40, 0},
		{"just in time", func(s *Served) { answers(s, 3, 40, .05, .05) }, 40, 0},
		{"too slow", func(s *Served) { answers(s, 3, 40, .06, .06) }, 0, 0},
		{"the highest in time", func(s *Served) { answers(s, 9, 10, .01, .01); answers(s, 9, 40, .04, .04) }, 40, 0},
		{"broken above", func(s *Served) { answers(s, 9, 40, .04, .04); answers(s, 9, 60, .2, .2) }, 40, 60},
		{"the lowest that is broken", func(s *Served) {
			answers(s, 9, 40, .04, .04)
			answers(s, 9, 90, .9, .9)
			answers(s, 9, 60, .2, .2)
		}, 40, 60},
		{"slow at night for another reason", func(s *Served) { answers(s, 9, 2, .2, .2); answers(s, 9, 40, .04, .04) }, 40, 0},
		{"a disturbance of 5 windows", func(s *Served) { answers(s, 100, 40, .02, .02); answers(s, 5, 40, .5, .5) }, 40, 0},  // 20 ms x 1.1425^5 = 39 ms
		{"a disturbance of 12 windows", func(s *Served) { answers(s, 100, 40, .02, .02); answers(s, 12, 40, .5, .5) }, 0, 0}, // 99 ms
		{"it is over", func(s *Served) {
			answers(s, 12, 40, .5, .5)
			answers(s, 320, 40, .02, .02) // 500 ms x 0.9925^320 = 45 ms
		}, 40, 0},
		{"no requests", func(s *Served) { answers(s, 9, 0, .01, .01) }, 0, 0},
		{"no amounts", func(s *Served) { answers(s, 9, math.NaN(), .01, .01); answers(s, 9, 10, math.Inf(1), -1) }, 0, 0},
	} {
		var s Served
		c.see(&s)
		k, ok := s.Within(50*millisecond, 400*60)
		if ok != (c.rate > 0) || math.Abs(k.Rate-c.rate) > 1e-5 || math.Abs(k.Broken-c.broken) > 1e-5 {
			t.Errorf("%s: %+v, want %v and broken at %v", c.name, k, c.rate, c.broken)
		}
	}
}

func TestOldLevelsAreNoEvidence(t *testing.T) {
	var s Served
	answers(&s, 9, 40, .01, .01)
	const day = 86400
	if _, ok := s.Within(50*millisecond, 28*day); !ok {
		t.Error("not known after 28 days")
	}
	if k, ok := s.Within(50*millisecond, 29*day); ok {
		t.Errorf("after 29 days %+v", k)
	}
}

// Of levels of 19 % each the 16 highest stay: 1, 2, 4 ... 2^20 are 21 levels, and 2^5 is the lowest that stays.
func TestHighestLevelsStay(t *testing.T) {
	var up, down Served
	for i := range 21 {
		for range 3 {
			up.Add(0, math.Exp2(float64(i)), .01)
			down.Add(0, math.Exp2(float64(20-i)), .01)
		}
	}
	for name, s := range map[string]*Served{"upwards": &up, "downwards": &down} {
		var keys []int
		for _, l := range s.at {
			keys = append(keys, int(l.Key)/4)
		}
		slices.Sort(keys)
		if keys[0] != 5 || keys[15] != 20 {
			t.Errorf("%s: doublings %v, want 5 to 20", name, keys)
		}
	}
}

// TestHighIsAboutThe95thPercentile beside the exact one, of noise that does not change.
func TestHighIsAboutThe95thPercentile(t *testing.T) {
	for seed := range 20 {
		d := dice(seed)
		var s Served
		var all []float64
		for range 5000 {
			v := .01 * math.Exp(.3*d.normal())
			all = append(all, v)
			s.Add(0, 40, v)
		}
		slices.Sort(all)
		exact := all[len(all)*95/100]
		if got := float64(s.at[0].High); got < .8*exact || got > 1.4*exact {
			t.Errorf("seed %d: %.1f ms, exactly %.1f ms", seed, 1000*got, 1000*exact)
		}
	}
}

func TestServedCheckpoint(t *testing.T) {
	var s, back Served
	for i := range 30 {
		answers(&s, 7, math.Exp2(float64(i)/3), .01*float64(i), .5)
	}
	data, err := s.AppendBinary(nil)
	if err != nil || back.UnmarshalBinary(data) != nil || back != s {
		t.Fatalf("%v: %+v came back as %+v", err, s, back)
	}
	if again, _ := back.AppendBinary(nil); !bytes.Equal(data, again) {
		t.Error("the same gives other bytes")
	}
	twice := s
	twice.at[1] = twice.at[0]
	wild := s
	wild.at[3].High = float32(math.NaN())
	for name, bad := range map[string][]byte{"short": data[:len(data)-1], "long": append(bytes.Clone(data), 0), "twice": bytesOf(&twice), "no number": bytesOf(&wild)} {
		if back.UnmarshalBinary(bad) == nil || back != s {
			t.Errorf("%s: taken", name)
		}
	}
}

func bytesOf(s *Served) []byte {
	b, _ := s.AppendBinary(nil)
	return b
}

// A track that knows no capacity learns the same ways' rates, and asked under one it advises as one that knew it.
func TestUnderOptionsThatComeLater(t *testing.T) {
	for seed := range 3 {
		knew, learns := New(Options{Capacity: 40, Lead: 2 * window * time.Second}), New(Options{Lead: 2 * window * time.Second})
		var a, b, over int
		rates := noisyDays(7*288, dice(seed))
		for i, r := range rates {
			knew.Add(int64(i)*window, r)
			learns.Add(int64(i)*window, r)
			if got := learns.Replicas(learns.next()); got.Reason != NoCapacity || got.Replicas != 1 {
				t.Fatalf("without a capacity: %+v", got)
			}
			u := learns.Under(Options{Capacity: 40})
			n, m := knew.Replicas(knew.next()), u.Replicas(u.next())
			a, b = a+n.Replicas, b+m.Replicas
			if i+3 < len(rates) && need(rates[i+3], 40) > m.Replicas {
				over++
			}
		}
		if b < a*9/10 || b > a*11/10 || over > len(rates)/20 {
			t.Errorf("seed %d: %d replica-windows, %d with the capacity known, %d windows over", seed, b, a, over)
		}
	}
	tr := New(Options{Lead: 2 * window * time.Second})
	tr.Add(0, 60)
	before, _ := tr.MarshalBinary()
	tr.Under(Options{Capacity: 3}).Replicas(tr.next())
	if after, _ := tr.MarshalBinary(); !bytes.Equal(before, after) {
		t.Error("asking changed the track")
	}
}

// Two days of 40 at noon and 10 else, then a week later 90 at that noon: by its own hour of the week where that is
// known, else by the days before.
func TestUsualByHand(t *testing.T) {
	tr := New(Options{})
	if _, ok := tr.Usual(0); ok {
		t.Error("usual out of nothing")
	}
	for at := int64(0); at < 2*day; at += window {
		rate := 10.
		if at%day/3600 == 12 {
			rate = 40
		}
		tr.Add(at, rate)
	}
	for _, c := range []struct {
		at   int64
		want float64
	}{{12 * 3600, 40}, {13*3600 - 1, 40}, {13 * 3600, 10}, {2*day + 12*3600, 40}, {2*day + 11*3600, 10}, {7*day + 12*3600, 40}} {
		if got, ok := tr.Usual(c.at); !ok || math.Abs(got-c.want) > .1 {
			t.Errorf("at %d: %v, want %v", c.at, got, c.want)
		}
	}
}
