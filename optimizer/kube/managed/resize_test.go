package managed

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// roomy is a document that asks for far too much and lets everything be chosen.
func roomy() policies.Server {
	s := quotes()
	s.Replicas, s.Requests.MilliCPU = 3, 800
	s.Batch.Sizes = []int{1, 8}
	s.Tune = policies.Tune{Replicas: [2]int32{1, 4}, CPU: [2]int64{50, 1000}, Probability: 0.95, Margin: 0.2, Changes: 6}
	return s
}

// manned is a rig whose pods are made by the Deployment's number and resized by a kubelet.
func manned(t *testing.T, s policies.Server) *rig {
	t.Helper()
	r := newRig(t, s)
	r.keep()
	r.controller()
	r.kubelet()
	return r
}

// controller makes as many pods as the Deployment asks for, or takes the last away.
func (r *rig) controller() {
	r.Helper()
	d, err := r.client.AppsV1().Deployments("a").Get(r.Context(), "quotes", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	for i := len(r.pods); i < int(*d.Spec.Replicas); i++ {
		r.pod("quotes", fmt.Sprintf("quotes-%d", i+1), fmt.Sprintf("10.0.0.%d", i+1))
	}
	for i := len(r.pods); i > int(*d.Spec.Replicas); i-- {
		if err := r.client.CoreV1().Pods("a").Delete(r.Context(), fmt.Sprintf("quotes-%d", i), metav1.DeleteOptions{}); err != nil {
			r.Fatal(err)
		}
		delete(r.pods, fmt.Sprintf("10.0.0.%d", i))
	}
}

// live are the server's pods as the API server has them.
func (r *rig) live() []corev1.Pod {
	r.Helper()
	list, err := r.client.CoreV1().Pods("a").List(r.Context(), metav1.ListOptions{})
	if err != nil {
		r.Fatal(err)
	}
	return list.Items
}

// carryOut puts in force what pods ask for, as their kubelet does.
func (r *rig) carryOut() {
	r.Helper()
	for _, p := range r.live() {
		r.change(p.Name, func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].Resources = p.Spec.Containers[0].Resources.DeepCopy()
		})
	}
}

// flow is a pass after 5 s in which the pods together answered 2,000 requests, and what follows from it.
func (r *rig) flow() []optimizer.Kept {
	r.Helper()
	r.now = r.now.Add(5 * time.Second)
	for _, p := range r.pods {
		p.serve(2000 / int64(len(r.pods)))
		part := fmt.Sprintf(`"rate":%d,"burst":1,"peak":%d`, 400/len(r.pods), 460/len(r.pods))
		p.curve = strings.Replace(steady, `"rate":400,"burst":1,"peak":460`, part, 1)
	}
	rows, _ := r.keep()
	r.controller()
	r.kubelet()
	return rows
}

// TestWholeTuning: batch size, requests and replicas are found step by step, each in the ledger, none with
// a rollout.
func TestWholeTuning(t *testing.T) {
	r := manned(t, roomy())
	for range 60 {
		r.flow()
		r.carryOut()
	}
	s := r.state()
	at, all := s.Setting, r.entries()
	was, is := 3*800, at.Replicas*int(at.CPU)
	if s.Phase != capacity.Settled || is*2 > was || at.Batch != 8 || len(all) == 0 || len(all) > 5 {
		t.Fatalf("%s at %+v after %d changes: %dm of %dm; %q", s.Phase, at, len(all), is, was, s.Steps())
	}
	var words []string
	for _, e := range all {
		words = append(words, e.Change.Words())
		if e.Outcome != optimizer.Done || !strings.Contains(e.Detail, "-> predicted $") || !strings.Contains(e.Detail, ", realised $") {
			t.Errorf("%s %s: %s", e.Change.Words(), e.Outcome, e.Detail)
		}
	}
	text := strings.Join(words, " | ")
	for _, want := range []string{"batch size 1 -> 8", "model-server cpu 800m -> ", "replicas 3 -> "} {
		if !strings.Contains(text, want) {
			t.Errorf("the changes are %s, without %s", text, want)
		}
	}
	d, err := r.client.AppsV1().Deployments("a").Get(t.Context(), "quotes", metav1.GetOptions{})
	if err != nil || int(*d.Spec.Replicas) != at.Replicas || d.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu().MilliValue() != 800 {
		t.Errorf("the Deployment asks for %v, %v", d.Spec, err)
	}
	for _, p := range r.live() {
		if got := p.Spec.Containers[0].Resources; got.Requests.Cpu().MilliValue() != at.CPU || got.Requests.Memory().Value() != 64<<20 || got.Limits.Cpu().MilliValue() != 1000 {
			t.Errorf("pod %s asks for %v", p.Name, got)
		}
	}
	for i, e := range all {
		c := e.Change
		if saves := c.Saving.Amount > 0; saves != (strings.Contains(c.Words(), "cpu") || strings.Contains(c.Words(), "replicas")) {
			t.Errorf("change %d, %s, saves %s a month", i, c.Words(), c.Saving.Amount)
		}
	}
	// A pod that appears later gets the requests too, and nobody is counted as changed for that.
	name := fmt.Sprintf("quotes-%d", at.Replicas)
	if err := r.client.CoreV1().Pods("a").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	delete(r.pods, fmt.Sprintf("10.0.0.%d", at.Replicas))
	r.controller()
	r.kubelet()
	r.flow()
	if got := r.live()[at.Replicas-1].Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); got != at.CPU || len(r.entries()) != len(all) {
		t.Errorf("a later pod asks for %dm of %dm; %d entries", got, at.CPU, len(r.entries()))
	}
	// The document takes its wishes back: the pods get what it asks for again.
	r.set.Servers[0].Tune = policies.Tune{}
	r.set.Servers[0].Batch.Sizes = nil
	for range 4 {
		r.flow()
		r.carryOut()
	}
	for _, p := range r.live() {
		if got := p.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(); got != 800 {
			t.Errorf("pod %s still asks for %dm", p.Name, got)
		}
	}
	if len(r.pods) != 3 {
		t.Errorf("%d pods, the document asks for 3", len(r.pods))
	}
	r.client.ClearActions()
	r.flow()
	if w := writes(r.client.Actions()); len(w) > 0 {
		t.Errorf("nothing is to be tuned, and yet written: %q", w)
	}
}

// onlyRequests lets nothing but the CPU request be chosen.
func onlyRequests() policies.Server {
	s := roomy()
	s.Batch.Sizes, s.Tune.Replicas = nil, [2]int32{}
	return s
}

// toResize lets a tuning go on to the step that resizes pods.
func (r *rig) toResize() {
	r.Helper()
	for range 60 {
		if s := r.state(); s.Phase == capacity.Changing && s.Step.From.CPU != s.Step.To.CPU {
			return
		}
		r.flow()
		r.carryOut()
	}
	r.Fatalf("nothing is resized: %q", r.state().Steps())
}

// TestResizeWrites exactly what differs, of the very pod that was seen, and waits until its kubelet has it.
func TestResizeWrites(t *testing.T) {
	r := manned(t, onlyRequests())
	r.toResize()
	r.client.ClearActions()
	rows := r.flow()
	to := r.state().Setting.CPU
	n := 0
	for _, a := range r.client.Actions() {
		if p, ok := a.(k8stesting.PatchAction); ok && p.GetSubresource() == "resize" {
			want := fmt.Sprintf(`[{"op":"test","path":"/metadata/uid","value":"uid-%s"},{"op":"test","path":"/spec/containers/0/name","value":"model-server"},`+
				`{"op":"add","path":"/spec/containers/0/resources/requests/cpu","value":"%dm"}]`, p.GetName(), to)
			if n++; string(p.GetPatch()) != want {
				t.Errorf("wrote %s, want %s", p.GetPatch(), want)
			}
		}
	}
	if n != len(r.pods) {
		t.Errorf("%d of %d pods were resized", n, len(r.pods))
	}
	for range 3 { // their kubelets have not carried it out
		rows = r.flow()
	}
	if got := row(t, rows, "ConfigMap").Detail; !strings.HasSuffix(got, " to be resized in place") || r.state().Phase != capacity.Changing {
		t.Errorf("%s, %q", r.state().Phase, got)
	}
	r.carryOut()
	under := corev1.PodCondition{Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue}
	r.change("quotes-2", func(p *corev1.Pod) { p.Status.Conditions = append(p.Status.Conditions, under) })
	r.flow()
	if s := r.state(); s.Phase != capacity.Changing {
		t.Errorf("one is still being resized, and it is %s", s.Phase)
	}
	r.change("quotes-2", func(p *corev1.Pod) { p.Status.Conditions = p.Status.Conditions[:1] })
	r.flow()
	if s := r.state(); s.Phase != capacity.Comparing {
		t.Errorf("all have it, and it is %s", s.Phase)
	}
}

// TestResizeRefused: what can never be had ends the step at once, anything else after a while.
func TestResizeRefused(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	unknown := &apierrors.StatusError{ErrStatus: metav1.Status{Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404, Message: "the server could not find the requested resource"}}
	for name, tt := range map[string]struct {
		happens func(*rig)
		says    string
		later   bool
	}{
		"forbidden": {func(r *rig) {
			r.refuse("patch", "pods", apierrors.NewForbidden(pods, "q", errors.New("exceeded quota")))
		}, "exceeded quota", false},
		"no resize":   {func(r *rig) { r.refuse("patch", "pods", unknown) }, "which came with Kubernetes 1.33", false},
		"unavailable": {func(r *rig) { r.refuse("patch", "pods", apierrors.NewServiceUnavailable("away")) }, "away", true},
		"infeasible": {func(r *rig) {
			r.flow()
			r.change("quotes-1", func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible, Message: "node is too small"})
			})
		}, "node is too small", false},
		"deferred": {func(r *rig) {
			r.flow()
			r.change("quotes-1", func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonDeferred})
			})
		}, "quotes-1", true},
		"it would restart": {func(r *rig) {
			r.change("quotes-1", func(p *corev1.Pod) {
				p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceCPU, RestartPolicy: corev1.RestartContainer}}
			})
		}, "would restart pod quotes-1; set resizePolicy NotRequired", false},
		"another container": {func(r *rig) { r.change("quotes-1", func(p *corev1.Pod) { p.Spec.Containers[0].Name = "x" }) }, "pod quotes-1 has no container model-server", false},
	} {
		r := manned(t, onlyRequests())
		r.toResize()
		tt.happens(r)
		r.flow()
		if s := r.state(); tt.later != (s.Phase == capacity.Changing) {
			t.Errorf("%s: %s, %q", name, s.Phase, s.Why)
		}
		if tt.later {
			r.now = r.now.Add(11 * time.Minute)
			r.flow()
		}
		s, all := r.state(), r.entries()
		if s.Phase != capacity.TakingBack || s.Setting.CPU != 800 || !strings.Contains(s.Why, tt.says) || all[len(all)-2].Outcome != optimizer.Failed {
			t.Errorf("%s: %s at %+v, %q; entries %d", name, s.Phase, s.Setting, s.Why, len(all))
		}
	}
}

// TestAsks: what a pod is to ask for, by what may be chosen and by its class of quality.
func TestAsks(t *testing.T) {
	const mib = 1 << 20
	free := capacity.Room{CPU: [2]int64{50, 1000}, Memory: [2]int64{1, 1 << 40}}
	at := capacity.Setting{CPU: 200, Limit: 1000, Memory: 96 * mib}
	burst := pod{size: size{requests: fleet.Resources{MilliCPU: 500, Memory: 64 * mib}, limits: fleet.Resources{MilliCPU: 1000, Memory: 256 * mib}}}
	firm := pod{size: size{requests: fleet.Resources{MilliCPU: 500, Memory: 64 * mib}, limits: fleet.Resources{MilliCPU: 500, Memory: 64 * mib}}}
	bare := pod{size: size{requests: fleet.Resources{MilliCPU: 500, Memory: 64 * mib}}}
	half := burst
	half.limits.Memory = 64 * mib
	lower := at
	lower.Memory = 32 * mib
	firmAt := at
	firmAt.Limit = 200
	for _, tt := range []struct {
		name string
		room capacity.Room
		at   capacity.Setting
		p    pod
		want [4]int64 // millicores and MiB of requests, then of limits
	}{
		{"burstable", free, at, burst, [4]int64{200, 96, 1000, 256}},
		{"guaranteed: the limits go along", free, firmAt, firm, [4]int64{200, 96, 200, 96}},
		{"memory alone is as its limit", free, lower, half, [4]int64{200, 32, 1000, 64}},
		{"without limits", free, at, bare, [4]int64{200, 96, 0, 0}},
		{"only CPU may be chosen", capacity.Room{CPU: free.CPU}, at, burst, [4]int64{200, 64, 1000, 256}},
		{"nothing may be", capacity.Room{}, at, burst, [4]int64{500, 64, 1000, 256}},
	} {
		r := record{State: capacity.State{Setting: tt.at, Goal: capacity.Goal{Room: tt.room}}}
		requests, limits := r.asks(tt.p)
		if got := [4]int64{requests.MilliCPU, requests.Memory / mib, limits.MilliCPU, limits.Memory / mib}; got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestSizeOf: a resize is in force when the kubelet says so, whatever is asked for.
func TestSizeOf(t *testing.T) {
	list := func(milli int64) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: *resource.NewMilliQuantity(milli, resource.DecimalSI)}
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
	p.Spec.Containers = []corev1.Container{{Name: "side"}, {Name: "server", Resources: corev1.ResourceRequirements{Requests: list(200)}}}
	if s := sizeOf(p, "server"); s.place != 1 || s.requests.MilliCPU != 200 || s.has.MilliCPU != 200 {
		t.Errorf("a kubelet that does not say: %+v", s)
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "server", AllocatedResources: list(300)}}
	if s := sizeOf(p, "server"); s.has.MilliCPU != 300 {
		t.Errorf("allocated: %+v", s)
	}
	p.Status.ContainerStatuses[0].Resources = &corev1.ResourceRequirements{Requests: list(400)}
	if s := sizeOf(p, "server"); s.has.MilliCPU != 400 {
		t.Errorf("in force: %+v", s)
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodResizeInProgress, Status: corev1.ConditionTrue, ObservedGeneration: 2}}
	if s := sizeOf(p, "server"); s.pending {
		t.Errorf("of an earlier resize: %+v", s)
	}
	p.Status.Conditions[0].ObservedGeneration = 3
	if s := sizeOf(p, "server"); !s.pending || s.never != "" {
		t.Errorf("under way: %+v", s)
	}
	if s := sizeOf(p, "none"); s.found {
		t.Errorf("no such container: %+v", s)
	}
}

// TestLiar: a server whose numbers do not agree is left alone, and loses the step that it is in; nothing is
// tried over and over.
func TestLiar(t *testing.T) {
	r, p := inService(t)
	p.lies = -1 << 40 // it says less than nothing, so that it cannot be read
	rows := r.pass(5*time.Second, 2000)
	if got := row(t, rows, "ConfigMap").Detail; !strings.Contains(got, "modelserver_inferences_total is -") {
		t.Errorf("says %q", got)
	}
	p.lies = 0
	r.until(capacity.Comparing)
	p.lies -= 5000 // rows that it answered and never computed
	r.pass(5*time.Second, 2000)
	if s := r.state(); s.Phase != capacity.TakingBack || !strings.HasPrefix(s.Why, "its numbers do not agree") {
		t.Errorf("%s, %q", s.Phase, s.Why)
	}
	changes := len(r.entries())
	for range 200 {
		p.lies -= 1900
		r.pass(5*time.Second, 2000)
	}
	s := r.state()
	if len(r.entries()) != changes || s.Setting.Batch != 1 || s.Lies == "" {
		t.Errorf("%d changes, then %d; %s at %+v, %q", changes, len(r.entries()), s.Phase, s.Setting, s.Lies)
	}
}

// TestNeighbour: a pod whose batches take much longer than the others' is named.
func TestNeighbour(t *testing.T) {
	r := manned(t, roomy())
	r.flow()
	r.flow()
	for _, p := range r.pods {
		p.serve(700)
	}
	r.pods["10.0.0.2"].curve = strings.ReplaceAll(r.pods["10.0.0.2"].curve, "0.0016", "0.0026")
	r.now = r.now.Add(5 * time.Second)
	rows, _ := r.keep()
	if got := row(t, rows, "ConfigMap").Detail; !strings.HasSuffix(got, "; a batch takes over a quarter more or less than elsewhere on quotes-2: look what else runs on its node") {
		t.Errorf("says %q", got)
	}
}

// TestRoom: what is free on nodes, and what a quota leaves. The node has 2 cores, of which another workload
// holds 0.5 and a DaemonSet's pod 0.1; another node is left out by the template's nodeSelector; of 3 cores in the quota
// 2.6 are used, 1.6 of them by the server itself.
func TestRoom(t *testing.T) {
	j := &job{pass: &pass{}, server: quotes(), pods: []pod{{node: "tainted", size: size{requests: fleet.Resources{MilliCPU: 1600}}}}}
	j.snapshot.Nodes = []fleet.Node{
		{Name: "a", Ready: true, Allocatable: fleet.Resources{MilliCPU: 2000, Memory: 8 << 30}, Others: fleet.Resources{MilliCPU: 100, Memory: 1 << 30}},
		{Name: "arm", Ready: true, Allocatable: fleet.Resources{MilliCPU: 5000, Memory: 8 << 30}},
		{Name: "cordoned", Ready: true, Unschedulable: true, Allocatable: fleet.Resources{MilliCPU: 2000}},
		{Name: "master", Ready: true, Taints: []fleet.Taint{{Key: "x", Effect: "NoSchedule"}}, Allocatable: fleet.Resources{MilliCPU: 9000}},
		{Name: "tainted", Ready: true, Taints: []fleet.Taint{{Key: "x", Effect: "NoSchedule"}}, Allocatable: fleet.Resources{MilliCPU: 4000}},
	}
	j.seen.Barred = []string{"arm", "tainted"} // where its pods are they may stay
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "c", Role: fleet.Main, Requests: fleet.Resources{MilliCPU: 500, Memory: 1 << 30}}}}
	j.snapshot.Workloads = []fleet.Workload{
		{Ref: ref(j.server), Pods: []fleet.Pod{{Node: "a", Shape: shape}}},
		{Ref: fleet.Deployment("b", "other"), Pods: []fleet.Pod{{Node: "a", Shape: shape}}},
	}
	j.snapshot.Bounds = []fleet.Bounds{{Namespace: "a", Quotas: []fleet.Quota{{Items: []fleet.QuotaItem{
		{Name: "requests.cpu", Hard: 3000, Used: 2600, Tracked: true}, {Name: "requests.memory", Hard: 1 << 30, Used: 2 << 30, Tracked: true}, {Name: "cpu", Hard: 1, Used: 1},
	}}}}}
	if n := j.processors(); n != 4 {
		t.Errorf("%d processors under the pods, want 4", n)
	}
	nodes, cores := j.free()
	if len(nodes) != 2 || nodes[0].MilliCPU != 1400 || nodes[0].Memory != 6<<30 || nodes[1].MilliCPU != 4000 || cores != 9000 {
		t.Errorf("free are %+v, the largest has %dm", nodes, cores)
	}
	if q := j.quota(); q.MilliCPU != 2000 || q.Memory != 1 {
		t.Errorf("the quota leaves %+v; want 0.4 and its own 1.6 cores, and no memory", q)
	}
}
