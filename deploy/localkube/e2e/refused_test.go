//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ends waits until a trial has n finished entries and gives the last.
func (r *rig) ends(name string, n int) entry {
	r.t.Helper()
	var last entry
	r.eventually(name+" has "+itoa(n)+" finished entries", 3*time.Minute, func() bool {
		done := 0
		for _, e := range r.history("trial-" + name + "/" + name) {
			if e.Outcome != "" {
				done, last = done+1, e
			}
		}
		return done >= n
	})
	return last
}

// refused: what an admission policy does not let through is written down with its words, what was
// written of it is taken back, and the workload beside it is changed all the same.
func refused(t *testing.T, r *rig) {
	r.kubectl("apply", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/refuse.yaml"))
	r.measured("refused", "granted")
	r.mode("refused", "enforce")
	r.mode("granted", "enforce")
	if e := r.ends("refused", 1); e.Outcome != "failed" || !strings.Contains(e.Detail, "are not to be resized") {
		t.Errorf("ledger: %+v", e)
	}
	if e := r.ends("granted", 1); e.Outcome != "done" {
		t.Errorf("ledger: %+v", e)
	}
	r.asserts("granted")
	if got := r.kubectl("-n", "trial-refused", "get", "deployment", "refused", "-o", "jsonpath={.spec.replicas}"); got != "3" {
		t.Errorf("refused has %s replicas, want the 3 of before", got)
	}
	r.mode("refused", "recommend") // no more tries
	r.kubectl("delete", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/refuse.yaml"))
	r.kubectl("delete", "namespace", "trial-refused", "--wait=false")
}

// revertRefused: taking a change back needs room that a quota, and then a LimitRange, does not give any
// more: each is told in the API server's words, and once the room is there it is taken back.
func revertRefused(t *testing.T, r *rig) {
	id := r.history("trial-granted/granted")[0].ID
	revert := func(code int) string {
		out, got := r.run("trimtab", "revert", id, "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
		if got != code {
			t.Errorf("exit code %d, want %d:\n%s", got, code, out)
		}
		return out
	}
	used := r.kubectl("-n", "trial-granted", "get", "pods", "-o", "jsonpath={.items[*].spec.containers[0].resources.requests.memory}")
	r.kubectl("-n", "trial-granted", "create", "quota", "tight", "--hard=requests.memory=100Mi")
	r.eventually("the quota is counted", 2*time.Minute, func() bool {
		return r.kubectl("-n", "trial-granted", "get", "quota", "tight", "-o", `jsonpath={.status.used.requests\.memory}`) != ""
	})
	revert(1)
	if e := r.ends("granted", 2); e.Outcome != "failed" || !strings.Contains(e.Detail, "exceeded quota") {
		t.Errorf("a quota of 100Mi beside pods of %s: %+v", used, e)
	}
	r.kubectl("-n", "trial-granted", "delete", "quota", "tight")
	r.kubectl("-n", "trial-granted", "create", "-f", r.file("limits.yaml",
		"apiVersion: v1\nkind: LimitRange\nmetadata: {name: small}\nspec: {limits: [{type: Container, max: {memory: 40Mi}}]}\n"))
	revert(1)
	if e := r.ends("granted", 3); e.Outcome != "failed" || !strings.Contains(e.Detail, "40Mi") {
		t.Errorf("a LimitRange of at most 40Mi: %+v", e)
	}
	r.kubectl("-n", "trial-granted", "delete", "limitrange", "small")
	text := revert(0)
	e := r.ends("granted", 4)
	if e.Outcome != "done" || e.Change.Reverts != id || e.Change.By == "" {
		t.Errorf("%s\nledger: %+v", text, e)
	}
	for _, p := range r.pods("trial-granted", "granted") {
		if got := p.Status.ContainerStatuses[0]; p.holds() != trialHolds || got.RestartCount != 0 {
			t.Errorf("%s has memory %s again, restarts %d", p.Metadata.Name, p.holds(), got.RestartCount)
		}
	}
	r.until("it is not proposed again", 2*time.Minute, func(a answer) bool {
		w := a.of("granted")
		return len(w.Verdicts) > 0 && len(w.Verdicts[0].Holds) > 0 && w.Verdicts[0].Holds[0].Reason == "reverted"
	})
}

// approved: in recommend mode a person with the approver's rights has one proposal made, and only that.
func approved(t *testing.T, r *rig) {
	r.measured("asked")
	var id string
	for _, c := range mustPlan(t, r).Plan.Changes {
		if c.Ref.Name == "asked" {
			id = c.ID
		}
	}
	if out, code := r.run("trimtab", "apply", "feedbeef", "--kubeconfig", filepath.Join(r.out, "kubeconfig")); code != 2 {
		t.Errorf("an unknown proposal: exit code %d\n%s", code, out)
	}
	out := r.must("trimtab", "apply", id, "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
	if e := r.ends("asked", 1); e.Outcome != "done" || e.Change.By == "" {
		t.Errorf("%s\nledger: %+v", out, e)
	}
	r.asserts("asked")
}

func mustPlan(t *testing.T, r *rig) answer {
	t.Helper()
	a, ok := r.plan()
	if !ok {
		t.Fatal("no plan")
	}
	return a
}

// unwritable: without the right to write the ledger nothing is changed and one line says why; with it
// the change is made.
func unwritable(t *testing.T, r *rig) {
	r.measured("unwritten")
	rules := r.kubectl("-n", "trimtab", "get", "role", "trimtab", "-o", "jsonpath={.rules}")
	r.kubectl("-n", "trimtab", "patch", "role", "trimtab", "--type=json", "-p",
		`[{"op":"replace","path":"/rules","value":[{"apiGroups":[""],"resources":["configmaps"],"verbs":["get","list","watch"]},{"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["get","create","update"]}]}]`)
	since := time.Now()
	r.mode("unwritten", "enforce")
	r.until("the plan says that the ledger does not have it", 2*time.Minute, func(a answer) bool {
		return strings.Contains(strings.Join(a.Plan.Troubles, "\n"), "trial-unwritten/unwritten: not changed, because the ledger does not have it")
	})
	for _, w := range r.writes(daemonUser, since) {
		if strings.Contains(w.Name, "unwritten") {
			t.Errorf("without a ledger: %s", w)
		}
	}
	r.kubectl("-n", "trimtab", "patch", "role", "trimtab", "--type=json", "-p", `[{"op":"replace","path":"/rules","value":`+rules+`}]`)
	if e := r.ends("unwritten", 1); e.Outcome != "done" {
		t.Errorf("ledger: %+v", e)
	}
}

// mailFails makes the mail server refuse the next mail for now, and asks for a report every minute.
func mailFails(_ *testing.T, r *rig) {
	r.kubectl("delete", "--raw", sink+"/messages")
	r.kubectl("create", "--raw", sink+"/fail?code=451&times=1", "-f", r.file("empty", ""))
	r.kubectl("apply", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/minutely.yaml"))
}

// mailRetried: what the mail server would not take arrived later, every period once.
func mailRetried(t *testing.T, r *rig) {
	var box struct {
		Letters []struct {
			Report, Recipient, State string
			Tries                    int
		}
	}
	r.eventually("a mail was taken at the second try", 3*time.Minute, func() bool {
		text := r.kubectl("-n", "trimtab", "get", "configmap", "trimtab-mail", "-o", `jsonpath={.data.outbox\.json}`)
		if err := json.Unmarshal([]byte(text), &box); err != nil {
			t.Fatalf("outbox: %v\n%s", err, text)
		}
		for _, l := range box.Letters {
			if l.Report == "minutely" && l.State == "sent" && l.Tries > 1 {
				return true
			}
		}
		return false
	})
	r.kubectl("delete", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/minutely.yaml"))
	var list []struct{ ID, Subject string }
	if err := json.Unmarshal([]byte(r.kubectl("get", "--raw", sink+"/messages")), &list); err != nil || len(list) == 0 {
		t.Fatalf("%d mails (%v)", len(list), err)
	}
	seen := map[string]bool{}
	for _, m := range list {
		if seen[m.Subject] {
			t.Errorf("received twice: %s", m.Subject)
		}
		seen[m.Subject] = true
	}
}

// newerPod: a pod that takes the place of a deleted one is given the requests of the others, in place.
func newerPod(t *testing.T, r *rig) {
	pods := r.pods("ml-production", "recommendation-model")
	want := pods[0].Status.ContainerStatuses[0].Resources.Requests["cpu"]
	r.kubectl("-n", "ml-production", "delete", "pod", pods[1].Metadata.Name)
	r.eventually("the new pod has what the others have", 2*time.Minute, func() bool {
		is := r.pods("ml-production", "recommendation-model")
		for _, p := range is {
			if p.Status.ContainerStatuses[0].Resources.Requests["cpu"] != want || p.Status.ContainerStatuses[0].RestartCount != 0 {
				return false
			}
		}
		return len(is) == 2
	})
	if h := r.history("ml-production/recommendation-model"); len(h) != 1 {
		t.Errorf("keeping up is not a change of its own: %+v", h)
	}
}

// file writes a file for kubectl.
func (r *rig) file(name, text string) string {
	r.t.Helper()
	return write(r.t, filepath.Join(r.t.TempDir(), name), text)
}
