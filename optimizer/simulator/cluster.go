package simulator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
)

// Cluster is a simulated fleet at a moment of its virtual clock. It is the optimizer's Cluster, Usage
// and Actuator. It is for one goroutine.
type Cluster struct {
	spec
	now time.Time
}

// New reads a fleet file and stops its clock at the file's start. The error holds every fault.
func New(file []byte) (*Cluster, error) {
	s, err := parse(file, 0)
	if err != nil {
		return nil, err
	}
	return &Cluster{spec: s, now: s.start}, nil
}

// Now is the virtual time.
func (c *Cluster) Now() time.Time { return c.now }

// Advance moves the clock on; it never goes back.
func (c *Cluster) Advance(d time.Duration) { c.now = c.now.Add(max(d, 0)) }

// Observe gives the fleet as of the virtual now, with the use of quotas counted anew.
func (c *Cluster) Observe(context.Context) (fleet.Snapshot, error) {
	s := fleet.Snapshot{At: c.now, Nodes: slices.Clone(c.nodes)}
	for _, m := range c.models {
		if !m.since.After(c.now) {
			s.Workloads = append(s.Workloads, m.seenAt(c.now))
		}
	}
	for _, b := range c.bounds {
		s.Bounds = append(s.Bounds, c.charged(b, s.Workloads))
	}
	return s, nil
}

// seenAt is the workload with its pods ready or not.
func (m model) seenAt(now time.Time) fleet.Workload {
	w := m.Workload
	if m.startup > 0 {
		w.Pods = slices.Clone(w.Pods)
		for i, p := range w.Pods {
			w.Pods[i].Ready = !now.Before(p.Created.Add(m.startup))
		}
	}
	return w
}

// Policies gives the documents of the file as they stand.
func (c *Cluster) Policies(context.Context) ([]policies.Raw, error) {
	return slices.Clone(c.policies), nil
}

// Apply makes a change, on the same conditions as in a cluster: the workload still is what the change
// was decided on, and there is room where its pods are to go. Pods keep their names.
func (c *Cluster) Apply(_ context.Context, ch optimizer.Change) error {
	i := slices.IndexFunc(c.models, func(m model) bool { return m.Ref == ch.Ref })
	if i < 0 {
		return fmt.Errorf("there is no %s", ch.Ref)
	}
	m := c.models[i]
	from, is := ch.From.Current().Requests(), m.Current().Requests()
	if m.Replicas != ch.From.Replicas || m.Capacity != ch.From.Capacity || !is.Equal(from) {
		return fmt.Errorf("%s has changed since it was observed", ch.Ref)
	}
	m.Workload = ch.To
	if ch.To.Capacity != ch.From.Capacity {
		nodes, ok := c.room(m.Workload, len(m.Pods), i)
		if !ok {
			return fmt.Errorf("no %s node has room for another pod of %s; give its pool in the fleet file a larger count", ch.To.Capacity, ch.Ref)
		}
		for p := range m.Pods {
			m.Pods[p].Node = nodes[p]
		}
	}
	if err := c.add(&m); err != nil {
		return err
	}
	c.models[i] = m
	return nil
}

// add makes the pods that a model's replicas ask for beside those that it has.
func (c *Cluster) add(m *model) error {
	missing := int(m.Replicas) - len(m.Pods)
	if missing <= 0 {
		return nil
	}
	nodes, ok := c.room(m.Workload, missing, -1)
	if !ok {
		return fmt.Errorf("no node has room for another pod of %s; give its pool in the fleet file a larger count", m.Ref)
	}
	m.Pods = slices.Clone(m.Pods)
	for _, node := range nodes {
		m.Pods = append(m.Pods, c.pod(*m, len(m.Pods), node, c.now))
	}
	return nil
}

// charged is a namespace's bounds with what its workloads use of the quotas, as the quota controller
// counts; what it does not count is not tracked and never enforced.
func (c *Cluster) charged(b fleet.Bounds, all []fleet.Workload) fleet.Bounds {
	b.Quotas = slices.Clone(b.Quotas)
	for i, q := range b.Quotas {
		b.Quotas[i].Items = slices.Clone(q.Items)
		for j := range q.Items {
			item := &b.Quotas[i].Items[j]
			item.Used, item.Tracked = 0, admission.Counted(item.Name)
			for _, w := range all {
				if w.Ref.Namespace == b.Namespace {
					item.Used += int64(len(w.Pods)) * admission.Charge(w.Current(), item.Name)
				}
			}
		}
	}
	return b
}
