package recommender

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sizing"
)

// Plans is what stands of each container that is sized by price: what is in force, what of its budget of changes is
// left, and how far outlooks were right. It lives beside the History, which is only read by it. It is not safe for
// use by several goroutines at once.
type Plans struct {
	workloads map[fleet.Ref][]*standing // each sorted by container
	planners  map[plannerKey]*sizing.Planner
	last      plannerKey // asked for, and its planner: a policy has many workloads
	planner   *sizing.Planner
	policies  map[Options]*Options
	policy    *Options // asked for last
}

// standing is what stands of one container.
type standing struct {
	container string
	cpu       sizing.Standing
	memory    sizing.MemoryStanding
	fit       *fit // what it came to last; nil: nothing yet
	on        grounds
	sure      [2]sure // of its CPU and its memory
}

// sure is the hour in which a signal was found to be measured for as long as a policy asks, and how long that is.
type sure struct {
	hour int64 // since 1970
	need time.Duration
}

// sureOf is that of CPU or memory; of another signal none is kept.
func (st *standing) sureOf(signal fleet.Signal) *sure {
	switch signal {
	case fleet.CPU:
		return &st.sure[0]
	case fleet.Memory:
		return &st.sure[1]
	}
	return new(sure)
}

// plannerKey tells options apart: a zone that was looked up twice is two pointers.
type plannerKey struct {
	o    sizing.Options // without its zone
	zone string
}

// NewPlans is plans of nothing.
func NewPlans() *Plans {
	return &Plans{workloads: map[fleet.Ref][]*standing{}, planners: map[plannerKey]*sizing.Planner{}, policies: map[Options]*Options{}}
}

// Forget drops what stands of containers of which the history knows nothing any more.
func (p *Plans) Forget(h *History) {
	for ref, list := range p.workloads {
		p.workloads[ref] = slices.DeleteFunc(list, func(s *standing) bool {
			_, known := h.series(ref, s.container, fleet.CPU)
			return !known
		})
		if len(p.workloads[ref]) == 0 {
			delete(p.workloads, ref)
		}
	}
}

// of is what stands of a container, from now on if nothing did.
func (p *Plans) of(ref fleet.Ref, container string) *standing {
	list := p.workloads[ref]
	i, known := findStanding(list, container)
	if !known {
		list = slices.Insert(list, i, &standing{container: container})
		p.workloads[ref] = list
	}
	return list[i]
}

func findStanding(list []*standing, container string) (int, bool) {
	return slices.BinarySearchFunc(list, container, func(s *standing, name string) int { return strings.Compare(s.container, name) })
}

// plannerFor is the one for options of a policy.
func (p *Plans) plannerFor(o sizing.Options) *sizing.Planner {
	key := plannerKey{o, cmp.Or(o.Zone, time.UTC).String()}
	key.o.Zone = nil
	if p.planner != nil && key == p.last {
		return p.planner
	}
	planner, ok := p.planners[key]
	if !ok {
		planner = sizing.NewPlanner(o)
		p.planners[key] = planner
	}
	p.last, p.planner = key, planner
	return planner
}

// policyFor is one place for options that are alike, without plans, which have occasions of their own, and without
// nodes, which come and go.
func (p *Plans) policyFor(o Options) *Options {
	o.Priced, o.Forecast, o.SpotNodes = nil, nil, 0
	if p.policy != nil && *p.policy == o {
		return p.policy
	}
	kept, ok := p.policies[o]
	if !ok {
		kept = new(Options)
		*kept = o
		p.policies[o] = kept
	}
	p.policy = kept
	return kept
}

// plan is one container's CPU and what is asked about it.
type plan struct {
	planner      *sizing.Planner
	profile      *sizing.Profile
	standing     *sizing.Standing
	pace         Pace
	at           int64   // in the plan's time
	live, latest float64 // cores
}

// plan asks about the CPU of a container that requests live cores, by a policy's options.
func (p *Plans) plan(st *standing, s *series, o sizing.Options, now time.Time, live float64) plan {
	return plan{p.plannerFor(o), s.profile(), &st.cpu, s.pace(), s.pace().planned(now.Unix()), live, s.latest()}
}

func (p plan) due() (due, ok bool) {
	return p.planner.Due(p.profile, p.standing, p.at, p.live, p.latest)
}

func (p plan) advise() sizing.Explanation {
	e, _ := p.planner.Advise(p.profile, p.standing, p.at, p.live, p.latest)
	e.Steps = p.pace.steps(e.Steps)
	return e
}

// advised is the advice on its memory, of which live bytes are requested.
func (st *standing) advised(s *series, o sizing.MemoryOptions, now time.Time, live float64) sizing.MemoryAdvice {
	return o.Advise(s.memory(), &st.memory, s.pace().planned(now.Unix()), live)
}
