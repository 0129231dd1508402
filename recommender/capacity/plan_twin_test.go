package capacity

import (
	"math"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// twin looks at every setting of a room and does its sums in its own way. It gives the least money that keeps
// the SLO, and how many settings keep it.
func twin(q Question, o oracle) (least float64, n int) {
	p := newPlanner(q, o) // only for what is to be looked at
	least = math.Inf(1)
	for _, replicas := range p.counts() {
		for _, batch := range p.batches() {
			for _, delay := range p.delays(batch) {
				for _, limit := range p.limits() {
					at := Setting{Batch: batch, Delay: delay, Replicas: replicas, CPU: limit, Limit: q.Now.Limit, Instances: q.Now.Instances}
					if month, ok := twinMonth(q, o, twinSized(q, o, at)); ok {
						least, n = min(least, month), n+1
					}
				}
			}
		}
	}
	return least, n
}

// twinSized gives a setting its request, and where that is its limit, the limit.
func twinSized(q Question, o oracle, at Setting) Setting {
	use := func() int64 {
		asked := at
		asked.CPU = 0 // as the planner asks
		milli := o.predict(q.Service, q.Load, asked, q.SLO).Cores * 1000 / float64(at.Replicas) * (1 + q.Room.Margin)
		cpu := int64(5 * math.Ceil(milli/5-1e-9))
		if cpu > 100 {
			cpu = int64(10 * math.Ceil(milli/10-1e-9))
		}
		return max(cpu, q.Room.CPU[0])
	}
	follows := q.Now.Limit == q.Now.CPU
	if at.CPU > 0 {
		at.Limit = at.CPU
		return at
	}
	at.CPU = use()
	for range 4 {
		if follows {
			at.Limit = at.CPU
			at.CPU = max(at.CPU, use())
			at.Limit = at.CPU
		}
	}
	return at
}

func twinMonth(q Question, o oracle, at Setting) (float64, bool) {
	does := o.predict(q.Service, q.Load, at, q.SLO)
	less := at
	less.Replicas -= q.Room.Redundancy
	if less.Replicas < 1 {
		return 0, false
	}
	lost := o.predict(q.Service, q.Load, less, q.SLO)
	if does.Full || lost.Full || twinChance(q, o, less, max(does.Tail.Value, lost.Tail.Value)) < 0.95 {
		return 0, false
	}
	cpu := at.CPU
	if does.Cores*1000/float64(at.Replicas)*(1+q.Room.Margin/2) > float64(cpu) {
		return 0, false
	}
	memory := max(q.Room.Memory[0], int64(math.Ceil(float64(q.Service.Memory)*1.15/(1<<20)))<<20)
	if cpu > q.Room.CPU[1] || cpu > at.Limit || memory > q.Room.Memory[1] || !twinFits(q.Room, at.Replicas, cpu, memory) {
		return 0, false
	}
	pods := float64(at.Replicas)
	return pods*float64(cpu)/1000*float64(q.Price.Core) + pods*float64(memory)/(1<<30)*float64(q.Price.GiB), true
}

// twinChance is the chance of a setting with replicas lost: five sixths of that of its latency as learnt, and a sixth of
// that where computing takes 1.73 standard deviations longer.
func twinChance(q Question, o oracle, at Setting, latency time.Duration) float64 {
	slow := q.Service
	times := math.Exp(math.Sqrt(3) * o.pace)
	for _, x := range []*float64{&slow.Curve.Wall.Fixed, &slow.Curve.Wall.PerRow, &slow.Curve.CPU.Fixed, &slow.Curve.CPU.PerRow, &slow.Path, &slow.Reach, &slow.Idle} {
		*x *= times
	}
	chance := 5.0 / 6 * o.chance(latency, q.SLO.Latency)
	if then := o.predict(slow, q.Load, at, q.SLO); !then.Full {
		chance += o.chance(max(latency, then.Tail.Value), q.SLO.Latency) / 6
	}
	return chance
}

// twinFits puts the pods on the nodes one by one.
func twinFits(r Room, pods int, cpu, memory int64) bool {
	if r.Quota.MilliCPU > 0 && int64(pods)*cpu > r.Quota.MilliCPU || r.Quota.Memory > 0 && int64(pods)*memory > r.Quota.Memory {
		return false
	}
	free := append([]fleet.Resources(nil), r.Nodes...)
	for range pods {
		placed := len(free) == 0
		for i := range free {
			if free[i].MilliCPU >= cpu && free[i].Memory >= memory {
				free[i].MilliCPU -= cpu
				free[i].Memory -= memory
				placed = true
				break
			}
		}
		if !placed {
			return false
		}
	}
	return true
}

// anyQuestion is a question of a random small room.
func anyQuestion(d *dice) Question {
	q := question()
	q.Service.Curve.Wall.Fixed, q.Service.Curve.Wall.PerRow = d.between(20e-6, 2e-3), d.between(5e-6, 1e-3)
	q.Service.Curve.CPU = q.Service.Curve.Wall
	q.Service.Path, q.Service.Reach = d.between(20e-6, 300e-6), d.between(100e-6, 1e-3)
	q.Service.Idle, q.Service.Memory = d.between(0, 0.02), int64(d.between(20, 400))<<20
	q.Load = Load{Rate: d.between(20, 1500), Burst: d.between(0.5, 2), Rows: 1}
	q.SLO.Latency = time.Duration(d.between(5, 80)) * time.Millisecond
	q.Room.MaxDelay = time.Duration(d.between(0.2, 1) * float64(q.SLO.Latency))
	first := 1 + d.below(3)
	q.Room.Replicas = [2]int{first, first + d.below(6)}
	q.Room.Redundancy = d.below(3)
	q.Room.Margin = d.between(0, 0.5)
	q.Room.CPU = [2]int64{int64(10 + d.below(100)), int64(300 + d.below(2000))}
	q.Room.Batches = q.Room.Batches[:2+d.below(6)]
	q.Now.Replicas, q.Now.Batch = first, q.Room.Batches[d.below(len(q.Room.Batches))]
	if q.Now.Limit, q.Now.CPU = 1000*int64(1+d.below(3)), 700; d.below(6) == 0 {
		q.Now.Limit = q.Now.CPU
	}
	if d.below(3) == 0 {
		q.Room.Quota = fleet.Resources{MilliCPU: int64(200 + d.below(4000))}
	}
	if d.below(3) == 0 {
		for range 1 + d.below(3) {
			q.Room.Nodes = append(q.Room.Nodes, fleet.Resources{MilliCPU: int64(200 + d.below(3000)), Memory: int64(200+d.below(3000)) << 20})
		}
	}
	return q
}

// TestTwin: in random rooms the search finds what looking at everything finds, to within what counts as the
// same. Where predictions are dear, so that it may ask for few of them, it finds nearly as much.
func TestTwin(t *testing.T) {
	t.Run("cheap predictions", func(t *testing.T) { againstTwin(t, true, 270, 0) })
	t.Run("dear predictions", func(t *testing.T) { againstTwin(t, false, 100, 2) })
}

// againstTwin lets at most so many of some rooms be off by more than a tie.
func againstTwin(t *testing.T, closed bool, rooms, most int) {
	d := dice(7)
	kept, off := 0, 0
	var saved []float64 // by delays between those of the room, where one was taken
	for i := range rooms {
		q := anyQuestion(&d)
		o := oracle{priced(paper(d.between(0.7, 1.5)), closed), eightPercent, d.between(0.01, 0.1)}
		least, n := twin(q, o)
		p := newPlanner(q, o)
		now := p.judge(q.Now)
		if now.Meets {
			least, n = min(least, float64(now.Month)), n+1
		}
		plan := best(q, o)
		if (n > 0) != plan.Best.Meets || (n > 0) == (plan.Held != "") {
			t.Errorf("%d: %d settings keep it; %q %+v", i, n, plan.Held, plan.Best)
			continue
		}
		if n == 0 {
			continue
		}
		kept++
		got := float64(plan.Best.Month)
		at := plan.Best.Setting
		if own, ok := twinMonth(q, o, at); !ok || math.Abs(own-got) > 10 {
			t.Errorf("%d: %+v is said to be %s a month, and is %s, %v", i, at, plan.Best.Month, cost.Money(own), ok)
		}
		if finer := !slices.Contains(p.delays(at.Batch), at.Delay); got < least-10 && !finer {
			t.Errorf("%d: %s, where the least is %s", i, plan.Best.Month, cost.Money(least))
		} else if finer {
			saved = append(saved, 1-got/least)
		}
		if got > least*(1+Tie)+10 {
			t.Logf("%d: %s, %s is possible (%d keep it)", i, plan.Best.Month, cost.Money(least), n)
			off++
		}
	}
	slices.Sort(saved)
	if middle := saved[min(len(saved)-1, len(saved)/2)]; len(saved) < rooms/20 || middle <= Tie {
		t.Errorf("a delay between those of the room is taken in %d rooms, where it saves %.1f %% in the middle", len(saved), 100*middle)
	}
	if t.Logf("%d of %d rooms have an answer, %d are off; a delay between saves in %d", kept, rooms, off, len(saved)); kept < rooms*2/3 || off > most {
		t.Error("too few have one, or too many are off")
	}
}

// priced says of every prediction whether it was cheap.
func priced(predict func(Service, Load, Setting, fleet.SLO) Prediction, closed bool) func(Service, Load, Setting, fleet.SLO) Prediction {
	return func(s Service, l Load, at Setting, slo fleet.SLO) Prediction {
		out := predict(s, l, at, slo)
		out.Closed = closed
		return out
	}
}
