package scaling

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestCheckNamesEveryFault(t *testing.T) {
	bad := Options{Capacity: math.NaN(), Target: 1.5, Min: -1, Max: -2, Redundancy: -1, Window: time.Millisecond, Lead: -1, Risk: math.Inf(1)}
	err := bad.Check()
	if err == nil {
		t.Fatal("no fault found")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 8 {
		t.Fatalf("%d lines, want 8:\n%v", len(lines), err)
	}
	for i, word := range []string{"capacity", "target", "min", "max", "redundancy", "window", "lead", "risk"} {
		if !strings.HasPrefix(lines[i], word+" ") {
			t.Errorf("line %d is %q, want one about %s", i, lines[i], word)
		}
	}
}

func TestCheckPasses(t *testing.T) {
	for _, o := range []Options{
		{Capacity: 1},
		{Capacity: 50, Target: .7, Min: 2, Max: 9, Redundancy: 1, Window: time.Minute, Lead: time.Minute, Risk: 100},
	} {
		if err := o.Check(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := (Options{Capacity: 1, Min: 3, Max: 2}).Check(); err == nil {
		t.Error("max under min passes")
	}
}

func TestHorizon(t *testing.T) {
	for _, c := range []struct {
		window, lead time.Duration
		want         int
	}{
		{time.Minute, 0, 1},
		{time.Minute, time.Second, 2},
		{time.Minute, time.Minute, 2},
		{time.Minute, 61 * time.Second, 3},
		{5 * time.Minute, 10 * time.Minute, 3},
		{time.Minute, time.Hour, 4},
		{0, math.MaxInt64, 4},
	} {
		o := Options{Window: c.window, Lead: c.lead}.settled()
		if got := o.horizon(); got != c.want {
			t.Errorf("window %v, lead %v: %d windows ahead, want %d", c.window, c.lead, got, c.want)
		}
	}
}
