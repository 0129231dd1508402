package recommender

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// warmFleet is five weeks of minutes of so many containers, each of a deployment of its own with so many pods: a day's
// rhythm, noise of 30 % on CPU and of 2 % on memory, followed by what the options read. The first ends at noon and each
// other at another time of the day, for a past is longest just before it is joined. Names are made anew for each sample,
// as a reader of series makes them.
func warmFleet(t testing.TB, containers, pods int, long time.Duration, o Options) *History {
	h, r := NewHistory(), rand.New(rand.NewPCG(4, 4))
	for i := range containers {
		end := noon.Add(time.Duration(i) * 24 * time.Hour / time.Duration(containers)).Truncate(time.Minute)
		for at := end.Add(-long); !at.After(end); at = at.Add(time.Minute) {
			if at.Minute() == 0 {
				h.Follow(fleet.Deployment("namespace", fmt.Sprintf("deployment-%06d", i)), o)
			}
			day := 1 + 0.5*math.Sin(float64(at.Unix()%86400)/86400*2*math.Pi)
			for p := range pods {
				cpu := sample(fleet.CPU, fmt.Sprintf("deployment-%06d-7d4b9c6f5-abcd%d", i, p), at, 0.2*day*math.Exp(r.NormFloat64()*0.3))
				cpu.Ref, cpu.Window = fleet.Deployment("namespace", fmt.Sprintf("deployment-%06d", i)), time.Minute
				memory := cpu
				memory.Signal, memory.Mean = fleet.Memory, 300*mib*(1+0.02*r.Float64())
				memory.Max = memory.Mean
				feed(t, h, cpu, memory)
			}
		}
	}
	return h
}

func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// heapContainers fill a map to five eighths, the mean of a map that grows by doubling.
const heapContainers = 20

// heapOf is the bytes that a container holds, on average over the day: what is free again without their history, so
// that nothing that was made on the way counts.
func heapOf(t testing.TB, pods int, o Options) float64 {
	h := warmFleet(t, heapContainers, pods, Retention, o)
	with := liveHeap()
	runtime.KeepAlive(h)
	return (with - liveHeap()) / heapContainers
}

// TestHeapOfAContainer holds what is kept of a container that is sized by price to 1.5 KB. It came to 1,452 bytes, on
// average over the day:
//
//	352  28 days of hours of CPU, packed
//	 96  its profile with today's hours, and the images that ran
//	208  days and weeks of memory
//	278  two pasts, with room for some minutes
//	224  two series
//	 96  two readings each of open slots
//	 48  a pod each
//	102  a map's share, and the workload's name
//	 48  what is there once: History, and kinds of workloads and of series
func TestHeapOfAContainer(t *testing.T) {
	if testing.Short() {
		t.Skip("five weeks of minutes")
	}
	got := heapOf(t, 1, priced())
	if got > 1536 {
		t.Errorf("%.0f bytes, want at most 1536", got)
	}
	t.Logf("%.0f bytes", got)
}

// BenchmarkHeap reports the bytes of heap that a container holds after five weeks of minutes of CPU and memory.
func BenchmarkHeap(b *testing.B) {
	for _, c := range []struct {
		rule string
		o    Options
	}{{"percentile", Options{}}, {"priced", priced()}} {
		for _, pods := range []int{1, 2, 3} {
			b.Run(fmt.Sprint(c.rule, "/", pods, "pods"), func(b *testing.B) {
				for range b.N {
					b.ReportMetric(heapOf(b, pods, c.o), "B/container")
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkAddWarm adds a minute's sample of CPU to a container with five weeks behind it.
func BenchmarkAddWarm(b *testing.B) {
	h := warmFleet(b, 1, 1, Retention, Options{})
	s := sample(fleet.CPU, "deployment-000000-7d4b9c6f5-abcd0", noon, 0.2)
	s.Ref, s.Window = fleet.Deployment("namespace", "deployment-000000"), time.Minute
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.At, s.Mean = noon.Add(time.Duration(i)*time.Minute), 0.1+float64(i%7)/10
		s.Max = s.Mean
		if err := h.Add(s, s.At); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDistribution reads a week.
func BenchmarkDistribution(b *testing.B) {
	h := warmFleet(b, 1, 1, Retention, Options{})
	ref := fleet.Deployment("namespace", "deployment-000000")
	b.ReportAllocs()
	for b.Loop() {
		if d, ok := h.Distribution(ref, "model-server", fleet.CPU, 7*24*time.Hour, noon); !ok || d.Percentile(0.95) == 0 {
			b.Fatal("nothing")
		}
	}
}
