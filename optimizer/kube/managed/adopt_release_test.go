package managed

import (
	"errors"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
)

// TestKeptAtTheEnd: with onDelete: keep nothing goes with the document but our marks; it is said once, and
// Trimtab never touches the objects again.
func TestKeptAtTheEnd(t *testing.T) {
	s := scaled()
	s.OnDelete = policies.OnDeleteKeep
	r := newRig(t, s)
	r.keep()
	was := r.specs()
	r.set.Servers = nil
	r.abandon()
	if rows, written, _ := r.try(false); len(written) > 0 || states(rows) != "HorizontalPodAutoscaler differs, PodDisruptionBudget differs, ConfigMap differs, Service differs, Deployment differs" {
		t.Errorf("where nothing may be written: %+v, written %q", rows, written)
	}
	rows, written := r.keep()
	want := []string{"patch horizontalpodautoscalers quotes", "patch poddisruptionbudgets quotes", "patch configmaps quotes-model-config", "patch services quotes", "patch deployments quotes"}
	if !slices.Equal(written, want) || !strings.Contains(row(t, rows, kindDeployment).Detail, "it serves on, on its own, as onDelete: keep asked") {
		t.Errorf("%+v, written %q", rows, written)
	}
	for _, k := range r.keeper.kinds {
		name := "quotes"
		if k.name == kindConfigMap {
			name += ConfigSuffix
		}
		l, err := k.get(t.Context(), "a", name)
		if err != nil || l.none() {
			t.Fatalf("%s: %v", k.name, err)
		}
		if got := string(raw(l.tree["metadata"].(tree)["labels"])) + string(raw(l.tree["metadata"].(tree)["annotations"])); strings.Contains(got, "trimtab.dev/inference-server") || strings.Contains(got, "trimtab.dev/applied") || strings.Contains(got, "trimtab.dev/tuning") || strings.Contains(got, "on-delete") || strings.Contains(got, "managed-by") {
			t.Errorf("%s: marks are left: %s", k.name, got)
		}
	}
	if now := r.specs(); now[kindDeployment] != was[kindDeployment] || now[kindService] != was[kindService] || now[kindBudget] != was[kindBudget] {
		t.Errorf("changed:\n%v\n%v", was, now)
	}
	if d := r.deployment(); d.Spec.Template.Labels[policies.ServerLabel] != "quotes" {
		t.Error("the pods lost the label that they are found by")
	}
	if rows, written := r.keep(); len(rows)+len(written) > 0 {
		t.Errorf("again %+v, written %q", rows, written)
	}
}

// TestLastWish: what a document last said is done without it, though nothing could be written while it was paused, or the
// other way round; a daemon that never saw it goes by the annotations.
func TestLastWish(t *testing.T) {
	for name, tt := range map[string]struct {
		first, last policies.OnDelete
		restart     bool
		stays       bool
	}{
		"keep, said while it was paused":               {policies.OnDeleteDelete, policies.OnDeleteKeep, false, true},
		"delete, said while it was paused":             {policies.OnDeleteKeep, policies.OnDeleteDelete, false, false},
		"keep, as it was written":                      {policies.OnDeleteKeep, policies.OnDeleteKeep, true, true},
		"delete, as nothing was written":               {policies.OnDeleteDelete, policies.OnDeleteDelete, true, false},
		"keep, said while it was paused and forgotten": {policies.OnDeleteDelete, policies.OnDeleteKeep, true, false},
	} {
		s := quotes()
		s.OnDelete = tt.first
		r := newRig(t, s)
		r.keep()
		r.set.Servers[0].Paused, r.set.Servers[0].OnDelete = true, tt.last
		if _, written := r.keep(); len(written) > 0 {
			t.Errorf("%s: paused, and written %q", name, written)
		}
		if tt.restart {
			r.restart()
		}
		r.set.Servers = nil
		r.abandon()
		rows, _ := r.keep()
		if deleted := row(t, rows, kindDeployment).State == optimizer.Deleted; deleted == tt.stays {
			t.Errorf("%s: %+v", name, rows)
		}
	}
}

// TestKeptThenAdopted: a document that comes back takes the server over again, where it says so.
func TestKeptThenAdopted(t *testing.T) {
	s := quotes()
	s.OnDelete = policies.OnDeleteKeep
	r := newRig(t, s)
	r.keep()
	was := r.specs()
	r.set.Servers = nil
	r.abandon()
	r.keep()
	r.set.Servers = []policies.Server{s}
	if rows, written := r.keep(); len(written) > 0 || !strings.Contains(rows[0].Detail, "write adopt: true") {
		t.Errorf("%+v, written %q", rows, written)
	}
	r.set.Servers[0].Adopt = true
	if rows, _ := r.keep(); states(rows) != allAdopted {
		t.Errorf("%+v", rows)
	}
	if now := r.specs(); now[kindDeployment] != was[kindDeployment] || now[kindService] != was[kindService] {
		t.Errorf("changed:\n%v\n%v", was, now)
	}
	if rows, written := r.keep(); len(written) > 0 {
		t.Errorf("then written %q: %+v", written, rows)
	}
}

// TestKeepIsNoLongerAskedFor: the last word of the document counts.
func TestKeepIsNoLongerAskedFor(t *testing.T) {
	r := newRig(t, quotes())
	r.set.Servers[0].OnDelete = policies.OnDeleteKeep
	r.keep()
	r.set.Servers[0].OnDelete = policies.OnDeleteDelete
	r.keep()
	if d := r.deployment(); d.Annotations[onDeleteAnnotation] != "" {
		t.Errorf("annotations %v", d.Annotations)
	}
	r.set.Servers = nil
	r.abandon()
	if rows, _ := r.keep(); states(rows) != "Deployment deleted" {
		t.Errorf("%+v", rows)
	}
}

// TestReleaseGoesOn after a refusal: the Deployment keeps its marks until all others lost theirs.
func TestReleaseGoesOn(t *testing.T) {
	s := quotes()
	s.OnDelete = policies.OnDeleteKeep
	r := newRig(t, s)
	r.keep()
	r.set.Servers = nil
	r.abandon()
	stop := r.refuse("patch", "services", errors.New("no"))
	rows, _, err := r.try(true)
	if err == nil || row(t, rows, kindService).State != optimizer.Refused || r.deployment().Labels[policies.ServerLabel] == "" {
		t.Errorf("%+v, %v", rows, err)
	}
	stop()
	if rows, _ := r.keep(); states(rows) != "Service as-asked, Deployment as-asked" {
		t.Errorf("%+v", rows)
	}
}

// TestAdoptedIsKeptAtTheEnd: what was adopted is as it was found when its document goes, and its labels are
// its own again.
func TestAdoptedIsKeptAtTheEnd(t *testing.T) {
	r := newFound(t, theirs())
	r.set.Servers[0].OnDelete = policies.OnDeleteKeep
	r.keep()
	r.set.Servers = nil
	r.abandon()
	if rows, _ := r.keep(); len(rows) != 4 {
		t.Errorf("%+v", rows)
	}
	m, err := r.client.CoreV1().ConfigMaps("a").Get(t.Context(), "q-settings", metav1.GetOptions{})
	if err != nil || m.Annotations[recordAnnotation] != "" || m.Labels[policies.ServerLabel] != "" {
		t.Errorf("%+v, %v", m, err)
	}
	if d := r.deployment(); d.Labels["app.kubernetes.io/managed-by"] != "Helm" || d.Annotations[onDeleteAnnotation] != "" {
		t.Errorf("labels %v, annotations %v", d.Labels, d.Annotations)
	}
}
