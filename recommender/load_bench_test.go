package recommender

import (
	"testing"
	"time"
	"unsafe"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/scaling"
)

// TestLoadIsSmall: what a workload with requests takes beside its buckets; containers take nothing of it.
func TestLoadIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(load{}) + unsafe.Sizeof(scaling.Track{}); n > 1536 {
		t.Errorf("%d bytes a workload, want at most 1536", n)
	} else {
		t.Logf("%d bytes a workload", n)
	}
}

func BenchmarkForecast(b *testing.B) {
	w := server(4)
	h, o := serving(b, w, noon, 8, diurnal), foreseeing(Forecast{Latency: 50 * time.Millisecond, Redundancy: 1})
	b.ReportAllocs()
	for b.Loop() {
		Recommend(w, h, o, noon)
	}
}

func BenchmarkAnswered(b *testing.B) {
	h, at := NewHistory(), noon
	for b.Loop() {
		at = at.Add(15 * time.Second)
		for _, s := range []fleet.Signal{fleet.Latency, fleet.Requests} {
			s := fleet.Sample{Ref: ref, Pod: "a", Signal: s, At: at, Window: 15 * time.Second, Mean: 0.01, Max: 0.01, N: 1}
			if err := h.Add(s, at); err != nil {
				b.Fatal(err)
			}
		}
	}
}
