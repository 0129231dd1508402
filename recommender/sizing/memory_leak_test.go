package sizing

import "testing"

func TestMemoryLeak(t *testing.T) {
	for _, row := range []struct {
		name string
		lows []float32
		want bool
	}{
		{"five days are too few", []float32{1, 2, 3, 4, 5}, false},
		{"six rising days", []float32{10, 11, 12, 13, 14, 15}, true},
		{"six days, one pair out of order", []float32{10, 12, 11, 13, 14, 15}, false},
		{"seven days, one pair out of order", []float32{10, 12, 11, 13, 14, 15, 16}, true},
		{"seven days, two pairs", []float32{10, 12, 11, 14, 13, 15, 16}, false},
		{"eight days, two pairs", []float32{10, 12, 11, 14, 13, 15, 16, 17}, true},
		{"eight days, three pairs", []float32{11, 10, 13, 12, 15, 14, 16, 17}, false},
		{"equal days are no growth", []float32{10, 10, 10, 10, 10, 10, 10, 10}, false},
		{"4 % in all does not matter", []float32{100, 100.5, 101, 102, 103, 104}, false},
		{"a start that reaches its plateau: 0.1 a day of a mean of 1.4", []float32{10, 13, 15, 16, 16.8, 16.9, 17}, false},
		{"it falls", []float32{8, 7, 6, 5, 4, 3, 2, 1}, false},
		{"older days leave: the last eight rise", []float32{90, 80, 70, 10, 11, 12, 13, 14, 15, 16, 17}, true},
	} {
		var l memoryLeak
		for _, low := range row.lows {
			l.add(float64(low) * 1000)
			l.add(float64(low) * 2000) // the peaks do not matter
			l.close()
		}
		if got := l.found(); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// A day without samples is no day.
func TestMemoryLeakGap(t *testing.T) {
	var l memoryLeak
	l.close()
	if l.n != 0 {
		t.Errorf("%d days after a day without samples, want 0", l.n)
	}
}
