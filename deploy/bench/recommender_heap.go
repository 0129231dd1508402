package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
)

// heapContainers are real histories of five weeks of minutes, of which heap is measured. So many fill a map to five
// eighths, the mean of a map that grows by doubling.
const heapContainers = 20

// historyHeap is the KB, of 1,000 bytes, that a whole History holds for one container of so many pods: names, pods,
// what is still open, the past of CPU and of memory, and the tracks by which they are planned, as much of it as the rule
// of the options reads. CPU has a day's rhythm and noise of 30 %, memory noise of 2 %; each container is a workload of
// its own, and names are made anew for each sample, as a reader of series makes them. Each ends at another time of the
// day, for a past is longest just before it is joined. It is what is free again without the history, so that nothing
// that was made or given back on the way counts.
func historyHeap(pods int, o recommender.Options) (float64, error) {
	h := recommender.NewHistory()
	for i := range heapContainers {
		if err := fiveWeeks(h, i, pods, o); err != nil {
			return 0, err
		}
	}
	with := liveHeap()
	runtime.KeepAlive(h)
	return (with - liveHeap()) / 1000 / heapContainers, nil
}

// fiveWeeks adds container i's samples, one a minute of each pod, of a workload that has a policy since its first hour.
func fiveWeeks(h *recommender.History, i, pods int, o recommender.Options) error {
	r := rand.New(rand.NewPCG(uint64(i), 4))
	ref := fleet.Deployment("namespace", fmt.Sprintf("deployment-%06d", i))
	end := calendarStart().Add(time.Duration(i) * 24 * time.Hour / heapContainers)
	for at := end.Add(-recommender.Retention); !at.After(end); at = at.Add(time.Minute) {
		if at.Minute() == 0 {
			h.Follow(ref, o)
		}
		day := 1 + 0.5*math.Sin(float64(at.Unix()%86400)/86400*2*math.Pi)
		for p := range pods {
			cpu := 0.2 * day * math.Exp(r.NormFloat64()*0.3)
			memory := float64(300<<20) * (1 + 0.02*r.Float64())
			s := fleet.Sample{
				Ref: fleet.Deployment("namespace", fmt.Sprintf("deployment-%06d", i)), Container: "server",
				Pod: fmt.Sprintf("deployment-%06d-7d4b9c6f5-abcd%d", i, p), At: at, Window: time.Minute, N: 1,
			}
			s.Signal, s.Mean, s.Max = fleet.CPU, cpu, cpu
			if err := h.Add(s, at); err != nil {
				return err
			}
			s.Signal, s.Mean, s.Max = fleet.Memory, memory, memory
			if err := h.Add(s, at); err != nil {
				return err
			}
		}
	}
	return nil
}
