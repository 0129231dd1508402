package admission

import (
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// fitting is a target on its way to fit the LimitRanges. Every request may move only between what was
// asked and what the container has: a trim takes a recommendation back, it never goes past it.
type fitting struct {
	w     fleet.Workload // with distinct pods
	now   fleet.PodShape // what it has
	b     fleet.Bounds
	asked []fleet.ContainerRequests
	reqs  []fleet.ContainerRequests // asked, after trims
	trims []Trim
}

// fit moves requests as little as the LimitRanges ask for. What cannot be made to fit is left as it
// is; refusals says why.
func fit(w fleet.Workload, now fleet.PodShape, asked []fleet.ContainerRequests, b fleet.Bounds) ([]fleet.ContainerRequests, []Trim) {
	f := &fitting{w: w, now: now, b: b, asked: asked, reqs: slices.Clone(asked)}
	for i := range f.reqs {
		for _, name := range compute() {
			f.limit(i, name)
			f.container(i, name)
		}
	}
	for _, name := range compute() {
		for n := range f.shapes() {
			f.pod(n, name)
		}
	}
	return f.reqs, f.trims
}

// shapes is the shapes of the pods with the requests as they are by now.
func (f *fitting) shapes() []fleet.PodShape {
	return shapes(f.w.With(fleet.Target{Requests: f.reqs}), f.b)
}

// limit brings a limit that moves between min and max, as far as that is between what was asked and what the
// container has. What a ratio asks for is left to the request.
func (f *fitting) limit(i int, name string) {
	v := of(f.reqs[i].Limits, name)
	now, _ := f.now.Container(f.reqs[i].Container)
	if v == 0 {
		return
	}
	low, high := edges(f.b, perContainer, name, fleet.Resources{})
	to := v
	if high.at > 0 && v > high.at {
		to, low = high.at, high
	} else if v < low.at {
		to = low.at
	}
	if was := of(now.Limits, name); to == v || to < min(v, was) || to > max(v, was) {
		return
	}
	f.reqs[i].Limits = with(f.reqs[i].Limits, name, to)
	f.trims = append(f.trims, Trim{low.rule, low.part, f.reqs[i].Container, "limits." + name, v, to})
}

// container brings one request between the edges that all shapes of its container leave.
func (f *fitting) container(i int, name string) {
	low, high := f.edges(i, name)
	v := of(f.reqs[i].Requests, name)
	switch {
	case v == 0: // none, before and after
	case v < low.at && (high.at == 0 || low.at <= high.at):
		f.move(i, name, low)
	case high.at > 0 && v > high.at:
		f.move(i, name, high)
	}
}

// edges is what every shape of the i-th container leaves to one of its requests.
func (f *fitting) edges(i int, name string) (low, high edge) {
	for _, s := range f.shapes() {
		c, ok := s.Container(f.reqs[i].Container)
		if !ok {
			continue
		}
		l, h := edges(f.b, perContainer, name, c.Limits)
		if l.at > low.at {
			low = l
		}
		if h.at > 0 && (high.at == 0 || h.at < high.at) {
			high = h
		}
	}
	return low, high
}

// pod raises or lowers the target's requests, the first container first, until the sum over the n-th
// shape is between the edges of the pod.
func (f *fitting) pod(n int, name string) {
	for i := range f.reqs {
		low, high := edges(f.b, perPod, name, f.bare(n).Limits())
		sum := f.sum(n, name)
		if sum < low.at {
			f.raise(i, n, name, low)
		} else if high.at > 0 && sum > high.at {
			f.move(i, name, edge{f.lowered(i, name, sum-high.at), high.rule, high.part})
		}
	}
}

// raise lifts the i-th request as far as it may go, and no further than the pod needs. The sum grows
// one for one with a request that reaches an edge above it, so that the step back is exact.
func (f *fitting) raise(i, n int, name string, low edge) {
	v := of(f.reqs[i].Requests, name)
	if v == 0 {
		return
	}
	_, high := f.edges(i, name)
	top := max(of(f.asked[i].Requests, name), f.current(i, name))
	if high.at > 0 {
		top = min(top, high.at)
	}
	if top <= v {
		return
	}
	was := f.reqs[i].Requests
	f.reqs[i].Requests = with(was, name, top)
	spare := f.sum(n, name) - low.at
	f.reqs[i].Requests = was
	f.move(i, name, edge{top - max(spare, 0), low.rule, low.part})
}

// lowered is the i-th request less over, but not below what its container's edges leave.
func (f *fitting) lowered(i int, name string, over int64) int64 {
	low, _ := f.edges(i, name)
	floor := max(min(of(f.asked[i].Requests, name), f.current(i, name)), low.at, 1)
	v := of(f.reqs[i].Requests, name)
	return min(v, max(v-over, floor))
}

// move sets a request to e and notes it, if e is between what was asked and what there is.
func (f *fitting) move(i int, name string, e edge) {
	asked, now, from := of(f.asked[i].Requests, name), f.current(i, name), of(f.reqs[i].Requests, name)
	if e.at == from || e.at < min(asked, now) || e.at > max(asked, now) {
		return
	}
	f.reqs[i].Requests = with(f.reqs[i].Requests, name, e.at)
	f.trims = append(f.trims, Trim{e.rule, e.part, f.reqs[i].Container, name, from, e.at})
}

func (f *fitting) current(i int, name string) int64 {
	c, _ := f.now.Container(f.reqs[i].Container)
	return of(c.Requests, name)
}

// bare is the n-th shape without overhead, which LimitRanger does not count.
func (f *fitting) bare(n int) fleet.PodShape {
	s := f.shapes()[n]
	s.Overhead = fleet.Resources{}
	return s
}

func (f *fitting) sum(n int, name string) int64 { return of(f.bare(n).Requests(), name) }
