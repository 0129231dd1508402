package fleet

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 pods", 1: "1 pod", 2: "2 pods", -1: "-1 pods"} {
		if got := Count(n, "pod"); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFormatCPU(t *testing.T) {
	for _, c := range []struct {
		milli int64
		want  string
	}{
		{0, "0"}, {5, "5m"}, {250, "250m"}, {999, "999m"}, {1000, "1"}, {1500, "1.5"}, {1234, "1.234"},
		{50_000, "50"}, {-250, "-250m"}, {-1500, "-1.5"},
	} {
		if got := FormatCPU(c.milli); got != c.want {
			t.Errorf("FormatCPU(%d) = %q, want %q", c.milli, got, c.want)
		}
	}
}

func TestFormatMemory(t *testing.T) {
	for _, c := range []struct {
		bytes int64
		want  string
	}{
		{0, "0"}, {1, "1"}, {512 << 10, "512Ki"}, {96 << 20, "96Mi"}, {1536 << 20, "1536Mi"},
		{2 << 30, "2Gi"}, {100 << 30, "100Gi"}, {3 << 40, "3Ti"},
		{100_000_000, "95.4Mi"},      // 95.367
		{16_393_240 << 10, "15.6Gi"}, // 15.634, a node's allocatable
		{-96 << 20, "-96Mi"},
	} {
		if got := FormatMemory(c.bytes); got != c.want {
			t.Errorf("FormatMemory(%d) = %q, want %q", c.bytes, got, c.want)
		}
	}
}

func TestFormatCores(t *testing.T) {
	for _, c := range []struct {
		cores float64
		want  string
	}{{0, "0"}, {0.000_01, "0.1m"}, {0.003_5, "3.5m"}, {0.004, "4m"}, {0.009_96, "10m"}, {0.010_4, "10m"}, {0.25, "250m"}, {1.5, "1.5"}} {
		if got := FormatCores(c.cores); got != c.want {
			t.Errorf("FormatCores(%v) = %q, want %q", c.cores, got, c.want)
		}
	}
}
