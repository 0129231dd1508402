package engine

import "sync"

// quantum is the CPU time in seconds that an engine may use before the others that wait go first. A batch
// is never cut, so an engine may end below it and waits the longer for that.
const quantum = 0.002

// Pool is shared by all engines of a process: so many batches compute at once over all models and no more,
// since more would only slow each other down. When engines have to wait they take turns by the CPU time
// that they used (deficit round robin), interactive work before other work. It is safe for concurrent use.
type Pool struct {
	mu      sync.Mutex
	size    int
	used    int
	waiting []*seat // in the order of asking; empty while there is a free slot
}

// seat is an engine's place at the pool. The pool's mutex guards it.
type seat struct {
	granted func()  // a slot is yours now; called without a lock
	credit  float64 // CPU seconds that it may use before others go first; below 0 it used more
	waits   bool
	urgent  bool // somebody interactive waits
}

// NewPool returns a pool of size slots; at least one.
func NewPool(size int) *Pool { return &Pool{size: max(size, 1)} }

// Size is the number of batches that may compute at once.
func (p *Pool) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size
}

// SetSize changes the number of slots. Batches that compute are not stopped: a smaller pool is reached when
// enough of them have ended.
func (p *Pool) SetSize(size int) {
	p.mu.Lock()
	p.size = max(size, 1)
	p.mu.Unlock()
	p.grant()
}

// take takes a slot, or asks for one and returns false: then granted is called when there is one.
func (p *Pool) take(s *seat, urgent bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.urgent = urgent
	if s.waits {
		return false
	}
	if p.used < p.size && len(p.waiting) == 0 {
		p.used++
		s.credit = 0 // nobody waited for it, so nothing is owed
		return true
	}
	s.waits = true
	p.waiting = append(p.waiting, s)
	return false
}

// give returns a slot that was used for cost seconds of CPU.
func (p *Pool) give(s *seat, cost float64) {
	p.mu.Lock()
	p.used--
	s.credit -= cost
	none := len(p.waiting) == 0
	p.mu.Unlock()
	if !none {
		p.grant()
	}
}

// keep says whether s, which used a slot for cost seconds of CPU and has more to do, may keep it. If not,
// the slot is given back, s waits for another, and the caller has to call grant when it holds no lock.
func (p *Pool) keep(s *seat, cost float64, urgent bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.credit -= cost
	s.urgent = urgent
	if p.used <= p.size && len(p.waiting) == 0 {
		s.credit = 0
		return true
	}
	if !s.waits {
		s.waits = true
		p.waiting = append(p.waiting, s)
	}
	if i := p.turn(); p.used <= p.size && p.waiting[i] == s {
		p.remove(i)
		return true
	}
	p.used--
	return false
}

// leave withdraws what s asked for.
func (p *Pool) leave(s *seat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.waiting {
		if w == s {
			p.remove(i)
			return
		}
	}
}

// grant gives the free slots to those who wait.
func (p *Pool) grant() {
	for {
		p.mu.Lock()
		if p.used >= p.size || len(p.waiting) == 0 {
			p.mu.Unlock()
			return
		}
		s := p.remove(p.turn())
		p.used++
		p.mu.Unlock()
		s.granted()
	}
}

func (p *Pool) remove(i int) *seat {
	s := p.waiting[i]
	copy(p.waiting[i:], p.waiting[i+1:])
	p.waiting[len(p.waiting)-1] = nil
	p.waiting = p.waiting[:len(p.waiting)-1]
	s.waits = false
	return s
}

// turn is whose turn it is: of those with credit the first that is urgent, else the first. Without
// anybody's credit all get as many quanta as the best of them needs.
//
//	credits (u: urgent)      next
//	+1 ms, +2 ms u           the second
//	-1 ms u, +2 ms           the second
//	-5 ms u, -1 ms           the second: one quantum each gives -3 and +1 ms
func (p *Pool) turn() int {
	best := p.waiting[0].credit
	for _, s := range p.waiting {
		best = max(best, s.credit)
	}
	if best <= 0 {
		quanta := float64(int(-best/quantum) + 1)
		for _, s := range p.waiting {
			s.credit += quanta * quantum
		}
	}
	first := -1
	for i, s := range p.waiting {
		switch {
		case s.credit <= 0:
		case s.urgent:
			return i
		case first < 0:
			first = i
		}
	}
	return max(first, 0)
}
