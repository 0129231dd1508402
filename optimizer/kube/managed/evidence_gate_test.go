package managed

import (
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

const mib = 1 << 20

// pair is a job of two pods, each with the server's container and a proxy of 100m and 32Mi: 600m and 96Mi requested and
// 1100m and 288Mi at most, or where requests are limits 600m and 288Mi of both.
func pair(guaranteed bool, b fleet.Bounds) *job {
	requests, limits := fleet.Resources{MilliCPU: 500, Memory: 64 * mib}, fleet.Resources{MilliCPU: 1000, Memory: 256 * mib}
	if guaranteed {
		requests = fleet.Resources{MilliCPU: 500, Memory: 256 * mib}
		limits = requests
	}
	proxy := fleet.Resources{MilliCPU: 100, Memory: 32 * mib}
	shape := fleet.PodShape{Containers: []fleet.Container{
		{Name: container, Role: fleet.Main, Requests: requests, Limits: limits}, {Name: "proxy", Role: fleet.Main, Requests: proxy, Limits: proxy},
	}}
	j := &job{pass: &pass{}, server: quotes()}
	j.seen = fleet.Workload{Ref: ref(j.server), Replicas: 2, Template: shape, Pods: []fleet.Pod{{Name: "1", Shape: shape}, {Name: "2", Shape: shape}}}
	for _, p := range j.seen.Pods {
		j.pods = append(j.pods, pod{name: p.Name, size: size{found: true, requests: requests, limits: limits}})
	}
	b.Namespace = "a"
	j.snapshot.Bounds = []fleet.Bounds{b}
	return j
}

// TestGate: what a namespace says to other settings of two pods, worked out in each row.
func TestGate(t *testing.T) {
	quota := func(line string, hard, used int64) fleet.Bounds {
		return fleet.Bounds{Quotas: []fleet.Quota{{Name: "team", Items: []fleet.QuotaItem{{Name: line, Hard: hard, Used: used, Tracked: true}}}}}
	}
	uncounted := quota("pods", 3, 0)
	uncounted.Quotas[0].Items[0].Tracked = false
	limits := func(r fleet.LimitRange) fleet.Bounds {
		r.Name = "house"
		return fleet.Bounds{LimitRanges: []fleet.LimitRange{r}}
	}
	cpu := func(n int64) fleet.Resources { return fleet.Resources{MilliCPU: n} }
	at := func(replicas int, cpu, limit int64) capacity.Setting {
		return capacity.Setting{Batch: 1, Replicas: replicas, CPU: cpu, Limit: limit, Memory: 64 * mib}
	}
	full := func(replicas int, cpu int64) capacity.Setting {
		return capacity.Setting{Batch: 1, Replicas: replicas, CPU: cpu, Limit: cpu, Memory: 256 * mib}
	}
	same := at(2, 500, 1000)
	memory := same
	memory.Memory = 128 * mib
	for _, tt := range []struct {
		name       string
		guaranteed bool
		b          fleet.Bounds
		at         capacity.Setting
		want       string // empty: it lets them through
	}{
		{"a third pod of three", false, quota("pods", 3, 2), at(3, 500, 1000), ""},
		{"a fourth of three", false, quota("pods", 3, 2), at(4, 500, 1000), "ResourceQuota team: all pods together would take 4 of pods; it leaves 3"},
		{"a fourth of three, counted as objects", false, quota("count/pods", 3, 2), at(4, 500, 1000), "would take 4 of count/pods; it leaves 3"},
		{"limits of three pods, 3300m, beside 1100m of others", false, quota("limits.cpu", 4400, 3300), at(3, 500, 1000), ""},
		{"limits of four pods, 4400m, beside as much", false, quota("limits.cpu", 4400, 3300), at(4, 500, 1000), "would take 4.4 of limits.cpu; it leaves 3.3"},
		{"limits of memory of two pods, 576Mi, are all there is", false, quota("limits.memory", 576*mib, 576*mib), at(3, 500, 1000), "would take 864Mi of limits.memory; it leaves 576Mi"},
		{"requests with those of the proxy, 2 x 750m", false, quota("requests.cpu", 1500, 1200), at(2, 650, 1000), ""},
		{"a little more", false, quota("requests.cpu", 1500, 1200), at(2, 660, 1000), "would take 1.52 of requests.cpu; it leaves 1.5"},
		{"memory, 2 x 160Mi", false, quota("requests.memory", 300*mib, 192*mib), memory, "would take 320Mi of requests.memory; it leaves 300Mi"},
		{"what is over a quota may stay", false, quota("requests.cpu", 1000, 1200), same, ""},
		{"and become less", false, quota("requests.cpu", 1000, 1200), at(2, 450, 1000), ""},
		{"but not more", false, quota("requests.cpu", 1000, 1200), at(2, 505, 1000), "it leaves 1"},
		{"one pod of 1 core for two of 0.6", false, quota("requests.cpu", 1200, 1200), at(1, 900, 1000), ""},
		{"four of 200m, of which two come with 600m: 1600m", false, quota("requests.cpu", 1600, 1200), at(4, 100, 1000), ""},
		{"the same where there is less", false, quota("requests.cpu", 1500, 1200), at(4, 100, 1000), "would take 1.6 of requests.cpu; it leaves 1.5"},
		{"a line that is not counted yet", false, uncounted, at(3, 500, 1000), "ResourceQuota team: its controller has not counted pods yet"},
		{"of which nothing is asked", false, uncounted, same, ""},
		{"a line that counts no pods", false, quota("services", 1, 1), at(4, 500, 1000), ""},
		{"below the least of a container", false, limits(fleet.LimitRange{Type: "Container", Min: cpu(100)}), at(2, 50, 1000), "LimitRange house: cpu of model-server 50m -> 100m (min)"},
		{"the least of a container", false, limits(fleet.LimitRange{Type: "Container", Min: cpu(100)}), at(2, 100, 1000), ""},
		{"below the least of a pod, 150m and the proxy's", false, limits(fleet.LimitRange{Type: "Pod", Min: cpu(300)}), at(2, 150, 1000), "LimitRange house: cpu of model-server 150m -> 200m (min of the pod)"},
		{"a limit of five requests, where four may be", false, limits(fleet.LimitRange{Type: "Container", MaxLimitRequestRatio: fleet.Ratio{CPU: 4000}}), at(2, 200, 1000), "maxLimitRequestRatio 4"},
		{"of four", false, limits(fleet.LimitRange{Type: "Container", MaxLimitRequestRatio: fleet.Ratio{CPU: 4000}}), at(2, 250, 1000), ""},
		{"more than a container may have", true, limits(fleet.LimitRange{Type: "Container", Max: cpu(500)}), full(2, 600), "of model-server 600m -> 500m (max)"},
		{"more than a pod may have, 650m and the proxy's", true, limits(fleet.LimitRange{Type: "Pod", Max: cpu(700)}), full(2, 650), "LimitRange house"},
		{"all that a pod may have", true, limits(fleet.LimitRange{Type: "Pod", Max: cpu(700)}), full(2, 600), ""},
		{"a pod that comes and breaks a younger range, by its proxy", false, limits(fleet.LimitRange{Type: "Container", Min: cpu(200)}), at(3, 500, 1000), "container proxy asks for 100m of cpu, below the min of 200m"},
		{"those that are there may stay", false, limits(fleet.LimitRange{Type: "Container", Min: cpu(200)}), same, ""},
	} {
		g, ok := pair(tt.guaranteed, tt.b).gate()
		if !ok {
			t.Fatalf("%s: nothing is known", tt.name)
		}
		got := strings.Join(g.refuses(tt.at), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestGateLeast: the smallest request that a plan may choose, and none where what there is breaks the rule already.
func TestGateLeast(t *testing.T) {
	for _, tt := range []struct {
		name       string
		guaranteed bool
		r          fleet.LimitRange
		want       fleet.Resources
	}{
		{"no bound", false, fleet.LimitRange{Type: "Container"}, fleet.Resources{}},
		{"of a container", false, fleet.LimitRange{Type: "Container", Min: fleet.Resources{MilliCPU: 90, Memory: 32 * mib}}, fleet.Resources{MilliCPU: 90, Memory: 32 * mib}},
		{"of a pod, with the proxy's", false, fleet.LimitRange{Type: "Pod", Min: fleet.Resources{MilliCPU: 300, Memory: 64 * mib}}, fleet.Resources{MilliCPU: 200, Memory: 32 * mib}},
		{"a quarter of the limit", false, fleet.LimitRange{Type: "Container", MaxLimitRequestRatio: fleet.Ratio{CPU: 4000}}, fleet.Resources{MilliCPU: 250}},
		{"where the limit follows", true, fleet.LimitRange{Type: "Container", Min: fleet.Resources{MilliCPU: 90}}, fleet.Resources{MilliCPU: 90}},
		{"more than there is", false, fleet.LimitRange{Type: "Container", Min: fleet.Resources{MilliCPU: 600}}, fleet.Resources{}},
	} {
		tt.r.Name = "house"
		g, ok := pair(tt.guaranteed, fleet.Bounds{LimitRanges: []fleet.LimitRange{tt.r}}).gate()
		if got := g.least(); !ok || !got.Equal(tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestGateKnowsNothing of a namespace or a Deployment that was not seen.
func TestGateKnowsNothing(t *testing.T) {
	unseen, elsewhere, empty := pair(false, fleet.Bounds{}), pair(false, fleet.Bounds{}), pair(false, fleet.Bounds{})
	unseen.seen, elsewhere.snapshot.Bounds[0].Namespace, empty.pods = fleet.Workload{}, "b", nil
	for name, j := range map[string]*job{"unseen": unseen, "elsewhere": elsewhere, "without pods": empty} {
		if _, ok := j.gate(); ok {
			t.Errorf("%s: it is as if all were known", name)
		}
	}
}

// TestTunesWithinLimitRange: a server whose namespace asks for 600m a container at least is tuned to that, and no step is
// begun that would be refused. Without the range it asks for less.
func TestTunesWithinLimitRange(t *testing.T) {
	const least = 600
	for _, ranged := range []bool{false, true} {
		r := manned(t, roomy())
		if ranged {
			r.bounds = []fleet.Bounds{{Namespace: "a", LimitRanges: []fleet.LimitRange{{Name: "house", Type: "Container", Min: fleet.Resources{MilliCPU: least}}}}}
		}
		for range 60 {
			r.flow()
			r.carryOut()
		}
		smallest := r.state().Setting.CPU
		for _, e := range r.entries() {
			if e.Outcome != optimizer.Done {
				t.Errorf("%s: %s, %s", e.Change.Words(), e.Outcome, e.Detail)
			}
			for _, c := range e.Change.To.Template.Containers {
				smallest = min(smallest, c.Requests.MilliCPU)
			}
		}
		if s := r.state(); s.Phase != capacity.Settled || (smallest >= least) != ranged {
			t.Errorf("a range %v: %s at %+v, %dm at the least; %q", ranged, s.Phase, s.Setting, smallest, s.Steps())
		}
	}
}

// TestDistinct: of pods that ask for the same one is looked at, the first.
func TestDistinct(t *testing.T) {
	j := pair(false, fleet.Bounds{})
	third := j.pods[0]
	third.name, third.limits = "3", fleet.Resources{MilliCPU: 2000}
	all := distinct([]pod{j.pods[0], j.pods[1], third, j.pods[0]})
	if len(all) != 2 || all[0].name != "1" || all[1].name != "3" {
		t.Errorf("%+v", all)
	}
}
