package builtin

import "math"

// plan gives planes their places: a place is used again once nobody reads what lies in it. Small
// memory stays in the processor's cache.
type plan struct {
	p    *program
	last []int // step after which a plane is not needed
	free []int // slots
}

// layOut sets the slots of a program's planes. Inputs that a session reads where they lie in the
// request have slot -1 already.
func layOut(p *program) {
	l := &plan{p: p, last: make([]int, len(p.planes))}
	for i, st := range p.steps {
		for _, in := range st.in {
			l.last[in] = i
		}
		for _, out := range st.out {
			l.last[out] = i
		}
	}
	for _, out := range p.outputs {
		l.last[out] = math.MaxInt
	}
	for _, in := range p.inputs {
		if p.planes[in].slot >= 0 {
			p.planes[in].slot = l.take(p.planes[in])
		}
	}
	for i, st := range p.steps {
		l.step(i, st)
	}
}

func (l *plan) step(i int, st step) {
	planes := l.p.planes
	for k, out := range st.out {
		if k == 0 && st.inPlace && l.dies(st.in[0], i) {
			planes[out].slot = planes[st.in[0]].slot
			l.last[st.in[0]] = -1 // its place is not free
			continue
		}
		planes[out].slot = l.take(planes[out])
	}
	for k, in := range st.in {
		if l.dies(in, i) && !contains(st.in[:k], in) {
			l.free = append(l.free, planes[in].slot)
		}
	}
	for _, out := range st.out {
		if l.last[out] == i {
			l.free = append(l.free, planes[out].slot)
		}
	}
}

// dies says that the plane has a place and that step i is the last to read it.
func (l *plan) dies(plane, i int) bool { return l.last[plane] == i && l.p.planes[plane].slot >= 0 }

// take finds the free slot that fits best: the smallest that is large enough, or else the largest.
func (l *plan) take(p plane) int {
	best := -1
	for i, s := range l.free {
		if l.p.slots[s].shared == p.shared && (best < 0 || better(l.p.slots[s].width, l.p.slots[l.free[best]].width, p.width)) {
			best = i
		}
	}
	if best < 0 {
		l.p.slots = append(l.p.slots, slot{width: p.width, shared: p.shared})
		return len(l.p.slots) - 1
	}
	s := l.free[best]
	l.free = append(l.free[:best], l.free[best+1:]...)
	l.p.slots[s].width = max(l.p.slots[s].width, p.width)
	return s
}

func better(a, b, want int) bool {
	if a >= want && b >= want {
		return a < b
	}
	return a > b
}

func contains(list []int, v int) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}
