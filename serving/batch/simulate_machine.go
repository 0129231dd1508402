package batch

import (
	"math"
	"time"
)

// quotaPeriod is how often the kernel hands a control group its CPU time anew.
const quotaPeriod = 100 * time.Millisecond

// machine is what a pod of a trial computes on: how fast its threads are now, and the requests that are on their
// way before the queue or after the model. All threads that run are equally fast, so that there is one count of
// work, which goes on at that speed: who begins at work w and has to do d ends when it is w+d.
type machine struct {
	now        time.Duration
	work       time.Duration
	speed      float64 // of now's that work goes on at
	threads    int     // that may run at once
	processors float64
	quota      time.Duration // CPU time of a period; 0: no bound
	used       time.Duration // of it, in this period
	stalled    bool          // it is used up
	active     int           // threads that run

	serving []job
	waiting []job // from head on
	head    int
	ended   int // jobs that are over
	gate    int // how many must be, before the batch that is ready goes; 0: none does
}

// job is what is done for a request beside the model.
type job struct {
	id    int
	work  time.Duration
	end   time.Duration // in the machine's work
	after bool          // after the model
}

func newMachine(t Trial) machine {
	m := machine{speed: 1, threads: t.Instances + 1, processors: float64(t.Processors)}
	if t.Cores > 0 {
		m.quota = seconds(t.Cores * quotaPeriod.Seconds())
		if t.Processors == 0 {
			m.processors = math.Ceil(t.Cores)
		}
	}
	if m.processors == 0 {
		m.processors = math.Inf(1)
	}
	return m
}

// at is when the work that ends at end is done, as things are.
func (m *machine) at(end time.Duration) time.Duration {
	left := end - m.work
	switch {
	case left <= 0:
		return m.now
	case m.speed == 1:
		return m.now + left
	case m.speed == 0:
		return never
	}
	return m.now + time.Duration(math.Ceil(float64(left)/m.speed))
}

// turn is when the quota is used up, or begins anew while it is used; never where neither changes anything.
func (m *machine) turn() time.Duration {
	if m.quota == 0 || m.active == 0 && !m.stalled {
		return never
	}
	end := (m.now/quotaPeriod + 1) * quotaPeriod
	if m.stalled {
		return end
	}
	left := float64(m.quota-m.used) / (m.speed * float64(m.active))
	return min(end, m.now+max(1, time.Duration(left)))
}

// advance lets time pass.
func (m *machine) advance(now time.Duration) {
	did := now - m.now
	if m.speed != 1 {
		did = time.Duration(float64(did) * m.speed)
	}
	m.work += did
	if m.quota > 0 {
		m.use(did, now)
	}
	m.now = now
}

func (m *machine) use(did, now time.Duration) {
	m.used += did * time.Duration(m.active)
	if now/quotaPeriod > m.now/quotaPeriod {
		m.used, m.stalled = 0, false
	} else if m.active > 0 && m.used+time.Microsecond > m.quota {
		m.stalled = true
	}
}

// pace lets those begin who wait for a thread, while so many batches are computed, and sets the speed.
func (m *machine) pace(batches int) {
	for m.head < len(m.waiting) && len(m.serving) < max(1, m.threads-batches) {
		j := m.waiting[m.head]
		j.end = m.work + j.work
		m.serving = append(m.serving, j)
		if m.head++; m.head == len(m.waiting) {
			m.waiting, m.head = m.waiting[:0], 0
		}
	}
	m.active = batches + len(m.serving)
	switch {
	case m.stalled:
		m.speed = 0
	case float64(m.active) <= m.processors:
		m.speed = 1
	default:
		m.speed = m.processors / float64(m.active)
	}
}

// enter puts a job at the end of those who wait for a thread.
func (m *machine) enter(j job) {
	if m.head > 64 && m.head > len(m.waiting)/2 {
		m.waiting = m.waiting[:copy(m.waiting, m.waiting[m.head:])]
		m.head = 0
	}
	m.waiting = append(m.waiting, j)
}

// there is how many jobs are begun or wait.
func (m *machine) there() int { return len(m.serving) + len(m.waiting) - m.head }

// leave takes out a job that is over.
func (m *machine) leave(which int) job {
	j := m.serving[which]
	last := len(m.serving) - 1
	m.serving[which] = m.serving[last]
	m.serving = m.serving[:last]
	m.ended++
	return j
}
