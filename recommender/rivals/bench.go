package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"
)

// measured is one line of --bench: what one container costs a recommender. The
// keys are read by the bench of the main module.
type measured struct {
	Name       string `json:"name"`
	Containers int    `json:"containers"`
	// AddNs is the time of one CPU sample added to one container again and again
	// (its histogram stays in the cache), in ns.
	AddNs float64 `json:"addNs"`
	// AddPassNs is the time of one CPU sample while going round all containers, as
	// a daemon does, in ns.
	AddPassNs float64 `json:"addPassNs"`
	// ScrapeNs is the time of what one scrape brings, a CPU and a memory sample,
	// while going round all containers, in ns.
	ScrapeNs float64 `json:"scrapeNs"`
	// RecommendUs is the time of one recommendation for CPU and memory while going
	// round all containers, in µs.
	RecommendUs float64 `json:"recommendUs"`
	// HeapKB is the heap that one container holds after two weeks, in units of
	// 1,000 bytes.
	HeapKB float64 `json:"heapKB"`
}

// tracked is a set of containers, each with a CPU and a memory history.
type tracked interface {
	addCPU(i int, at time.Time, milliCores int64)
	addMemory(i int, at time.Time, bytes int64)
	recommend(i int)
}

// subject is something that --bench measures.
type subject struct {
	name  string
	track func(containers int) tracked
}

// effort is how much --bench does; each time is that of the fastest of its rounds,
// the one that was disturbed least.
type effort struct {
	containers, adds, recommendations, rounds int
}

// full is the effort of the program.
func full() effort {
	return effort{containers: 10_000, adds: 200_000, recommendations: 20_000, rounds: 25}
}

// bench writes one JSON object a line for each subject.
func bench(w io.Writer, subjects []subject, e effort) error {
	out := json.NewEncoder(w)
	for _, s := range subjects {
		if err := out.Encode(measure(s, e)); err != nil {
			return fmt.Errorf("write the measurements of %s: %w", s.name, err)
		}
	}
	return nil
}

// measure runs one subject.
func measure(s subject, e effort) measured {
	before := heap()
	t := s.track(e.containers)
	clock := warm(t, e.containers)
	m := measured{Name: s.name, Containers: e.containers, HeapKB: (heap() - before) / 1000 / float64(e.containers)}
	rounds := func(n int, one func(k int)) float64 { return fastest(e.rounds, n, one) }

	m.AddNs = rounds(e.adds, func(k int) {
		t.addCPU(0, clock.tick(k, 1), cpuAt(0, k))
	})
	m.AddPassNs = rounds(e.adds, func(k int) {
		t.addCPU(k%e.containers, clock.tick(k, e.containers), cpuAt(k%e.containers, k))
	})
	m.ScrapeNs = rounds(e.adds, func(k int) {
		i, at := k%e.containers, clock.tick(k, e.containers)
		t.addCPU(i, at, cpuAt(i, k))
		t.addMemory(i, at, memoryAt(i, k))
	})
	m.RecommendUs = rounds(e.recommendations, func(k int) { t.recommend(k % e.containers) }) / 1000
	runtime.KeepAlive(t)
	return m
}

// benchClock hands out sample times that never go back, a minute a pass.
type benchClock struct {
	now time.Time
}

// tick is the time of the k-th sample of a loop that goes round n containers.
func (c *benchClock) tick(k, n int) time.Time {
	if k%n == 0 {
		c.now = c.now.Add(time.Minute)
	}
	return c.now
}

// warm gives each container two weeks of half-hourly samples, so that a history
// that grows with time has grown.
func warm(t tracked, containers int) *benchClock {
	c := &benchClock{now: time.Unix(1_700_000_000, 0)}
	for k := range 14 * 48 {
		c.now = c.now.Add(30 * time.Minute)
		for i := range containers {
			t.addCPU(i, c.now, cpuAt(i, k))
			t.addMemory(i, c.now, memoryAt(i, k))
		}
	}
	return c
}

// cpuAt is container i's use at its k-th sample, in millicores: a base of its own
// between 20 and 2,000 and a ripple of a factor of up to 3, without any state.
func cpuAt(i, k int) int64 {
	return int64(20+i%1980) * int64(8+(k*37+i)%17) / 8
}

// memoryAt is container i's memory at its k-th sample, in bytes.
func memoryAt(i, k int) int64 {
	return int64(200+i%1800) << 20 / 16 * int64(16+(k*29+i)%5)
}

// fastest is the time of one call in ns, of the fastest of rounds of n calls each.
func fastest(rounds, n int, one func(k int)) float64 {
	times := make([]float64, rounds)
	for r := range times {
		start := time.Now()
		for k := range n {
			one(k)
		}
		times[r] = float64(time.Since(start).Nanoseconds()) / float64(n)
	}
	return slices.Min(times)
}

// heap is the live heap in bytes, after what is dead was collected.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return math.Max(0, float64(s.HeapAlloc))
}
