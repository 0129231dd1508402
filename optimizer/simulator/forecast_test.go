package simulator

import (
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// diurnalFleet is one workload with many requests in the daytime, whose replicas follow them. One answers 40 a second
// at most, and 24 within 25 ms.
const diurnalFleet = `apiVersion: trimtab.dev/v1alpha1
kind: Fleet
metadata: {name: diurnal}
start: "2026-03-02T00:00:00Z"
weeks: 2
nodes:
- {name: pool, count: 4, instanceType: m5.2xlarge, region: us-east-1, allocatable: {cpu: 7910m, memory: 29Gi}}
namespaces:
- {name: ml}
policies:
- apiVersion: trimtab.dev/v1alpha1
  kind: Policy
  metadata: {name: by-forecast}
  spec:
    selector: {namespaces: [ml]}
    mode: enforce
    minHistory: 24h
    staleAfter: 15m
    rightSizing: {enabled: false}
    replicas: {rule: forecast, CAPACITY, redundancy: 1, lead: 10m}
workloads:
- name: days
  namespace: ml
  class: online
  image: example.com/days:1
  replicas: 8
  nodes: pool
  requests: {cpu: "1", memory: 1Gi}
  limits: {cpu: "2", memory: 2Gi}
  usage:
    requests: {base: 20, peak: 120, hours: 7-19, noise: 0.05}
    cpuPerRequest: 10ms
    idleCPU: 10m
    latency: {base: 10ms, limit: 40}
    startup: 5m
    memory: {base: 300Mi}
`

// diurnalRun is what came of two weeks of passes.
type diurnalRun struct {
	windows, over   int     // of the second week; over: more requests than the pods that were up answer in time
	sum             float64 // of replicas
	atNoon, atNight int32   // at 12:50 and at 03:50 of the last day
	entries         []optimizer.Entry
}

func runDiurnal(t *testing.T, text string) (r diurnalRun) {
	t.Helper()
	r.entries = fortnight(t, text, func(c *Cluster, _ time.Time, _ optimizer.Plan) { r.count(c, workload(t, c)) })
	return r
}

func (r *diurnalRun) count(c *Cluster, w fleet.Workload) {
	m := c.models[0]
	const answers = 24 // requests a second of a pod within 25 ms: 10 ms / (1 - 24/40)
	r.windows++
	if m.demand(c.Now().Add(-Step/2), c.start, c.dice.of(m.UID)).rate > answers*float64(w.Ready()) {
		r.over++
	}
	r.sum += float64(w.Replicas)
	switch c.Now().Hour() {
	case 3:
		r.atNight = w.Replicas
	case 12:
		r.atNoon = w.Replicas
	}
}

// TestReplicasFollowTheDay: 120 a second at noon are five replicas of 24 and one to lose, 20 at night one and one. In
// the second week no window brings more than those that are up answer in time, though a new one takes five minutes.
func TestReplicasFollowTheDay(t *testing.T) {
	for _, c := range []struct {
		name, capacity string
		night, noon    int32   // at most at night, at least at noon
		mean           float64 // at most
	}{
		{"capacity by the policy", "capacity: 24", 3, 6, 5.5},
		{"capacity measured", "latency: 25ms", 4, 6, 7},
	} {
		r := runDiurnal(t, strings.Replace(diurnalFleet, "CAPACITY", c.capacity, 1))
		mean := r.sum / float64(r.windows)
		if r.over > 0 || mean > c.mean || r.atNight > c.night || r.atNoon < c.noon {
			t.Errorf("%s: %d of %d windows over capacity, %.2f replicas on average, %d at night, %d at noon", c.name, r.over, r.windows, mean, r.atNight, r.atNoon)
		}
		if n := len(r.entries); n < 7*4 || n > 14*12 {
			t.Errorf("%s: %d changes in two weeks", c.name, n)
		}
		var saved cost.Money
		for i, e := range r.entries {
			if saved += e.Change.Saving.Amount; i > 2 && e.Change.Saving.Amount != 0 {
				t.Errorf("%s: change %s counts as %s a month, though what is saved on average was counted when it began", c.name, e.ID, e.Change.Saving.Amount)
			}
			if e.Outcome == optimizer.Failed || len(e.Change.Reasons) != 1 || e.Change.Reasons[0] != fleet.ReplicaForecast {
				t.Fatalf("%s: change %s: %s, %v", c.name, e.ID, e.Outcome, e.Change.Reasons)
			}
		}
		if saved <= 0 || saved > 200*cost.Dollar { // 8 replicas of 1 core and 1 GiB cost $270 a month
			t.Errorf("%s: all changes together save %s a month", c.name, saved)
		}
	}
}
