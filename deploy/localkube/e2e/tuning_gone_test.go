//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// leavers are the servers whose documents go first of all: two that are to serve on, one of them adopted, and one
// that goes too.
var leavers = []serverTrial{keeps, lent, goes}

// departure is what there was when these documents went.
type departure struct {
	at    time.Time
	lives map[string]string // of the servers, before
	asked []func(*testing.T, string)
}

// documentsGo deletes the documents, and sends requests to their servers for most of the two minutes in which a
// document may come back.
func (r *rig) documentsGo(t *testing.T) departure {
	t.Helper()
	gone, names := departure{lives: map[string]string{}}, []string{}
	for _, s := range leavers {
		if gone.lives[s.name] = r.livesOf(s); gone.lives[s.name] == "" {
			t.Errorf("%s has no pods to begin with", s.name)
		}
		names = append(names, "tuned-"+s.name)
	}
	r.kubectl(append([]string{"-n", "trimtab", "delete", "configmap"}, names...)...)
	gone.at = time.Now()
	for _, s := range leavers {
		gone.asked = append(gone.asked, r.traffic(t, s, graceTrace))
	}
	return gone
}

// gracedServers: half of the two minutes are over, and the pods are those of before.
func gracedServers(t *testing.T, r *rig, gone departure) {
	time.Sleep(time.Until(gone.at.Add(time.Minute)))
	for _, s := range leavers {
		now := r.livesOf(s)
		if now != gone.lives[s.name] {
			t.Errorf("%.0f s after its document went, pods of %s are %q, before %q", time.Since(gone.at).Seconds(), s.name, now, gone.lives[s.name])
		}
	}
	if late := time.Since(gone.at); late > 115*time.Second {
		t.Errorf("looked only %s after the documents went: what came before says nothing of the grace", late)
	}
}

// deletedDocuments: after the two minutes in which a document may come back, two servers serve on by themselves
// with the same pods and without our marks, of the other nothing is left.
func deletedDocuments(t *testing.T, r *rig, gone departure) {
	for _, ended := range gone.asked {
		ended(t, "a document might have come back")
	}
	r.eventually("what the documents asked for when they went", time.Until(gone.at.Add(4*time.Minute)), func() bool {
		return r.there("deployment/goes") == "" && r.marked(keeps, "deployment") == "" && r.marked(lent, "deployment") == ""
	})
	r.onePass()
	if pods := r.podsOf(goes); pods != "" {
		t.Errorf("pods of goes are still there: %s", pods)
	}
	for _, kind := range []string{"deployment", "service", "poddisruptionbudget", "configmap", "horizontalpodautoscaler"} {
		name := map[bool]string{true: "-model-config"}[kind == "configmap"]
		if r.there(kind+"/goes"+name) != "" {
			t.Errorf("%s goes%s is still there", kind, name)
		}
		if r.there(kind+"/keeps"+name) == "" {
			t.Errorf("%s keeps%s is gone", kind, name)
		}
	}
	for _, object := range []string{"deployment/lent", "service/lent", "configmap/lent-settings", "poddisruptionbudget/lent"} {
		if r.there(object) == "" {
			t.Errorf("%s is gone", object)
		}
	}
	r.onTheirOwn(t, gone)
}

// onTheirOwn: the servers that were left alone bear no mark of ours, and serve on with the pods of before.
func (r *rig) onTheirOwn(t *testing.T, gone departure) {
	t.Helper()
	for _, s := range []serverTrial{keeps, lent} {
		if all := r.marked(s, "deployment,service,poddisruptionbudget,configmap,horizontalpodautoscaler"); all != "" {
			t.Errorf("left alone, yet marked as ours: %s", all)
		}
		if now := r.livesOf(s); now != gone.lives[s.name] || now == "" {
			t.Errorf("pods of %s are %q, before it was left alone %q", s.name, now, gone.lives[s.name])
		}
		r.traffic(t, s, shortTrace)(t, s.name+" served on by itself")
	}
}

// livesOf are the UIDs and restarts of a server's pods, whoever made it.
func (r *rig) livesOf(s serverTrial) string {
	if s.adopted() {
		return r.lives(s.name)
	}
	return r.livesBy("trimtab.dev/inference-server=" + s.name)
}

// marked are the kinds and names of a server's objects, of these kinds, that say that they are Trimtab's.
func (r *rig) marked(s serverTrial, kinds string) string {
	r.t.Helper()
	return strings.TrimSpace(r.kubectl("-n", tunedSpace, "get", kinds, "-l", "trimtab.dev/inference-server="+s.name,
		"-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {end}"))
}
