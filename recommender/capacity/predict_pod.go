package capacity

import (
	"cmp"
	"math"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/curve"
)

// PerBatch is the CPU seconds of a batch beside the model where a Service does not know its own: wake-ups, gathering,
// handing out. They are not in the curve, and not in Service.Path.
const PerBatch = 30e-6

func (s Service) perBatch() float64 { return cmp.Or(finite(s.PerBatch), PerBatch) }

const (
	beforePart    = 0.6 // of Path: reading costs more than writing
	timerGrain    = time.Millisecond
	queueRows     = 16384 // that wait at most, as the server has it
	mostBatches   = 50    // of one request that are followed one by one: where it has more, several count as one
	instancesKept = 1024  // no machine has more cores
)

// pod is one replica of a service under its share of a load.
type pod struct {
	service   Service
	stream    stream
	batch     int
	delay     time.Duration
	replicas  int
	instances int
	cores     float64 // CPU limit as time that threads run, see stretch; 0: none
	threads   float64 // that the machine runs at once; 0: enough
	overhead  float64 // seconds of a batch beside the model
	spread    float64 // mean of what batches take of what the curve says
}

func podOf(s Service, l Load, at Setting) pod {
	s.Path, s.PerWake, s.Reach, s.Idle = finite(s.Path), finite(s.PerWake), finite(s.Reach), finite(s.Idle)
	if mean := s.Curve.Spread.Mean(); !(mean > 0 && mean < 1e6 && s.Curve.Spread.At(1) < math.Inf(1)) {
		s.Curve.Spread = curve.Spread{}
	}
	p := pod{
		service: s, batch: max(1, at.Batch), delay: max(0, at.Delay), replicas: max(1, at.Replicas),
		cores: float64(max(0, at.Limit)) / 1000, threads: float64(max(0, s.Processors)), spread: s.Curve.Spread.Mean(),
		overhead: s.perBatch(),
	}
	if s.MaxBatch > 0 {
		p.batch = min(p.batch, s.MaxBatch)
	}
	p.instances = min(instancesAt(at, s.Processors), instancesKept)
	p.cores *= p.stretch()
	p.stream = streamTo(l, p.replicas)
	return p.coarse()
}

// coarse is the pod where a request of very many batches has mostBatches, each of which takes as long as several:
// nothing comes between them that a client would see, and the simulation has fewer steps.
//
//	256 rows at batches of 1: 50 batches of 5.12 times the time
func (p pod) coarse() pod {
	n := p.stream.rows / (mostBatches * float64(p.batch))
	if n <= 1 {
		return p
	}
	for _, c := range []*curve.Curve{&p.service.Curve, &p.service.Published} {
		c.Wall, c.CPU = c.Wall.Times(n), c.CPU.Times(n)
	}
	p.overhead, p.stream.rows = n*p.overhead, p.stream.rows/n
	return p
}

// stretch is how much longer threads run than they use CPU, by the curve's two lines: what neighbours take of a batch's time
// is not charged to the pod's limit. It is looked at where both lines are sure, with the path, which has no wall of its own.
//
//	1.2 ms of wall for 1 ms of CPU, with 30 us a batch and 100 us of path: 1.33 / 1.13 = 1.18
func (p pod) stretch() float64 {
	const sure, most = 8, 1.5 // rows, and more than this is no neighbour's doing
	rows := min(p.batch, sure)
	path := float64(rows) * p.service.Path
	cpu := p.service.Curve.CPU.At(float64(rows)) + p.overhead + path
	if wall := p.wall(rows) + path; cpu > 0 && wall > cpu && p.service.Curve.CPU.At(float64(rows)) > 0 {
		return min(wall/cpu, most)
	}
	return 1
}

// instancesAt is how many batches a pod computes at once: as many as whole cores in its limit, or on its machine
// where it has none, and at least one.
func instancesAt(at Setting, processors int) int {
	switch {
	case at.Instances > 0:
		return at.Instances
	case at.Limit > 0 && processors > 0:
		return max(1, min(int(at.Limit/1000), processors))
	case at.Limit > 0:
		return max(1, int(at.Limit/1000))
	}
	return max(1, processors)
}

// wall is the seconds that a batch of rows rows takes on average.
func (p pod) wall(rows int) float64 {
	return p.service.Curve.Wall.At(float64(rows))*p.spread + p.overhead
}

// alone is the seconds of a batch and of the path of those in it.
func (p pod) alone(rows int) float64 { return p.wall(rows) + p.service.Path }

// most is the CPU seconds of one request when batches are full.
func (p pod) most() float64 {
	cpu := p.service.Curve.CPU.At(float64(p.batch)) + p.overhead
	return cpu/float64(p.batch)*p.stream.rows + p.service.Path
}

// offered is what comes as a share of what the pod can do: of its instances, of the threads that read and write,
// or of the CPU time that it may use, whichever is scarcest. 1 and more is too much.
func (p pod) offered() float64 {
	rate := p.stream.rate
	compute := rate * p.stream.rows / float64(p.batch) * p.wall(p.batch) / float64(p.instances)
	path := rate * p.service.Path
	share := max(compute, path)
	for _, cores := range []float64{p.cores, p.threads} {
		if cores > 0 {
			share = max(share, (compute*float64(p.instances)+path)/cores)
		}
	}
	return share
}

// atMost is the cores, or what all threads of all pods can use where that is less.
func (p pod) atMost(cores float64) float64 {
	most := float64((p.instances + 1) * p.replicas)
	if cores < most {
		return cores
	}
	return most
}

func (p pod) idle() float64 { return p.service.Idle * float64(p.replicas) }

func (p pod) memory() int64 { return max(0, p.service.Memory) * int64(p.replicas) }

// free reports whether threads never wait for a core: the machine has as many as the server has threads, and
// the limit lets all of them run, or all batches, and is far away.
func (p pod) free() bool {
	threads := float64(p.instances + 1)
	return (p.threads == 0 || p.threads >= threads) && (p.cores == 0 || p.cores >= threads || p.cores >= float64(p.instances) && p.offered() < 0.5)
}

// plain reports whether requests are alike, are computed one by one, and their path is nothing but a delay.
func (p pod) plain() bool {
	s := p.stream
	return s.rows == 1 && s.urgent == 0 && s.bulk == 0 && s.rate*p.service.Path < 0.1 && p.free()
}

// unbatched reports whether each request is a batch of its own.
func (p pod) unbatched() bool { return p.batch == 1 && p.plain() }

// beside is the part of a latency that is neither waiting nor computing. Reach has the path in it.
func (p pod) beside() float64 { return max(p.service.Reach, p.service.Path) }

// trial is the pod for the simulation.
func (p pod) trial() batch.Trial {
	s := p.service
	t := batch.Trial{
		Limits: batch.Limits{
			MaxBatchSize: p.batch, MaxQueueDelay: p.delay, MaxQueueRows: max(queueRows, 4*p.batch, int(math.Ceil(p.stream.rows))), Alone: s.MaxBatch == 1,
		},
		Instances: p.instances, Curve: s.Curve, Believed: s.Published, Overhead: p.overhead, Waking: p.service.PerWake, Grain: timerGrain,
		Path:  [2]float64{beforePart * s.Path, (1 - beforePart) * s.Path},
		Reach: time.Duration((p.beside() - s.Path) * 1e9), Cores: p.cores, Processors: int(p.threads),
	}
	if p.cores > 0 && p.threads == 0 {
		t.Processors = p.instances + 1 // the limit bounds the time, not how many threads run at once
	}
	return t
}

// simulate tries the pod with the batcher's own code.
func (p pod) simulate() view {
	n := p.stream.length()
	if batches := p.stream.rows / float64(p.batch); batches > 1 {
		n = max(2*simulatedWarmUp, int(float64(n)/batches))
	}
	r := &random{state: 1}
	seen, t := newTally(n-simulatedWarmUp), p.trial()
	t.Next, t.Skip = p.stream.arrivals(r, n), simulatedWarmUp
	t.Each = func(_ batch.Arrival, d time.Duration) { seen.add(d) }
	if p.service.Curve.Spread.Known() {
		jitter := &random{state: 2}
		t.Jitter = func() float64 { return p.service.Curve.Spread.At(jitter.uniform()) }
	}
	does := batch.Simulate(t)
	all := float64(n)
	return view{
		latency: seen, cpu: p.used(does, seen.n) / all, busy: does.Busy.Seconds() / all,
		meanBatch: does.MeanBatch(), woken: float64(does.Woken) / all, shed: 1 - float64(seen.n)/float64(n-simulatedWarmUp),
	}
}

// used is the CPU seconds of a simulation. Batches that took longer than the curve says did not use more CPU, which has
// a line of its own: neighbours stretch only the wall's.
func (p pod) used(does batch.Result, answered int) float64 {
	beside := float64(does.Batches)*p.overhead + float64(does.Woken)*p.service.PerWake + float64(answered)*p.service.Path
	return max(0, does.CPUSeconds-beside)/p.spread + beside
}
