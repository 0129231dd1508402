package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// BenchmarkInfer is what the engine itself costs: a model that takes no time, 1 and 64 callers. cpu-us/op is
// the CPU time of the whole process for each request, which a busy machine does not change much.
func BenchmarkInfer(b *testing.B) {
	for _, bench := range []struct {
		name    string
		callers int
		delay   time.Duration
	}{{"1", 1, 0}, {"8", 8, 0}, {"64", 64, 0}, {"64-delay", 64, time.Millisecond}} {
		b.Run(bench.name, func(b *testing.B) {
			m := nothing{sim.New(sim.Spec{Inputs: row(512), Outputs: row(16)})}
			e, err := New(m, Config{Limits: batch.Limits{MaxBatchSize: 64, MaxQueueDelay: bench.delay, MaxQueueRows: 4096}, Instances: 2}, NewPool(2))
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close(context.Background())
			b.ReportAllocs()
			b.ResetTimer()
			before, begun := processCPU(), e.Stats()
			hammer(e, bench.callers, b.N)
			after := e.Stats()
			b.ReportMetric(float64((processCPU()-before).Nanoseconds())/1000/float64(b.N), "cpu-us/op")
			b.ReportMetric(float64(after.Rows-begun.Rows)/float64(after.Batches-begun.Batches), "rows/batch")
		})
	}
}

// hammer makes n requests of one row from so many callers.
func hammer(e *Engine, callers, n int) {
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for range callers {
		all.Go(func() {
			in := []runtime.Tensor{{Type: runtime.FP32, Shape: []int{1, 512}, Data: runtime.Alloc(4 * 512)}}
			ctx, cancel := context.WithCancel(context.Background()) // as an HTTP request's
			defer cancel()
			for left.Add(-1) >= 0 {
				if _, err := e.Infer(ctx, Request{Inputs: in, Rows: 1}); err != nil {
					panic(err)
				}
			}
		})
	}
	all.Wait()
}

func processCPU() time.Duration {
	var use syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// nothing is a model whose runs cost nothing.
type nothing struct{ runtime.Model }

func (n nothing) Session() (runtime.Session, error) { return &idle{}, nil }

type idle struct {
	out  [1]runtime.Tensor
	room []byte
}

func (s *idle) Run(_ []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	if len(s.room) < rows*64 {
		s.room = runtime.Alloc(rows * 64)
	}
	s.out[0] = runtime.Tensor{Type: runtime.FP32, Shape: append(s.out[0].Shape[:0], rows, 16), Data: s.room[:rows*64]}
	return s.out[:], nil
}
