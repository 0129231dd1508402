package main

import (
	"math"
	"slices"
	"testing"
)

func TestConditions(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    conditions
		want fault
		bad  bool
	}{
		{"quiet", conditions{Stolen: mostStolen, Foreign: mostForeign, Uneven: mostPace}, faults, false},
		{"stolen", conditions{Stolen: 0.031, Foreign: 0, Uneven: 0}, stolen, true},
		{"others on a core", conditions{Stolen: 0, Foreign: 0.021, Uneven: 0}, foreign, true},
		{"not to be learnt from, though it counts", conditions{Stolen: 0.006}, stolen, true},
		{"another pace", conditions{Stolen: 0, Foreign: 0, Uneven: 0.11}, uneven, true},
	} {
		learnt := tt.c.Stolen == 0.006
		if why, bad := tt.c.why(learnt); why != tt.want || bad != tt.bad {
			t.Errorf("%s: %d, %v", tt.name, why, bad)
		}
	}
	if _, bad := (conditions{Stolen: 0.006}).why(false); bad {
		t.Error("0.6 % stolen is too much of a window that counts")
	}
}

// TestRoom: windows that are learnt from are run again however often, and count for nobody.
func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		a            air
		learnt, want bool
	}{
		{air{}, false, true}, {air{Discarded: [faults]int{mostDiscarded}}, false, false}, {air{Discarded: [faults]int{mostDiscarded}}, true, true},
		{air{Discarded: [faults]int{mostDiscarded}, Learnt: 1}, false, true},
	} {
		if got := tt.a.room(tt.learnt); got != tt.want {
			t.Errorf("%+v, learnt from %v: %v", tt.a, tt.learnt, got)
		}
	}
}

// TestForeignShare: the server's core ran 2 s, 1.5 of them the server's; the others 1 s and 3 s, 3.2 of them the client's.
func TestForeignShare(t *testing.T) {
	before, after := []float64{10, 20, 30}, []float64{12, 21, 33}
	if got := foreignShare(before, after, 1.5, 3.2); math.Abs(got-0.8) > 1e-9 {
		t.Errorf("%g s, want 4 - 3.2 = 0.8 s beside the client, more than 0.5 s beside the server", got)
	}
	if got := foreignShare(before, after, 0.5, 4.5); math.Abs(got-1.5) > 1e-9 {
		t.Errorf("%g s, want 2 - 0.5 = 1.5 s beside the server", got)
	}
	if got := foreignShare(before, after, 3, 5); got != 0 {
		t.Errorf("%g s, want none", got)
	}
}

func TestParseTicks(t *testing.T) {
	// user, nice and system are 100 + 20 + 30 = 150 ticks, 1.5 s; and 0.06 s
	got, err := parseTicks("cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 20 30 400 5 0 7 8 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\nintr 1 2 3 4 5 6 7 8 9\n")
	if err != nil || len(got) != 2 || math.Abs(got[0]-1.5) > 1e-9 || math.Abs(got[1]-0.06) > 1e-9 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseTicks("cpu  9 9 9 9 9 9 9 9 0 0\n"); err == nil {
		t.Error("no core is named")
	}
	if got, err := parseCores([]string{"1500000000", "60000000"}); err != nil || got[0] != 1.5 || got[1] != 0.06 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseCores([]string{"x"}); err == nil {
		t.Error("x is no number")
	}
}

func TestUnevenness(t *testing.T) {
	usual := []pace{{1, 4}, {1.2, 5}, {1.4, 6}} // 1.2 and 5 on average
	for _, tt := range []struct {
		name string
		now  pace
		want float64
	}{
		{"as usual", pace{1.2, 5}, 0},
		{"a slower model", pace{1.8, 5}, 0.5},
		{"quicker text", pace{1.2, 4}, 0.25},
	} {
		if got := unevenness(usual, tt.now); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %g, want %g", tt.name, got, tt.want)
		}
	}
	if got := unevenness(nil, pace{1, 1}); got != 0 {
		t.Errorf("%g, though nothing is usual", got)
	}
}

// TestPace: the computations take some time, and all of it together more.
func TestPace(t *testing.T) {
	if p, took := paceDuring(serverCore)(); !(p.Model > 0) || !(p.Text > 0) || !(took > p.Model) {
		t.Errorf("%+v, %g s of CPU", p, took)
	}
}

// TestCounting: disturbed windows count for nothing where three are calm. A core that is off its pace disturbs none.
func TestCounting(t *testing.T) {
	calm, robbed, shared := seen{}, seen{}, seen{}
	calm.Air.Uneven, robbed.Air.Stolen, shared.Air.Foreign = 1, 2*mostStolen, 2*mostForeign
	if got := counting([]seen{calm, robbed, calm, shared, calm}); !slices.Equal(got, []bool{true, false, true, false, true}) {
		t.Errorf("%v", got)
	}
	if got := counting([]seen{calm, robbed, calm, shared}); !slices.Equal(got, []bool{true, true, true, true}) {
		t.Errorf("%v, with too few that are calm", got)
	}
	calm.P99, robbed.P99 = 1, 100
	o := outcomeOf(combination{}, []seen{robbed, calm, robbed, calm, calm, robbed, robbed}, standard{})
	if o.P99 != 1 || o.slowest() != 1 || len(o.P99s) != 7 {
		t.Errorf("%+v", o)
	}
}

func TestAirAnd(t *testing.T) {
	got := air{5, [faults]int{1, 2, 3}, 4, 6}.and(air{50, [faults]int{10, 20, 30}, 40, 60})
	if want := (air{55, [faults]int{11, 22, 33}, 44, 66}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
