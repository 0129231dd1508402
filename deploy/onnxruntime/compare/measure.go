//go:build onnx && linux

package main

import (
	"math"
	"slices"
	"syscall"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/examples"
)

const (
	rotation = 64 // batches that take turns
	chunkFor = 100 * time.Millisecond
)

// chunk runs the batches in turn, and each at least once, and returns the CPU microseconds of one.
func chunk(s runtime.Session, batches [][]runtime.Tensor, rows int) (float64, error) {
	calls, begin, deadline := 0, cpu(), time.Now().Add(chunkFor)
	for calls < len(batches) || time.Now().Before(deadline) {
		if _, err := s.Run(batches[calls%len(batches)], rows); err != nil {
			return 0, err
		}
		calls++
	}
	return float64((cpu() - begin).Nanoseconds()) / 1000 / float64(calls), nil
}

// cpu is the CPU time of this thread so far.
func cpu() time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if syscall.Getrusage(thread, &u) != nil {
		return 0 // unreachable unless bug: the call takes no file and no memory of others
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// difference is the largest of two runtimes' answers to the same batches, relative to the larger of the value
// and 1: a runtime that answers wrongly may be as fast as it likes.
func difference(a, b runtime.Session, batches [][]runtime.Tensor, rows int) (worst float64, err error) {
	for _, batch := range batches {
		x, err := a.Run(batch, rows)
		if err != nil {
			return 0, err
		}
		y, err := b.Run(batch, rows)
		if err != nil {
			return 0, err
		}
		for i := range x {
			if x[i].Type != runtime.FP32 || len(x[i].Data) != len(y[i].Data) {
				continue
			}
			ys := runtime.Values[float32](y[i].Data)
			for j, v := range runtime.Values[float32](x[i].Data) {
				worst = max(worst, math.Abs(float64(v-ys[j]))/max(1, math.Abs(float64(v))))
			}
		}
	}
	return worst, nil
}

// least keeps the smaller; 0 is none yet.
func least(have, v float64) float64 {
	if have == 0 {
		return v
	}
	return min(have, v)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// inputs is the batches that take turns, as the load generator would send them.
func inputs(name string, rows int) ([][]runtime.Tensor, error) {
	var all [][]runtime.Tensor
	for seed := range uint64(rotation) {
		spec, values, err := examples.Sample(name, seed, rows)
		if err != nil {
			return nil, err
		}
		t := runtime.Tensor{Type: spec.Type, Shape: append([]int{rows}, spec.Shape...), Data: runtime.Alloc(4 * len(values))}
		copy(t.Data, runtime.Data(values))
		all = append(all, []runtime.Tensor{t})
	}
	return all, nil
}
