//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// followRatio is a trial's policy under which limits keep their ratio to the requests.
const followRatio = "\n      rightSizing: {limits: ratio}"

// limited is the trial whose pods have a limit of CPU as well.
const limited = "limited"

func (r *rig) limitedTrial() {
	r.t.Helper()
	r.template("trial.yaml", "NAME", limited, "cpu: 60m", "cpu: 100m", "limits: {", "limits: {cpu: 1000m, ")
	r.mode(limited, "recommend"+followRatio)
}

// limitsFollow: a CPU limit goes down with its request on live pods, without a restart, in the ratio that the template
// states, and comes back when the change is reverted. The memory limit waits for a start that was measured, and
// the template stays as it was.
func limitsFollow(t *testing.T, r *rig) {
	const name, ratio = limited, 10
	r.measured(name)
	r.mode(name, "enforce"+followRatio)
	e := r.ends(name, 1)
	if e.Outcome != "done" {
		t.Fatalf("ledger: %+v", e)
	}
	r.mode(name, "recommend")
	for _, p := range r.pods("trial-"+name, name) {
		s := p.Status.ContainerStatuses[0]
		limit, request := milli(t, s.Resources.Limits["cpu"]), milli(t, s.Resources.Requests["cpu"])
		if request >= 100 || limit >= 1000 || limit < ratio*request || s.Resources.Limits["memory"] != "256Mi" || s.RestartCount != 0 {
			t.Errorf("%s: cpu %dm under a limit of %dm, memory limit %s, restarts %d", p.Metadata.Name, request, limit, s.Resources.Limits["memory"], s.RestartCount)
		}
	}
	if got := r.kubectl("-n", "trial-"+name, "get", "deployment", name, "-o", "jsonpath={.spec.template.spec.containers[0].resources.limits}"); got != `{"cpu":"1","memory":"256Mi"}` {
		t.Errorf("the template's limits are %s", got)
	}
	r.run("trimtab", "revert", e.ID, "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
	if e := r.ends(name, 2); e.Outcome != "done" {
		t.Errorf("taken back: %+v", e)
	}
	r.eventually("the limits are back", 2*time.Minute, func() bool {
		return !slices.ContainsFunc(r.pods("trial-"+name, name), func(p livePod) bool { return p.Status.ContainerStatuses[0].Resources.Limits["cpu"] != "1" })
	})
	r.kubectl("-n", "trimtab", "delete", "configmap", "trial-"+name)
	r.kubectl("delete", "namespace", "trial-"+name, "--wait=false")
}

// milli is a quantity of CPU of whole cores or thousandths, in thousandths.
func milli(t *testing.T, quantity string) int {
	t.Helper()
	digits, thousandths := strings.CutSuffix(quantity, "m")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Errorf("a quantity of CPU is %q", quantity)
	}
	if !thousandths {
		n *= 1000
	}
	return n
}
