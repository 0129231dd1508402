package batch

import (
	"testing"
	"time"
)

// closed runs callers who wait for their answers and think a little.
func closed(l Limits, clients int, think float64) Result {
	r := random(9)
	return Simulate(Trial{Limits: l, Curve: largeMLP(), Clients: clients, Requests: 20_000, Think: func() time.Duration {
		return time.Duration(think * (0.5 + r.ExpFloat64()/2) * 1e9)
	}})
}

// TestFewCallers: where all who could come are inside, nobody is waited for.
func TestFewCallers(t *testing.T) {
	for _, think := range []float64{20e-6, 100e-6, 300e-6} {
		for clients := 1; clients <= 4; clients++ {
			alone, ours := closed(unbatched(), clients, think), closed(slo(20*time.Millisecond), clients, think)
			if ratio := float64(ours.Mean()) / float64(alone.Mean()); ratio > 1.10 {
				t.Errorf("%d callers: mean latency %.3f of the unbatched, want at most 1.10", clients, ratio)
			}
			if ratio := float64(ours.Quantile(0.5)) / float64(alone.Quantile(0.5)); ratio > 1.10 {
				t.Errorf("%d callers: p50 %.3f of the unbatched, want at most 1.10", clients, ratio)
			}
		}
	}
}

// TestManyCallers: batches do not cost throughput, nor CPU.
func TestManyCallers(t *testing.T) {
	for _, think := range []float64{20e-6, 100e-6, 300e-6, 1e-3} {
		for _, clients := range []int{64, 100} {
			greedy, ours := closed(static(0), clients, think), closed(slo(20*time.Millisecond), clients, think)
			if ratio := ours.Rate() / greedy.Rate(); ratio < 0.97 {
				t.Errorf("%d callers thinking %v s: %.3f of the throughput of a greedy batcher, want 0.97", clients, think, ratio)
			}
			if ratio := ours.CPUSeconds / greedy.CPUSeconds; ratio > 1.01 {
				t.Errorf("%d callers thinking %v s: %.3f of the CPU of a greedy batcher, want at most 1", clients, think, ratio)
			}
		}
	}
}

// TestSomeCallers: those who come back at once are worth a moment: all are in the next batch.
func TestSomeCallers(t *testing.T) {
	for _, clients := range []int{3, 8, 16} {
		greedy, ours := closed(static(0), clients, 50e-6), closed(slo(20*time.Millisecond), clients, 50e-6)
		if ratio := ours.Rate() / greedy.Rate(); ratio < 1.2 {
			t.Errorf("%d callers: %.3f of the throughput of a greedy batcher, want 1.2", clients, ratio)
		}
	}
}

// TestCallersReturn: of 64, 19 wait when the batch of 45 is done. Those who then come back at once are waited
// for, although nobody came while it ran.
func TestCallersReturn(t *testing.T) {
	greedy, ours := closed(static(0), 64, 20e-6), closed(slo(20*time.Millisecond), 64, 20e-6)
	if ratio := ours.CPUSeconds / greedy.CPUSeconds; ratio > 0.98 {
		t.Errorf("%.3f of the CPU of a greedy batcher, want 0.98", ratio)
	}
}
