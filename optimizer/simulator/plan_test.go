package simulator

import (
	"context"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/recommender"
)

// calendarFleet is one workload with a peak every morning, sized by price.
const calendarFleet = `apiVersion: trimtab.dev/v1alpha1
kind: Fleet
metadata: {name: calendar}
start: "2026-03-02T00:00:00Z"
weeks: 2
nodes:
- {name: pool, count: 2, instanceType: m5.2xlarge, region: us-east-1, allocatable: {cpu: 7910m, memory: 29Gi}}
namespaces:
- {name: ml}
policies:
- apiVersion: trimtab.dev/v1alpha1
  kind: Policy
  metadata: {name: by-price}
  spec:
    selector: {namespaces: [ml]}
    mode: enforce
    minHistory: 24h
    rightSizing: {rule: priced, changesPerDay: 4}
    replicas: {enabled: false}
workloads:
- name: mornings
  namespace: ml
  class: online
  image: example.com/mornings:1
  replicas: 1
  nodes: pool
  requests: {cpu: "2", memory: 1Gi}
  limits: {memory: 2Gi}
  usage:
    work: {base: 0.1, peak: 1.2, hours: 9-11}
    idleCPU: 10m
    memory: {base: 300Mi}
`

// fortnight runs enforcing passes for two weeks, every half hour and in the second week every ten minutes: what is
// learnt from the first is the same. It shows the cluster after each pass of the second, when all began, and its plan.
func fortnight(t *testing.T, text string, show func(c *Cluster, begin time.Time, plan optimizer.Plan)) []optimizer.Entry {
	t.Helper()
	c, err := New([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	ctx, book := context.Background(), &ledger.Memory{}
	cycle := &optimizer.Cycle{Cluster: c, Usage: c, Ledger: book, Actuator: c, Prices: cost.Builtin(), History: recommender.NewHistory()}
	const every, week = 10 * time.Minute, 7 * 24 * time.Hour
	begin := c.Now()
	for c.Now().Sub(begin) < 2*week {
		c.Advance(every)
		if c.Now().Sub(begin) < week {
			c.Advance(2 * every)
		}
		plan, err := cycle.Run(ctx, c.Now(), true)
		if err != nil {
			t.Fatal(err)
		}
		if c.Now().Sub(begin) > week {
			show(c, begin, plan)
		}
	}
	entries, _ := book.Entries(ctx)
	return entries
}

// TestPlanFollowsTheDay: in the second week no minute of the peak finds a request that is too small, and the day is
// not paid for at its peak.
func TestPlanFollowsTheDay(t *testing.T) {
	var held, missed, passes float64
	entries := fortnight(t, calendarFleet, func(c *Cluster, begin time.Time, plan optimizer.Plan) {
		for _, u := range plan.Assessments[0].Use {
			if u.Plain != (u.Signal == fleet.CPU || u.Signal == fleet.Memory) {
				t.Fatalf("a plan by price reads no percentiles of CPU and memory; kept without them: %t of %s", u.Plain, u.Signal)
			}
		}
		w := workload(t, c)
		request := float64(w.Pods[0].Shape.Containers[0].Requests.MilliCPU) / 1000
		if use := c.models[0].work.level(c.Now(), begin) + 0.01; use > request {
			missed++
		}
		held, passes = held+request, passes+1
	})
	if missed != 0 {
		t.Errorf("in %g of %g passes more was used than requested", missed, passes)
	}
	if mean := held / passes; mean < 0.15 || mean > 0.4 { // two hours of 1.2 and 22 of 0.1 are 0.19
		t.Errorf("%.3f cores were requested on average", mean)
	}
	if n := len(entries); n < 20 || n > 14*4+2 {
		t.Errorf("%d changes in two weeks", n)
	}
	var saved cost.Money
	for i, e := range entries {
		if saved += e.Change.Saving.Amount; i > 2 && (e.Change.Saving.Amount > cost.Dollar || e.Change.Saving.Amount < -cost.Dollar) {
			t.Errorf("change %s counts as %s a month, though the plan's saving was counted when it began", e.ID, e.Change.Saving.Amount)
		}
		if e.Outcome == optimizer.Failed || len(e.Change.Reasons) != 1 || e.Change.Reasons[0] != fleet.CPUPlan {
			t.Fatalf("change %s: %s, %v", e.ID, e.Outcome, e.Change.Reasons)
		}
	}
	if saved <= 0 || saved > 50*cost.Dollar { // 2 cores and 1 GiB cost $49 a month
		t.Errorf("all changes together save %s a month", saved)
	}
}

func workload(t *testing.T, c *Cluster) fleet.Workload {
	t.Helper()
	seen, err := c.Observe(context.Background())
	if err != nil || len(seen.Workloads) != 1 {
		t.Fatalf("%d workloads, %v", len(seen.Workloads), err)
	}
	return seen.Workloads[0]
}
