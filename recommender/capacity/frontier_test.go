package capacity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"trimtab.dev/trimtab/deploy/golden"
)

// TestPlanInWords is one plan as text: why, the curve, the lines to copy.
func TestPlanInWords(t *testing.T) {
	q := question()
	q.Now.Delay, q.Now.Batch = ms, 4
	plan := best(q, onPaper())
	text := strings.Join(plan.Why, "\n") + "\n\n" + plan.Curve(100, 12) + "\n" + PolicyLines(plan.Best, q.Room)
	golden.Check(t, "plan.golden", text)
}

// TestDrawings: none is wider than asked for and all show the chosen setting, for plans of every shape.
func TestDrawings(t *testing.T) {
	d := dice(3)
	for i := range 25 {
		q := anyQuestion(&d)
		plan := best(q, oracle{paper(d.between(0.7, 1.5)), eightPercent, 0.05})
		text := plan.Curve(60, 10)
		if len(plan.Frontier) == 0 {
			if text != "" {
				t.Errorf("%d: a drawing of nothing", i)
			}
			continue
		}
		if !strings.Contains(text, "*") {
			t.Errorf("%d: no chosen point\n%s", i, text)
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 60 {
				t.Errorf("%d: %d characters: %s", i, n, line)
			}
		}
	}
}

// TestPlaceInChart: latency in powers, money in dollars, both kept within the drawing.
func TestPlaceInChart(t *testing.T) {
	c := chart{quick: ms, slow: 100 * ms, cheap: 10, dear: 30}
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"10 of 1 to 100 ms is the middle", c.x(10 * ms), 0.5}, {"left of it", c.x(0), 0}, {"right of it", c.x(1000 * ms), 1},
		{"20 of 10 to 30", c.y(20), 0.5}, {"below", c.y(1), 0}, {"above", c.y(99), 1},
		{"no width", chart{quick: ms, slow: ms}.x(ms), 0.5}, {"no height", chart{}.y(7), 0.5},
	} {
		if tt.got < tt.want-1e-9 || tt.got > tt.want+1e-9 {
			t.Errorf("%s: %g, want %g", tt.name, tt.got, tt.want)
		}
	}
}
