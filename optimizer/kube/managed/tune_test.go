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
func inService(t *testing.T, servers ...policies.Server) (*rig, *server) {
	t.Helper()
	r := newRig(t, append(servers, quotes())[:1]...)
	r.keep()
	p := r.pod("quotes", "quotes-1", "10.0.0.1")
	r.kubelet()
	return r, p
}

// until makes passes of 5 s with 2,000 requests to each pod, until the tuning is in a phase.
func (r *rig) until(p capacity.Phase) {
	r.Helper()
	for range 40 {
		if r.state().Phase == p {
			return
		}
		r.pass(5*time.Second, 2000)
	}
	r.Fatalf("it is never %s: %+v", p, r.state())
}

// TestTuning walks through a whole tuning, a pass every 5 s, with 2,000 requests in each. The first setting is
// measured from the first pass on, for 15 s; the step is in force in the pass after it was written, and is
// measured from there on.
func TestTuning(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		r, _ := inService(t)
		const before, after = "batch 1, delay 5ms, 1 replica of 50m and 64Mi", "batch 8, delay 5ms, 1 replica of 50m and 64Mi"
		for _, want := range []struct {
			second, size int
			generation   int64
			says         string
		}{
			{5, 1, 1, "measuring " + before + ": 0 s of 15 s, 0 of 200 requests"},
			{10, 1, 1, "measuring " + before + ": 5 s of 15 s, p99 so far 9.9 ms"},
			{15, 1, 1, "measuring " + before + ": 10 s of 15 s, p99 so far 9.9 ms"},
			{20, 8, 2, "batch 1 -> 8 is being put in force"},
			{25, 8, 2, "batch 1 -> 8 is being measured"},
			{30, 8, 2, "comparing " + after + ": 5 s of 15 s, p99 so far 9.9 ms"},
			{40, 8, 2, "batch 1 -> 8: p99 9.9 ms -> 9.9 ms, CPU a request 2.2 ms -> 1.3 ms, $0.00000127 -> predicted $0.00000127, realised $0.00000127 per 1,000 requests within the SLO (predicted at 400 a second, realised at 400): kept; " + after + ": p99 9.9 ms (at most 10 ms), 1.3 ms of CPU a request (6,000 requests in 15 s); nothing that keeps the SLO of 50 ms at p99 is cheaper by 5 %"},
			{95, 8, 2, "nothing that keeps the SLO of 50 ms at p99 is cheaper by 5 %"},
		} {
			var rows []optimizer.Kept
			for r.now.Before(noon.Add(time.Duration(want.second) * time.Second)) {
				if restarts {
					r.restart()
				}
				rows = r.pass(5*time.Second, 2000)
			}
			got := row(t, rows, "ConfigMap")
			state := optimizer.Tuning
			if want.second >= 40 {
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
		if c := e.Change; c.Words() != "batch size 1 -> 8" || c.Keeper != "managed" || c.Policy != "InferenceServer quotes" || c.From.UID == "" || c.From.UID != c.To.UID ||
			len(c.Reasons) != 1 || c.Reasons[0] != fleet.BatchSize || c.Saving.Amount != 0 || c.Ref != fleet.Deployment("a", "quotes") {
			t.Errorf("change %+v", c)
		}
		if e.Outcome != optimizer.Done || !strings.HasSuffix(e.Detail, "predicted $0.00000127, realised $0.00000127 per 1,000 requests within the SLO (predicted at 400 a second, realised at 400): kept") ||
			!e.Begun.Equal(noon.Add(20*time.Second)) || !e.Ended.Equal(noon.Add(40*time.Second)) {
			t.Errorf("restarts %v: %s from %s to %s: %s; want done", restarts, e.Outcome, e.Begun, e.Ended, e.Detail)
		}
		r.restart() // a standby, which may write nothing, tells the same
		if rows, written, err := r.try(false); err != nil || len(written) > 0 || rows[0].State != optimizer.AsAsked || !strings.Contains(rows[0].Detail, "is cheaper by 5 %") {
			t.Errorf("a standby says %+v, wrote %q, %v", rows[0], written, err)
		}
		if s, ok := r.keeper.Standing("a", "quotes"); !ok || !s.Known || s.Plan.Now.Setting.Batch != 8 || s.Question.Load.Rate != 400 || len(s.Question.Calibration.Pairs) == 0 {
			t.Errorf("its standing is %+v", s)
		}
	}
}

// TestAGoodServerIsWatchedForFree: what is learnt of a settled server is written down once an hour.
func TestAGoodServerIsWatchedForFree(t *testing.T) {
	r, p := inService(t)
	r.until(capacity.Settled)
	var when []time.Duration
	settled := r.now
	for range 35 {
		r.now = r.now.Add(2 * time.Minute)
		p.serve(48000)
		if _, written := r.keep(); len(written) > 0 {
			when = append(when, r.now.Sub(settled))
		}
	}
	if len(when) != 1 || when[0] != time.Hour {
		t.Errorf("in 70 minutes it was written after %v", when)
	}
	if n := len(r.state().Calibration.Pairs); n < 10 {
		t.Errorf("%d pairs were learnt", n)
	}
}

// TestTakenBack: a step makes answers too slow.
func TestTakenBack(t *testing.T) {
	r, p := inService(t)
	r.until(capacity.Comparing)
	p.slow = true
	r.until(capacity.TakingBack)
	if s := r.settings("quotes"); s.BatchSize != 1 || s.Generation != 3 {
		t.Errorf("the settings are %+v, want batch size 1 again", s)
	}
	p.slow = false
	rows := r.pass(5*time.Second, 2000)
	all := r.entries()
	if len(all) != 2 || all[0].Outcome != optimizer.Done || all[1].Outcome != optimizer.Done || all[1].Change.Reverts != all[0].ID || all[1].Change.Words() != "batch size 8 -> 1" ||
		!strings.HasSuffix(all[0].Detail, "it is taken back: p99 100 ms, over the SLO of 50 ms at p99") || all[1].Detail != "p99 100 ms, over the SLO of 50 ms at p99" {
		t.Errorf("entries %+v", all)
	}
	if got := row(t, rows, "ConfigMap"); got.State != optimizer.AsAsked || !strings.Contains(got.Detail, "nothing is tried before 2026-11-21 12:03 UTC") {
		t.Errorf("row %+v", got)
	}
	r.pass(2*time.Minute, 48000) // of ten trials of 15 s
	if s := r.state(); s.Phase != capacity.Resting {
		t.Errorf("it does not rest: %+v", s)
	}
	r.pass(time.Minute, 24000)
	r.until(capacity.Settled)
	if s := r.state(); s.Setting.Batch == 8 || len(s.Changed) > 2 {
		t.Errorf("after the rest: %+v", s.Setting)
	}
}

// TestBrokenLater: what was kept breaks the SLO in three windows in a row.
func TestBrokenLater(t *testing.T) {
	r, p := inService(t)
	r.until(capacity.Settled)
	p.slow = true
	r.until(capacity.TakingBack)
	r.until(capacity.Resting)
	all := r.entries()
	if len(all) != 2 || all[1].Change.Reverts != all[0].ID || r.settings("quotes").BatchSize != 1 || !strings.Contains(all[1].Detail, "in 3 windows in a row") {
		t.Errorf("entries %+v", all)
	}
}

// TestEnded: a step during which the server's process ends is taken back, and one that ends later for want of memory; whether
// the pod is ready again does not matter.
func TestEnded(t *testing.T) {
	for name, tt := range map[string]struct {
		container, reason string
		phase, want       capacity.Phase
	}{
		"killed while it is compared":   {container, "OOMKilled", capacity.Comparing, capacity.TakingBack},
		"an error while it is compared": {container, "Error", capacity.Comparing, capacity.TakingBack},
		"another container":             {"side", "Error", capacity.Comparing, capacity.Comparing},
		"an error later":                {container, "Error", capacity.Settled, capacity.Settled},
	} {
		r, _ := inService(t)
		r.until(tt.phase)
		r.ready("quotes-1", corev1.ConditionFalse)
		r.change("quotes-1", func(p *corev1.Pod) {
			end := corev1.ContainerStateTerminated{FinishedAt: metav1.Time{Time: r.now.Add(time.Second)}, Reason: tt.reason, ExitCode: 137}
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: "side"})
			for i := range p.Status.ContainerStatuses {
				if s := &p.Status.ContainerStatuses[i]; s.Name == tt.container {
					s.RestartCount++
					s.LastTerminationState.Terminated = &end
				}
			}
		})
		r.pass(5*time.Second, 0)
		s, all := r.state(), r.entries()
		if s.Phase != tt.want {
			t.Errorf("%s: %s, want %s", name, s.Phase, tt.want)
		}
		why := "the server in pod quotes-1 ended meanwhile: " + tt.reason + ", exit code 137"
		if s.Phase == capacity.TakingBack && (s.Why != why || r.settings("quotes").BatchSize != 1 || len(all) != 2 || !strings.HasSuffix(all[0].Detail, "it is taken back: "+why)) {
			t.Errorf("%s: %q, entries %+v", name, s.Why, all)
		}
	}
}

// TestNotCounted: what makes a window begin anew, or wait.
func TestNotCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(*rig, *server)
		says    string
	}{
		"a container restarted": {func(r *rig, _ *server) { r.restartContainer("quotes-1") }, "0 s of 15 s, 0 of 200"},
		"counts went back":      {func(_ *rig, p *server) { p.counts, p.cpu, p.batches = [3]int64{}, 0, 0 }, "its numbers do not agree: counts went back although no container began anew; nothing is changed"},
		"another pod":           {func(r *rig, _ *server) { r.replacePod() }, "0 s of 15 s, 0 of 200"},
		"two pods for one":      {func(r *rig, _ *server) { r.pod("quotes", "quotes-2", "10.0.0.2") }, "waits for 1 ready pods and no others; of 2 there are 2 ready"},
		"not ready":             {func(r *rig, _ *server) { r.ready("quotes-1", corev1.ConditionFalse) }, "waits for 1 ready pods and no others; of 1 there are 0 ready"},
		"it does not answer":    {func(r *rig, _ *server) { delete(r.pods, "10.0.0.1") }, "read pod quotes-1: "},
		"settings not taken up": {func(_ *rig, p *server) { p.Generation = 0; p.stuck = true }, "waits for quotes-1 to take up generation 1"},
		"only just in force":    {func(r *rig, p *server) { p.since = r.now.Add(4 * time.Second) }, "settings to be in force for 2s"},
	} {
		r, p := inService(t)
		r.pass(5*time.Second, 2000)
		r.pass(5*time.Second, 2000)
		tt.happens(r, p)
		rows := r.pass(5*time.Second, 0)
		if got := row(t, rows, "ConfigMap"); got.State != optimizer.Tuning || !strings.Contains(got.Detail, tt.says) {
			t.Errorf("%s: %+v, want %q", name, got, tt.says)
		}
	}
}

// TestTooLittleTraffic: nothing is tried, and it is said.
func TestTooLittleTraffic(t *testing.T) {
	r, p := inService(t)
	p.curve = strings.Replace(steady, `"rate":400`, `"rate":0.1`, 1)
	for range 30 {
		r.pass(5*time.Second, 1)
	}
	rows := r.pass(5*time.Second, 1)
	got := row(t, rows, "ConfigMap")
	if !strings.Contains(got.Detail, "requests in 75 s; 200 are needed to judge a setting: nothing is tried") || r.state().Phase != capacity.Observing || len(r.entries()) > 0 {
		t.Errorf("%+v, %+v", got, r.entries())
	}
}

// TestPodsThatEnd do not count: the others are measured on.
func TestPodsThatEnd(t *testing.T) {
	r, _ := inService(t)
	r.pass(5*time.Second, 2000)
	r.pod("quotes", "quotes-0", "10.0.0.2")
	r.change("quotes-0", func(p *corev1.Pod) {
		p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: r.now}, []string{"x/y"}
	})
	r.pod("quotes", "quotes-2", "10.0.0.3")
	r.change("quotes-2", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
	if got := row(t, r.pass(5*time.Second, 2000), "ConfigMap"); !strings.Contains(got.Detail, "5 s of 15 s, p99 so far") {
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
	r.now = r.now.Add(5 * time.Second) // a window begins, which is written
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

// TestPodsAreTouched: every pod when settings are written, and those that have not taken them up in each
// pass after that.
func TestPodsAreTouched(t *testing.T) {
	r, p := inService(t)
	for range 3 {
		r.pass(5*time.Second, 2000)
	}
	p.stuck = true
	r.now = r.now.Add(5 * time.Second)
	p.serve(2000)
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
	for i, want := range []string{"batch 1 is being put in force", "batch 1 is being measured", "batch 1 is being measured"} {
		r.restart()
		rows, written, err := r.try(false)
		if got := rows[0]; err != nil || len(written) > 0 || got.State != optimizer.Tuning || got.Detail != want {
			t.Errorf("pass %d: %+v, wrote %q, %v; want %s", i, got, written, err, want)
		}
		r.pass(5*time.Second, 2000)
	}
	r.set.Servers[0].Mode = policies.Recommend
	if rows, _, _ := r.try(true); rows[0].State != optimizer.AsAsked {
		t.Errorf("nobody tunes what only recommends: %+v", rows[0])
	}
}

// TestGivesUp: a pod that never takes up a step has it taken back, as failed.
func TestGivesUp(t *testing.T) {
	r, p := inService(t)
	for range 3 {
		r.pass(5*time.Second, 2000)
	}
	p.stuck = true
	r.pass(5*time.Second, 2000)
	r.pass(9*time.Minute, 2000)
	if s := r.state(); s.Phase != capacity.Changing {
		t.Errorf("gave up too early: %s", s.Phase)
	}
	r.pass(2*time.Minute, 2000)
	if s := r.state(); s.Phase != capacity.TakingBack || r.settings("quotes").BatchSize != 1 {
		t.Errorf("%+v", s)
	}
	if all := r.entries(); len(all) != 2 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "not in force within 10m0s: quotes-1 to take up generation 2") || all[1].Change.Reverts != all[0].ID {
		t.Errorf("entries %+v", all)
	}
	rows := r.pass(11*time.Minute, 2000) // nor does it take up the way back
	if s := r.state(); s.Phase != capacity.Resting || !strings.Contains(row(t, rows, "ConfigMap").Detail, "quotes-1 to take up generation 3") {
		t.Errorf("%+v, %+v", s, rows[0])
	}
	if all := r.entries(); len(all) != 2 || all[1].Outcome != optimizer.Failed {
		t.Errorf("entries %+v", all)
	}
}

// TestCrashes: a process that ends between any two writes of a step. Each write is refused once, the daemon
// begins anew, and the end is the same.
func TestCrashes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		at      int // seconds: the pass that fails; 20 decides, 40 keeps
		fail    func(*rig) (stop func())
		entries string // outcomes
	}{
		{"Begin", 20, func(r *rig) func() { return r.ledgerFails("begin") }, "done"},
		{"written after Begin", 20, func(r *rig) func() { return r.refuse("patch", "configmaps", errors.New("etcd is away")) }, "failed done"},
		{"touch", 20, func(r *rig) func() { return r.refuse("patch", "pods", errors.New("forbidden")) }, "done"},
		{"Finish", 40, func(r *rig) func() { return r.ledgerFails("finish") }, "done"},
		{"written after Finish", 40, func(r *rig) func() { return r.refuse("patch", "configmaps", errors.New("etcd is away")) }, "done"},
		{"Entries", 20, func(r *rig) func() { return r.ledgerFails("entries") }, "done"},
	} {
		r, _ := inService(t)
		for r.now.Before(noon.Add(time.Duration(tt.at-5) * time.Second)) {
			r.pass(5*time.Second, 2000)
		}
		stop := tt.fail(r)
		r.now = r.now.Add(5 * time.Second)
		for _, p := range r.pods {
			p.serve(2000)
		}
		_, _, _ = r.try(true) // what it says is not looked at: the process ends here
		stop()
		r.restart()
		r.kubelet()
		r.until(capacity.Settled)
		if s := r.state(); s.Setting.Batch != 8 || len(s.Past) != 1 || r.settings("quotes").BatchSize != 8 || r.settings("quotes").Generation != 2 {
			t.Errorf("%s: ends with %+v, %+v; want batch 8 of generation 2", tt.name, s.Setting, r.settings("quotes"))
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

// TestDocumentChanges: what is asked of the tuner is new, so it begins anew, with a generation that no
// pod had before; an entry under way is closed. What was learnt of when requests come is kept.
func TestDocumentChanges(t *testing.T) {
	r, _ := inService(t)
	r.until(capacity.Changing)
	if all := r.entries(); len(all) != 1 || all[0].Outcome != "" {
		t.Fatalf("entries %+v, want an open one", all)
	}
	r.set.Servers[0].SLO.Latency = time.Second
	r.pass(5*time.Second, 2000)
	if s := r.state(); s.Phase != capacity.Observing || s.Setting.Batch != 1 || len(s.Past) != 0 || r.settings("quotes").Generation != 3 || s.Calendar.Now == 0 {
		t.Errorf("%+v, %+v; want to begin anew with generation 3", s, r.settings("quotes"))
	}
	if all := r.entries(); len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "no settings follow from it") {
		t.Errorf("entries %+v", all)
	}
	r.pass(5*time.Second, 2000)
	r.set.Servers[0].Batch.Sizes = nil
	r.set.Servers[0].Batch.Size = 4
	rows := r.pass(5*time.Second, 2000)
	if s := r.settings("quotes"); s.BatchSize != 4 || row(t, rows, "ConfigMap").State != optimizer.Repaired {
		t.Errorf("tuning switched off: %+v, %+v", s, rows)
	}
	r.client.ClearActions()
	for range 5 {
		r.pass(5*time.Second, 2000)
	}
	if w := writes(r.client.Actions()); len(w) > 0 {
		t.Errorf("nothing is to be tuned, and yet written: %q", w)
	}
	if s, ok := r.keeper.Standing("a", "quotes"); !ok || s.Known || s.Missing != "its document lets nothing be chosen; write batch.sizes or tune" {
		t.Errorf("its standing is %+v", s)
	}
}

// TestDocumentGone: an entry under way is closed although nobody knows its server any more.
func TestDocumentGone(t *testing.T) {
	r, _ := inService(t)
	r.until(capacity.Changing)
	r.set.Servers = nil
	r.pass(5*time.Second, 2000)
	if all := r.entries(); len(all) != 1 || all[0].Outcome != optimizer.Failed || !strings.Contains(all[0].Detail, "no document asks") {
		t.Errorf("entries %+v", all)
	}
}

// TestDamagedRecord: it is tuned anew, from a generation that no pod has.
func TestDamagedRecord(t *testing.T) {
	for _, text := range []string{"", "{", `{"version":1,"generation":7,"state":{"size":8}}`, `{"version":2,"generation":-4,"state":{"setting":{"batch":8}}}`} {
		r, _ := inService(t)
		r.until(capacity.Changing)
		r.merge("configmaps", "quotes-model-config", fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, recordAnnotation, text))
		r.pass(5*time.Second, 2000)
		if s := r.state(); s.Phase != capacity.Observing || s.Setting.Batch != 1 || r.settings("quotes").Generation != 3 {
			t.Errorf("%q: %+v, %+v", text, s, r.settings("quotes"))
		}
	}
}

// TestNotSeenYet: what the change is of must have been observed before it can be written down.
func TestNotSeenYet(t *testing.T) {
	j := &job{pass: &pass{Keeper: newRig(t).keeper}, server: quotes()}
	if _, err := j.begin(t.Context(), optimizer.Change{}); err == nil || !strings.Contains(err.Error(), "a/quotes was not seen yet") {
		t.Errorf("begun with %v", err)
	}
}

// TestRecall: what is known here is newer than what was written down, unless another process wrote it.
func TestRecall(t *testing.T) {
	r, _ := inService(t)
	r.until(capacity.Settled)
	for range 4 {
		r.pass(5*time.Second, 2000)
	}
	l, err := r.keeper.kinds[0].get(t.Context(), "a", "quotes"+ConfigSuffix)
	if err != nil {
		t.Fatal(err)
	}
	last, known := readRecord(l)
	j := &job{pass: &pass{Keeper: r.keeper}, server: quotes()}
	if got := j.recall(last); !known || len(got.State.Calibration.Pairs) <= len(last.State.Calibration.Pairs) {
		t.Errorf("nothing newer is known than %d pairs", len(last.State.Calibration.Pairs))
	}
	last.Saved = last.Saved.Add(time.Second)
	if got := j.recall(last); len(got.State.Calibration.Pairs) != len(last.State.Calibration.Pairs) {
		t.Error("another process wrote it since, and yet it is known better here")
	}
}

// TestStandings may be asked for while passes go on, and servers that are gone are forgotten.
func TestStandings(t *testing.T) {
	r, _ := inService(t)
	done := make(chan int)
	go func() {
		n := 0
		for range 2000 {
			n += len(r.keeper.Standings())
		}
		done <- n
	}()
	r.until(capacity.Settled)
	if n := <-done; n == 0 {
		t.Error("none stood at any time")
	}
	if all := r.keeper.Standings(); len(all) != 1 || all[0].Ref() != "a/quotes" || all[0].Plan.Best.Setting.Batch != 8 {
		t.Errorf("%+v", all)
	}
	r.keeper.tuning.keepOnly(nil)
	if s, ok := r.keeper.Standing("a", "quotes"); ok || len(r.keeper.Standings()) > 0 {
		t.Errorf("it still stands: %+v", s)
	}
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
