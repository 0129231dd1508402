package usage

import "testing"

func TestStride(t *testing.T) {
	s := newStride(576)
	for i, step := range []struct{ windows, points, refused, want int }{
		{24, 0, 0, 96},           // nothing yet: four times as many
		{96, 9600, 0, 384},       // 100 a window
		{384, 38_400, 0, 576},    // no more than the most
		{576, 57_600_000, 0, 20}, // 100,000 a window: 20 windows are 2 million
		{20, 2_000_000, 0, 20},
		{20, 200_000, 0, 80},
		{80, 0, 80, 40}, // the server found 80 too much
		{40, 4000, 0, 40},
		{1, 9_000_000, 0, 1}, // one window is the least
		{0, 0, 1, 1},
	} {
		if step.refused > 0 {
			s.refused(step.refused)
		} else {
			s.took(step.windows, step.points)
		}
		if s.windows != step.want {
			t.Errorf("step %d: %d windows, want %d", i, s.windows, step.want)
		}
	}
	if got := newStride(5).windows; got != 5 {
		t.Errorf("the first of at most 5 is %d", got)
	}
}
