package managed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// inService is a rig whose server has one ready pod with the first settings.
func inService(t *testing.T) (*rig, *server) {
	t.Helper()
	r := newRig(t, quotes())
	r.keep()
	p := r.pod("quotes", "quotes-1", "10.0.0.1")
	r.kubelet()
	return r, p
}

// TestTuning walks through a whole tuning, a pass every 5 s, with 100 requests in each: a trial begins
// when its size is in force for 2 s, so 5 s after it was written, and takes 15 s.
func TestTuning(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		r, _ := inService(t)
		type at struct {
			second, size int
			generation   int64
			says         string
		}
		for _, want := range []at{
			{5, 1, 1, "measuring batch size 1 (1 of 3): 0 s of 15 s, 0 of 200 requests"},
			{10, 1, 1, "measuring batch size 1 (1 of 3): 5 s of 15 s, 100 of 200 requests, p99 so far 9.9 ms"},
			{15, 1, 1, "measuring batch size 1 (1 of 3): 10 s of 15 s, p99 so far 9.9 ms"},
			{20, 8, 2, "batch size 1: p99 9.9 ms (at most 10 ms), $0.0000886 per 1,000 requests (300 requests in 15 s)"},
			{25, 8, 2, "measuring batch size 8 (2 of 3): 0 s of 15 s"},
			{35, 8, 2, "measuring batch size 8 (2 of 3): 10 s of 15 s"},
			{40, 32, 3, "batch size 8: p99 9.9 ms (at most 10 ms), $0.0000452 per 1,000 requests"},
			{45, 32, 3, "measuring batch size 32 (3 of 3): 0 s of 15 s"},
			{60, 8, 4, "of those that keep the SLO of 50 ms at p99, batch size 8 is the cheapest"},
			{65, 8, 4, "batch size 8 is the cheapest"},
			{95, 8, 4, "batch size 8 is the cheapest"},
		} {
			var rows []optimizer.Kept
			for r.now.Before(noon.Add(time.Duration(want.second) * time.Second)) {
				if restarts {
					r.restart()
				}
				rows = r.pass(5*time.Second, 100)
			}
			got := row(t, rows, "ConfigMap")
			state := optimizer.Tuning
			if want.second >= 65 {
				state = optimizer.AsAsked
			}
			if s := r.settings("quotes"); s.BatchSize != want.size || s.Generation != want.generation || got.State != state || !strings.Contains(got.Detail, want.says) {
				t.Errorf("restarts %v, at %d s: %+v, %+v; want size %d of generation %d, %s, %q", restarts, want.second, s, got, want.size, want.generation, state, want.says)
			}
		}
		all := r.entries()
		if len(all) != 1 {
			t.Fatalf("restarts %v: entries %+v, want one", restarts, all)
		}
		e := all[0]
		detail := "batch size 1 -> 8: p99 9.9 ms -> 9.9 ms, $0.0000886 -> $0.0000452 per 1,000 requests; taken up by all pods, 1"
		if c := e.Change; c.Words() != "batch size 1 -> 8" || c.Keeper != "managed" || c.Policy != "InferenceServer quotes" || c.From.UID == "" || c.From.UID != c.To.UID ||
			len(c.Reasons) != 1 || c.Reasons[0] != fleet.BatchSize || c.Saving.Amount != 0 || c.Ref != fleet.Deployment("a", "quotes") {
			t.Errorf("change %+v", c)
		}
		if e.Outcome != optimizer.Done || e.Detail != detail || !e.Begun.Equal(noon.Add(60*time.Second)) || !e.Ended.Equal(noon.Add(65*time.Second)) {
			t.Errorf("restarts %v: %s from %s to %s: %s; want done, %s", restarts, e.Outcome, e.Begun, e.Ended, e.Detail, detail)
		}
		r.restart() // a standby, which may write nothing, tells the same
		if rows, written, err := r.try(false); err != nil || len(written) > 0 || rows[0].State != optimizer.AsAsked || !strings.Contains(rows[0].Detail, "batch size 8 is the cheapest") {
			t.Errorf("a standby says %+v, wrote %q, %v", rows[0], written, err)
		}
		r.client.ClearActions()
		r.pass(5*time.Second, 100)
		if w := writes(r.client.Actions()); len(w) > 0 {
			t.Errorf("settled, and yet written: %q", w)
		}
	}
}

// TestTheFirstStays: what the document begins with is the best, so that nothing was changed for good.
func TestTheFirstStays(t *testing.T) {
	s := quotes()
	s.Batch.Size = 8
	r := newRig(t, s)
	r.keep()
	r.pod("quotes", "quotes-1", "10.0.0.1")
	r.kubelet()
	for range 13 {
		r.pass(5*time.Second, 100)
	}
	if s := r.state(); s.Phase != capacity.Settled || s.Size != 8 || r.settings("quotes").BatchSize != 8 || len(r.entries()) != 0 {
		t.Errorf("%+v, %+v, entries %+v; want settled at 8 without an entry", s, r.settings("quotes"), r.entries())
	}
}

// TestCost by hand: a core of m5.large is $0.096 × 31,611 / 97,118 an hour, $0.0000086797 a second, of
// which a request takes 0.01; a GiB is $0.0000011634 a second, of which a request holds 1/32 for the
// 1/20 s until the next. Per 1,000: $0.000086797 + $0.000001818.
func TestCost(t *testing.T) {
	r, _ := inService(t)
	for range 4 {
		r.pass(5*time.Second, 100)
	}
	if got := r.state().Trials[0]; got.Cost != 88_615 || got.CPU != 10*time.Millisecond {
		t.Errorf("%d billionths and %s a request, want 88,615 and 10 ms", got.Cost, got.CPU)
	}
	if price := (&job{pass: &pass{Keeper: r.keeper, rates: r.keeper.prices}, pods: []pod{{name: "x", node: "od-1"}}}).price(); len(price.Unpriced) == 0 {
		t.Error("pods on no known node have a price")
	}
}

// settled is a rig that has settled at batch size 8.
func settled(t *testing.T) (*rig, *server) {
	t.Helper()
	r, p := inService(t)
	for range 13 {
		r.pass(5*time.Second, 100)
	}
	if s := r.state(); s.Phase != capacity.Settled || s.Size != 8 {
		t.Fatalf("not settled: %+v", s)
	}
	return r, p
}

// TestTakenBack: three windows in a row break the SLO.
func TestTakenBack(t *testing.T) {
	r, p := settled(t)
	p.slow = true
	r.pass(5*time.Second, 100) // the first window begins
	for range 8 {
		r.pass(5*time.Second, 100)
	}
	if s := r.state(); s.Phase != capacity.Settled || s.Over != 2 || r.settings("quotes").BatchSize != 8 {
		t.Fatalf("after two windows: %+v", s)
	}
	for range 3 {
		r.pass(5*time.Second, 100)
	}
	if s := r.settings("quotes"); s.BatchSize != 1 || s.Generation != 5 {
		t.Errorf("after three windows the settings are %+v, want batch size 1 again", s)
	}
	rows := r.pass(5*time.Second, 100)
	all := r.entries()
	if len(all) != 2 || all[1].Outcome != optimizer.Done || all[1].Change.Reverts != all[0].ID || all[1].Change.Words() != "batch size 8 -> 1" ||
		!strings.Contains(all[1].Detail, "p99 100 ms, over the SLO of 50 ms at p99 in 3 windows in a row; batch size 8 -> 1") {
		t.Errorf("entries %+v", all)
	}
	if got := row(t, rows, "ConfigMap"); got.State != optimizer.AsAsked || !strings.Contains(got.Detail, "nothing is tried before 2026-11-22") {
		t.Errorf("row %+v", got)
	}
	p.slow = false
	r.pass(23*time.Hour, 100)
	if s := r.state(); s.Phase != capacity.Resting {
		t.Errorf("it does not rest: %+v", s)
	}
	r.pass(2*time.Hour, 100)
	if s := r.state(); s.Phase != capacity.Trying || s.Size != 1 {
		t.Errorf("after a day: %+v", s)
	}
}

// TestAGoodServerIsWatchedForFree: the windows of a settled server are not written anywhere.
func TestAGoodServerIsWatchedForFree(t *testing.T) {
	r, p := settled(t)
	for i := range 20 {
		r.now = r.now.Add(5 * time.Second)
		p.serve(100)
		if _, written := r.keep(); len(written) > 0 {
			t.Errorf("pass %d wrote %q", i, written)
		}
	}
}

// TestNotCounted: what makes a trial begin anew, or wait.
func TestNotCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(*rig, *server)
		says    string
	}{
		"a container restarted": {func(r *rig, _ *server) { r.restartContainer("quotes-1") }, "0 s of 15 s, 0 of 200"},
		"counts went back":      {func(_ *rig, p *server) { p.counts, p.cpu = [3]int64{}, 0 }, "0 s of 15 s, 0 of 200"},
		"another pod":           {func(r *rig, _ *server) { r.replacePod() }, "0 s of 15 s, 0 of 200"},
		"two pods for one":      {func(r *rig, _ *server) { r.pod("quotes", "quotes-2", "10.0.0.2") }, "waits for 1 ready pods and no others; of 2 there are 2 ready"},
		"not ready":             {func(r *rig, _ *server) { r.ready("quotes-1", corev1.ConditionFalse) }, "waits for 1 ready pods and no others; of 1 there are 0 ready"},
		"it does not answer":    {func(r *rig, _ *server) { delete(r.pods, "10.0.0.1") }, "read pod quotes-1: "},
		"settings not taken up": {func(_ *rig, p *server) { p.Generation = 0; p.stuck = true }, "batch size 1: waits for quotes-1 to take up generation 1"},
		"only just in force":    {func(r *rig, p *server) { p.since = r.now.Add(4 * time.Second) }, "batch size 1: in force for less than 2s"},
	} {
		r, p := inService(t)
		r.pass(5*time.Second, 100)
		r.pass(5*time.Second, 100)
		tt.happens(r, p)
		rows := r.pass(5*time.Second, 0)
		if got := row(t, rows, "ConfigMap"); got.State != optimizer.Tuning || !strings.Contains(got.Detail, tt.says) {
			t.Errorf("%s: %+v, want %q", name, got, tt.says)
		}
	}
}

// TestPodsThatEnd do not count: the others are measured on.
func TestPodsThatEnd(t *testing.T) {
	r, _ := inService(t)
	r.pass(5*time.Second, 100)
	r.pod("quotes", "quotes-0", "10.0.0.2")
	r.change("quotes-0", func(p *corev1.Pod) {
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: r.now}, []string{"x/y"}
	})
	r.pod("quotes", "quotes-2", "10.0.0.3")
	r.change("quotes-2", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	if got := row(t, r.pass(5*time.Second, 100), "ConfigMap"); !strings.Contains(got.Detail, "5 s of 15 s, 100 of 200 requests") {
		t.Errorf("%+v", got)
	}
}

// TestSettingsWrittenMeanwhile: the ConfigMap is written only as the one that was read.
func TestSettingsWrittenMeanwhile(t *testing.T) {
	r, _ := inService(t)
	m, err := r.client.CoreV1().ConfigMaps("a").Get(t.Context(), "quotes"+ConfigSuffix, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.ResourceVersion = "41"
	if err := r.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("configmaps"), m, "a"); err != nil {
		t.Fatal(err)
	}
	r.now = r.now.Add(5 * time.Second) // a trial begins, which is written
	r.keep()
	for _, a := range r.client.Actions() {
		if p, ok := a.(k8stesting.PatchAction); ok && p.GetResource().Resource == "configmaps" {
			if strings.Contains(string(p.GetPatch()), `"resourceVersion":"41"`) {
				return
			}
			t.Errorf("written with %s", p.GetPatch())
		}
	}
	t.Error("it was not written as the very one that was read")
}

func (r *rig) change(pod string, do func(*corev1.Pod)) {
	r.Helper()
	p, err := r.client.CoreV1().Pods("a").Get(r.Context(), pod, metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	do(p)
	if _, err := r.client.CoreV1().Pods("a").Update(r.Context(), p, metav1.UpdateOptions{}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) restartContainer(pod string) {
	r.change(pod, func(p *corev1.Pod) { p.Status.ContainerStatuses[0].RestartCount++ })
}

func (r *rig) ready(pod string, is corev1.ConditionStatus) {
	r.change(pod, func(p *corev1.Pod) { p.Status.Conditions[0].Status = is })
}

func (r *rig) replacePod() {
	if err := r.client.CoreV1().Pods("a").Delete(r.Context(), "quotes-1", metav1.DeleteOptions{}); err != nil {
		r.Fatal(err)
	}
	old := r.pods["10.0.0.1"]
	*r.pod("quotes", "quotes-2", "10.0.0.1") = *old
}

// TestPodsAreTouched: every pod when settings are written, and those that have not taken them up in each
// pass after that.
func TestPodsAreTouched(t *testing.T) {
	r, p := inService(t)
	r.keep()
	for range 3 {
		r.pass(5*time.Second, 100)
	}
	p.stuck = true
	r.now = r.now.Add(5 * time.Second)
	p.serve(100)
	if _, written := r.keep(); len(written) != 2 || written[1] != "patch pods quotes-1" {
		t.Errorf("a new size wrote %q", written)
	}
	r.now = r.now.Add(5 * time.Second)
	if _, written := r.keep(); len(written) != 1 || written[0] != "patch pods quotes-1" {
		t.Errorf("a pod that has not taken it up: wrote %q", written)
	}
	got, err := r.client.CoreV1().Pods("a").Get(t.Context(), "quotes-1", metav1.GetOptions{})
	if want := "2 at 2026-11-21T12:00:25Z"; err != nil || got.Annotations[touchAnnotation] != want {
		t.Errorf("annotations %v, %v; want %s", got.Annotations, err, want)
	}
}

// TestStandby says of a tuning under way what the ConfigMap remembers, and asks no pod.
func TestStandby(t *testing.T) {
	r, _ := inService(t)
	for i, want := range []string{"batch size 1 is being put in force", "batch size 1 is being measured", "batch size 1 is being measured"} {
		rows, written, err := r.try(false)
		if got := rows[0]; err != nil || len(written) > 0 || got.State != optimizer.Tuning || got.Detail != want {
			t.Errorf("pass %d: %+v, wrote %q, %v; want %s", i, got, written, err, want)
		}
		r.pass(5*time.Second, 100)
	}
	r.set.Servers[0].Mode = policies.Recommend
	if rows, _, _ := r.try(true); rows[0].State != optimizer.AsAsked {
		t.Errorf("nobody tunes what only recommends: %+v", rows[0])
	}
}

// TestGivesUp: a pod that never takes up a size ends the trials, and a change for good as failed.
func TestGivesUp(t *testing.T) {
	for _, passes := range []int{4, 12} { // up to size 8's trial, and to its adoption
		r, p := inService(t)
		for range passes {
			r.pass(5*time.Second, 100)
		}
		p.stuck = true
		p.settings.Generation--
		r.pass(9*time.Minute, 100)
		if s := r.state(); s.Phase == capacity.Resting {
			t.Errorf("%d passes: gave up too early", passes)
		}
		rows := r.pass(2*time.Minute, 100)
		s := r.state()
		if s.Phase != capacity.Resting || r.settings("quotes").BatchSize != 1 || !strings.Contains(row(t, rows, "ConfigMap").Detail, "quotes-1 did not take up batch size 8 within 10m0s") {
			t.Errorf("%d passes: %+v, %+v", passes, s, rows)
		}
		all := r.entries()
		if passes == 12 && (len(all) != 1 || all[0].Outcome != optimizer.Failed) || passes == 4 && len(all) != 0 {
			t.Errorf("%d passes: entries %+v", passes, all)
		}
	}
}

// TestCrashes: a process that ends between any two writes of the change for good. Each write is refused
// once, the daemon begins anew, and the end is the same.
func TestCrashes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		at      int // seconds: the pass that fails; 60 decides, 65 concludes
		fail    func(*rig) (stop func())
		entries string // outcomes
	}{
		{"Begin", 60, func(r *rig) func() { return r.ledgerFails("begin") }, "done"},
		{"written after Begin", 60, func(r *rig) func() { return r.refuse("patch", "configmaps", errors.New("etcd is away")) }, "failed done"},
		{"touch", 60, func(r *rig) func() { return r.refuse("patch", "pods", errors.New("forbidden")) }, "done"},
		{"Finish", 65, func(r *rig) func() { return r.ledgerFails("finish") }, "done"},
		{"written after Finish", 65, func(r *rig) func() { return r.refuse("patch", "configmaps", errors.New("etcd is away")) }, "done"},
		{"Entries", 60, func(r *rig) func() { return r.ledgerFails("entries") }, "done"},
	} {
		r, _ := inService(t)
		for r.now.Before(noon.Add(time.Duration(tt.at-5) * time.Second)) {
			r.pass(5*time.Second, 100)
		}
		stop := tt.fail(r)
		r.now = r.now.Add(5 * time.Second)
		for _, p := range r.pods {
			p.serve(100)
		}
		_, _, _ = r.try(true) // what it says is not looked at: the process ends here
		stop()
		r.restart()
		r.kubelet()
		for range 4 {
			r.pass(5*time.Second, 100)
		}
		s := r.state()
		if s.Phase != capacity.Settled || s.Size != 8 || r.settings("quotes").BatchSize != 8 || r.settings("quotes").Generation != 4 {
			t.Errorf("%s: ends with %s %d, %+v; want settled 8 of generation 4", tt.name, s.Phase, s.Size, r.settings("quotes"))
		}
		var outcomes []string
		for _, e := range r.entries() {
			outcomes = append(outcomes, string(e.Outcome))
		}
		if got := strings.Join(outcomes, " "); got != tt.entries {
			t.Errorf("%s: entries end %q, want %q", tt.name, got, tt.entries)
		}
	}
}

// broken is a ledger that refuses one kind of call.
type broken struct {
	optimizer.Ledger
	verb string
}

func (r *rig) ledgerFails(verb string) (stop func()) {
	whole := r.ledger
	r.keeper.ledger = broken{whole, verb}
	return func() { r.ledger = whole }
}

var errBroken = errors.New("the ledger is away")

func (b broken) Begin(ctx context.Context, c optimizer.Change, at time.Time) (string, error) {
	if b.verb == "begin" {
		return "", errBroken
	}
	return b.Ledger.Begin(ctx, c, at)
}

func (b broken) Finish(ctx context.Context, id string, o optimizer.Outcome, detail string, at time.Time) error {
	if b.verb == "finish" {
		return errBroken
	}
	return b.Ledger.Finish(ctx, id, o, detail, at)
}

func (b broken) Entries(ctx context.Context) ([]optimizer.Entry, error) {
	if b.verb == "entries" {
		return nil, errBroken
	}
	return b.Ledger.Entries(ctx)
}

// TestWithoutLedgerNothingIsWritten, and it is said.
func TestWithoutLedgerNothingIsWritten(t *testing.T) {
	r := newRig(t, quotes())
	r.ledgerFails("entries")
	rows, written, err := r.try(true)
	if !errors.Is(err, errBroken) || len(written) > 0 || states(rows) != strings.ReplaceAll(allCreated, "created", "differs") {
		t.Errorf("%+v, written %q, %v", rows, written, err)
	}
}

// TestDocumentChanges: what is asked of the tuner is new, so it begins anew, with a generation that no
// pod had before; an entry under way is closed.
func TestDocumentChanges(t *testing.T) {
	r, _ := inService(t)
	for range 12 {
		r.pass(5*time.Second, 100)
	}
	if all := r.entries(); len(all) != 1 || all[0].Outcome != "" {
		t.Fatalf("entries %+v, want an open one", all)
	}
	r.set.Servers[0].SLO.Latency = time.Second
	r.pass(5*time.Second, 100)
	if s := r.state(); s.Phase != capacity.Trying || s.Size != 1 || len(s.Trials) != 0 || r.settings("quotes").Generation != 5 {
		t.Errorf("%+v, %+v; want trials from 1 on with generation 5", s, r.settings("quotes"))
	}
	if all := r.entries(); len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "no settings follow from it") {
		t.Errorf("entries %+v", all)
	}
	r.pass(5*time.Second, 100)
	r.set.Servers[0].Batch.Sizes = nil
	r.set.Servers[0].Batch.Size = 4
	rows := r.pass(5*time.Second, 100)
	if s := r.settings("quotes"); s.BatchSize != 4 || row(t, rows, "ConfigMap").State != optimizer.Repaired {
		t.Errorf("tuning switched off: %+v, %+v", s, rows)
	}
	r.client.ClearActions()
	for range 5 {
		r.pass(5*time.Second, 100)
	}
	if w := writes(r.client.Actions()); len(w) > 0 {
		t.Errorf("nothing is to be tuned, and yet written: %q", w)
	}
}

// TestDocumentGone: an entry under way is closed although nobody knows its server any more.
func TestDocumentGone(t *testing.T) {
	r, _ := inService(t)
	for range 12 {
		r.pass(5*time.Second, 100)
	}
	r.set.Servers = nil
	r.pass(5*time.Second, 100)
	if all := r.entries(); len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "no document asks") {
		t.Errorf("entries %+v", all)
	}
}

// TestDamagedRecord: it is tuned anew, from a generation that no pod has.
func TestDamagedRecord(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":9}`, `{"version":1,"generation":-4,"state":{"size":8}}`} {
		r, _ := settled(t)
		r.merge("configmaps", "quotes-model-config", fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, recordAnnotation, text))
		r.pass(5*time.Second, 100)
		if s := r.state(); s.Phase != capacity.Trying || s.Size != 1 || r.settings("quotes").Generation != 5 {
			t.Errorf("%q: %+v, %+v", text, s, r.settings("quotes"))
		}
	}
}

// TestNotSeenYet: what the change is of must have been observed before it can be written down.
func TestNotSeenYet(t *testing.T) {
	j := &job{pass: &pass{Keeper: newRig(t).keeper}, server: quotes()}
	if _, err := j.begin(t.Context(), record{}, capacity.State{}); err == nil || !strings.Contains(err.Error(), "a/quotes was not seen yet") {
		t.Errorf("begun with %v", err)
	}
}
