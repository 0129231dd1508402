package simulator

import (
	"context"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Each hands over Samples in one piece: it fits into memory.
func (c *Cluster) Each(ctx context.Context, since, until time.Time, do func([]fleet.Sample) error) error {
	all, err := c.Samples(ctx, since, until)
	if err != nil {
		return err
	}
	return do(all)
}

// Samples gives what was measured in (since, until], in windows of Step, for the fleet as it is now:
// between two passes nothing changes it.
func (c *Cluster) Samples(ctx context.Context, since, until time.Time) ([]fleet.Sample, error) {
	out := make([]fleet.Sample, 0, c.most(since, until))
	err := c.windows(ctx, since, until, func(m model, p fleet.Pod, at time.Time, u use) {
		out = m.samples(out, p, at, u)
	})
	return out, err
}

// most is how many samples there can be: making room for them once is a third of the run time.
func (c *Cluster) most(since, until time.Time) int {
	const signals = 5
	n := 0
	for _, m := range c.models {
		n += len(m.Pods) * signals
	}
	return n * int(max(0, until.Sub(latest(since, c.start))/Step))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// windows walks every measured window of every pod, in the order of time, Ref and pod.
func (c *Cluster) windows(ctx context.Context, since, until time.Time, visit func(model, fleet.Pod, time.Time, use)) error {
	own := c.podDice()
	for at := latest(since, c.start).Truncate(Step).Add(Step); !at.After(until); at = at.Add(Step) {
		if err := ctx.Err(); err != nil {
			return err
		}
		middle := at.Add(-Step / 2)
		for i, m := range c.models {
			if !m.seen(at) {
				continue
			}
			all := m.demand(middle, c.start, c.dice.of(m.UID))
			up := 0
			for _, p := range m.Pods {
				if m.answers(p, at) {
					up++
				}
			}
			for j, p := range m.Pods {
				if !m.answers(p, at) {
					continue
				}
				visit(m, p, at, m.share(all, up, p.Shape.Containers[0].Limits, middle, c.start, own[i][j]))
			}
		}
	}
	return nil
}

func (c *Cluster) podDice() [][]dice {
	own := make([][]dice, len(c.models))
	for i, m := range c.models {
		for _, p := range m.Pods {
			own[i] = append(own[i], c.dice.of(p.UID))
		}
	}
	return own
}

// gpus is how many GPUs of each pod are measured; all are equally busy.
func (m model) gpus() int64 {
	if !m.hasGPU {
		return 0
	}
	return m.GPUs()
}

// samples appends one window of one pod: the container's signals in the order of their names, after
// those of the pod, which have no container, and of its GPUs.
func (m model) samples(out []fleet.Sample, p fleet.Pod, at time.Time, u use) []fleet.Sample {
	pod := fleet.Sample{Ref: m.Ref, Pod: p.Name, At: at, Window: Step, N: int(Step / Reading)}
	with := func(s fleet.Sample, signal fleet.Signal, mean, most float64) {
		s.Signal, s.Mean, s.Max = signal, mean, most
		out = append(out, s)
	}
	if m.latency.base > 0 && u.rate > 0 {
		with(pod, fleet.Latency, m.latency.at(u.rate), m.latency.at(u.rateMax))
	}
	if m.hasRequests {
		with(pod, fleet.Requests, u.rate, u.rateMax)
	}
	for i := range m.gpus() {
		device := pod
		device.Container = fleet.GPUName(i)
		with(device, fleet.GPU, u.gpu, u.gpu)
	}
	own := pod
	own.Container, own.Image = container, p.Shape.Containers[0].Image
	with(own, fleet.CPU, u.cpu, u.cpuMax)
	with(own, fleet.Memory, u.memory, u.memoryMax)
	if u.oom {
		with(own, fleet.OOM, 1, 1)
	}
	return out
}
