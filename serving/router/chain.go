package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// chain is models one after the other.
type chain struct {
	name  string
	slo   time.Duration
	steps []step
}

// step is a model of a chain, in any of its versions that may get the chain's requests.
type step struct {
	name, version string
	family        *family
	wires         map[pair][]int // for each pair of versions, here and in the step before: the output of each input
}

type pair struct{ from, to *Entry }

// entries are the versions that the step may run.
func (s step) entries() []*Entry {
	if s.version != "" {
		return []*Entry{s.family.version(s.version)}
	}
	return slices.DeleteFunc(slices.Clone(s.family.entries), func(e *Entry) bool { return e.Weight == 0 })
}

func (s step) next(key string) *Entry {
	if s.version != "" {
		return s.family.version(s.version)
	}
	return s.family.next(key)
}

// newChain joins the steps. It returns every fault: what a step gives and the next cannot take, in whatever
// versions.
func (t *table) newChain(c ChainConfig) (*chain, error) {
	ch := &chain{name: c.Name, slo: c.SLO}
	var faults []error
	for i, target := range c.Steps {
		name, version := splitTarget(target)
		s := step{name: name, version: version, family: t.models[name], wires: map[pair][]int{}}
		if i > 0 {
			faults = append(faults, s.join(ch.steps[i-1], fmt.Sprintf("chain %q", c.Name)))
		}
		ch.steps = append(ch.steps, s)
	}
	return ch, errors.Join(faults...)
}

func (s step) join(before step, where string) error {
	var faults []error
	for _, from := range before.entries() {
		for _, to := range s.entries() {
			wire, err := connect(from.meta, to.meta)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: from %s %s to %s %s: %w", where, from.Name, from.Version, to.Name, to.Version, err))
			}
			s.wires[pair{from, to}] = wire
		}
	}
	return errors.Join(faults...)
}

// connect finds the output for each input, by name, or by position where there is one of each.
func connect(from, to runtime.Meta) ([]int, error) {
	if len(from.Outputs) == 1 && len(to.Inputs) == 1 {
		return []int{0}, fits(from.Outputs[0], to.Inputs[0])
	}
	var wire []int
	var faults []error
	for _, in := range to.Inputs {
		i := slices.IndexFunc(from.Outputs, func(out runtime.Spec) bool { return out.Name == in.Name })
		if i < 0 {
			faults = append(faults, fmt.Errorf("nothing gives input %q; the outputs are %s", in.Name, names(from.Outputs)))
			continue
		}
		wire = append(wire, i)
		faults = append(faults, fits(from.Outputs[i], in))
	}
	return wire, errors.Join(faults...)
}

// fits tells when in cannot be out. A dimension of any length may turn out to be the right one.
func fits(out, in runtime.Spec) error {
	same := len(out.Shape) == len(in.Shape)
	for i := 0; same && i < len(in.Shape); i++ {
		same = out.Shape[i] == in.Shape[i] || out.Shape[i] < 0 || in.Shape[i] < 0
	}
	if out.Type == in.Type && same {
		return nil
	}
	return fmt.Errorf("output %q is %s %v; input %q takes %s %v", out.Name, out.Type, out.Shape, in.Name, in.Type, in.Shape)
}

func names(specs []runtime.Spec) []string {
	var out []string
	for _, s := range specs {
		out = append(out, s.Name)
	}
	return out
}

// run is a chain with the versions that one request gets. It holds them, and is a Target.
type run struct {
	chain   *chain
	entries []*Entry
}

// newest is the chain of the newest versions. It holds none of them: it is good for what they say of themselves.
func (c *chain) newest() *run {
	r := &run{chain: c}
	for _, s := range c.steps {
		entries := s.entries()
		r.entries = append(r.entries, entries[len(entries)-1])
	}
	return r
}

// hold takes one version of each step; false when one was let go meanwhile.
func (c *chain) hold(key string) (*run, bool) {
	r := &run{chain: c, entries: make([]*Entry, 0, len(c.steps))}
	for _, s := range c.steps {
		e := s.next(key)
		if !e.held.hold() {
			r.release()
			return nil, false
		}
		r.entries = append(r.entries, e)
	}
	return r, true
}

func (r *run) release() {
	for _, e := range r.entries {
		e.held.unhold()
	}
}

// About is the chain's name and the versions of its steps.
func (r *run) About() (name, version string) {
	for i, e := range r.entries {
		if i > 0 {
			version += "+"
		}
		version += e.Version
	}
	return r.chain.name, version
}

// chainPlatform is the platform in a chain's metadata.
const chainPlatform = "trimtab_chain"

// Meta takes what the first step takes and gives what the last gives.
func (r *run) Meta() runtime.Meta {
	first, last := r.entries[0].meta, r.entries[len(r.entries)-1].meta
	return runtime.Meta{
		Platform: chainPlatform, Inputs: first.Inputs, Outputs: last.Outputs, Features: first.Features,
		Accuracy: last.Accuracy, Measure: last.Measure,
	}
}

// deadline is the request's, or the chain's own when it has none.
func (r *run) deadline(given, now time.Time) time.Time {
	if given.IsZero() && r.chain.slo > 0 {
		return now.Add(r.chain.slo)
	}
	return given
}

// share is the instant at which step i should be done: of what is left at now, as much as its model's
// share of the computing that is left. So no step waits for a larger batch with the time of those after it.
func (r *run) share(i, rows int, deadline, now time.Time) time.Time {
	own, sum := r.entries[i].cost(rows), 0.0
	for _, e := range r.entries[i:] {
		sum += e.cost(rows)
	}
	return now.Add(time.Duration(float64(deadline.Sub(now)) * own / sum))
}

// latest is the instant until which step i has to be done, so that those after it can be in time at all.
func (r *run) latest(i, rows int, deadline time.Time) time.Time {
	for _, e := range r.entries[i+1:] {
		deadline = deadline.Add(-time.Duration(e.cost(rows) * float64(time.Second)))
	}
	return deadline
}

// until are the times of step i. Its share is only what it aims at: who is late there, behind a long queue,
// has time as long as the steps after it leave some.
func (r *run) until(i, rows int, deadline, now time.Time) (due, latest time.Time) {
	if deadline.IsZero() {
		return deadline, deadline
	}
	return r.share(i, rows, deadline, now), r.latest(i, rows, deadline)
}

// cost is what the model will take for a batch of rows rows, in seconds; where nothing is known, 1 ms.
func (e *Entry) cost(rows int) float64 {
	const unknown = 1e-3
	c := e.Engine.Curve()
	if !c.Known() {
		return unknown
	}
	return max(c.Wall.At(float64(rows)), 1e-6)
}

// Room asks every step. A step's rows come later than now, so the answer of a later one is a guess.
func (r *run) Room(rows int, class batch.Class, deadline time.Time) error {
	deadline = r.deadline(deadline, time.Now())
	for i, e := range r.entries {
		until := deadline
		if !until.IsZero() {
			until = r.latest(i, rows, deadline)
		}
		if err := e.Room(rows, class, until); err != nil {
			return fmt.Errorf("chain %s, step %d (%s): %w", r.chain.name, i+1, e.Name, err)
		}
	}
	return nil
}

// Infer runs the steps one after the other, all of them in the request's class and under its deadline.
func (r *run) Infer(ctx context.Context, req engine.Request) ([]runtime.Tensor, error) {
	if at, ok := ctx.Deadline(); ok && (req.Deadline.IsZero() || at.Before(req.Deadline)) {
		req.Deadline = at
	}
	deadline := r.deadline(req.Deadline, time.Now())
	var out []runtime.Tensor
	for i, e := range r.entries {
		if i > 0 {
			req.Inputs = wired(out, r.chain.steps[i].wires[pair{r.entries[i-1], e}])
		}
		req.Due, req.Deadline = r.until(i, req.Rows, deadline, time.Now())
		var err error
		if out, err = e.step(ctx, req, i > 0); err != nil {
			return nil, fmt.Errorf("chain %s, step %d (%s %s): %w", r.chain.name, i+1, e.Name, e.Version, err)
		}
	}
	return out, nil
}

// step runs a request whose inputs the step before gave: those may have lengths that only show now.
func (e *Entry) step(ctx context.Context, req engine.Request, check bool) ([]runtime.Tensor, error) {
	if check {
		rows, err := e.meta.Check(req.Inputs)
		if err != nil {
			return nil, err
		}
		if rows != req.Rows {
			return nil, fmt.Errorf("the step before gave %d rows for %d", rows, req.Rows)
		}
	}
	return e.Infer(ctx, req)
}

func wired(out []runtime.Tensor, wire []int) []runtime.Tensor {
	in := make([]runtime.Tensor, len(wire))
	for i, from := range wire {
		in[i] = out[from]
	}
	return in
}
