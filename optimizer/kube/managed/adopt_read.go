package managed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// read reads every object of the server and finds out what of it is kept as it was found. An error is
// about the object of the kind that it names: then nothing of the server may be written.
func (j *job) read(ctx context.Context) (kind string, err error) {
	// The ConfigMap comes last: its name may follow from the others.
	for _, k := range append(slices.Clone(j.kinds[1:]), j.kinds[0]) {
		if k.name == kindConfigMap {
			if j.adopted, err = j.remembered(); err != nil {
				return kindDeployment, fmt.Errorf("it cannot be adopted: %w", err)
			}
		}
		l, err := k.get(ctx, j.server.Namespace, nameOf(j.server, j.adopted, k.name))
		if err != nil {
			return k.name, err
		}
		j.found[k.name] = l
		if err := j.foreign(k.name); err != nil {
			return k.name, err
		}
	}
	if r, known := readRecord(j.found[kindConfigMap]); known && r.Adopted.sound() && j.noted(kindDeployment) == nil {
		j.adopted = r.Adopted
	}
	return j.adopt()
}

// foreign refuses an object that is another server's, or that somebody else made, unless it may be adopted
// or nobody asks for it.
func (j *job) foreign(kind string) error {
	l := j.found[kind]
	if other := l.server(); other != "" && other != j.server.Name && l.ours(other) {
		return fmt.Errorf("it is that of %s; give each server its own", document(other))
	}
	if l.none() || l.ours(j.server.Name) || j.server.Adopt && kind != kindAutoscaler || kind == kindAutoscaler && !j.server.Autoscale.On() {
		return nil
	}
	hint := "write adopt: true to take it over, rename the document, or delete the object"
	if kind == kindAutoscaler {
		hint = "delete it, or take autoscale out of the document"
	}
	return fmt.Errorf("it was not made for %s; %s", document(j.server.Name), hint)
}

// remembered is what the objects beside the ConfigMap tell of what was adopted. The Deployment's own note
// counts before all others: whoever may write that may as well write the pods that follow from it, which is
// not so of a ConfigMap or a Service.
func (j *job) remembered() (*adopted, error) {
	a := j.noted(kindDeployment)
	if a == nil {
		a = j.noted(kindService)
	}
	if d, ok := j.found[kindDeployment].meta.(*appsv1.Deployment); ok && j.foreigner(kindDeployment) {
		return a.takeDeployment(d, j.server, false)
	}
	return a, nil
}

// noted is what an object of ours notes of what was adopted; nil: nothing.
func (j *job) noted(kind string) *adopted {
	if l := j.found[kind]; l.ours(j.server.Name) {
		return readAdopted(l)
	}
	return nil
}

// adopt takes up every object that is there and not ours yet, as it is. Until it was written it is read
// anew in each pass.
func (j *job) adopt() (kind string, err error) {
	a := j.adopted
	for _, kind := range []string{kindDeployment, kindService, kindBudget, kindConfigMap} {
		if !j.foreigner(kind) {
			continue
		}
		switch o := j.found[kind].meta.(type) {
		case *corev1.ConfigMap:
			a, err = a.takeConfigMap(o)
		case *appsv1.Deployment:
			a, err = j.adoptDeployment(a, o)
		case *corev1.Service:
			a = a.takeService(o)
		case *policyv1.PodDisruptionBudget:
			a = a.takeBudget(o)
		}
		if err == nil && !a.has(kindDeployment) && kind != kindConfigMap {
			err = errors.New("there is no Deployment of its name to adopt with it; delete it, or rename the document")
		}
		if err != nil {
			return kind, fmt.Errorf("it cannot be adopted: %w", err)
		}
	}
	j.adopted = j.edited(a)
	return "", nil
}

func (j *job) adoptDeployment(a *adopted, d *appsv1.Deployment) (*adopted, error) {
	if hpa := j.autoscaler(); hpa != "" && !(hpa == j.server.Name && j.server.Autoscale.On()) {
		return nil, fmt.Errorf("HorizontalPodAutoscaler %s scales it; delete that and write autoscale into the document", hpa)
	}
	if d.DeletionTimestamp != nil {
		return nil, errors.New("it is being deleted; wait until it is gone")
	}
	return a.takeDeployment(d, j.server, true)
}

// edited is a with what others changed, beside what is tuned, in settings that were adopted: that is theirs.
func (j *job) edited(a *adopted) *adopted {
	m, ok := j.found[kindConfigMap].meta.(*corev1.ConfigMap)
	if !ok || !a.has(kindConfigMap) {
		return a
	}
	rest, ok := untuned(m.Data[a.Key])
	if _, there := m.Data[a.Key]; !there || !ok || len(rest) > mostAdopted || string(rest) == string(a.Settings) {
		return a
	}
	out := a.copy()
	out.Settings = rest
	return out
}

// foreigner tells whether there is an object that is not ours, and so to be adopted.
func (j *job) foreigner(kind string) bool {
	l := j.found[kind]
	return !l.none() && !l.ours(j.server.Name)
}

// record is what the ConfigMap remembers; of settings that were just found, their generation.
func (j *job) record() (record, bool) {
	l := j.found[kindConfigMap]
	if !l.none() && j.adopted.has(kindConfigMap) && j.adopted.Key != configKey {
		l.tree = maps.Clone(l.tree)
		data, _ := l.tree["data"].(tree)
		data = maps.Clone(data)
		data[configKey] = data[j.adopted.Key]
		l.tree["data"] = data
	}
	return readRecord(l)
}

// keptBy says who else keeps an object, as far as it tells; empty: nobody.
func keptBy(o metav1.Object) string {
	if c := metav1.GetControllerOf(o); c != nil {
		return c.Kind + " " + c.Name
	}
	notes, marks := o.GetAnnotations(), o.GetLabels()
	argo, _, _ := strings.Cut(notes["argocd.argoproj.io/tracking-id"], ":")
	for _, by := range []struct{ what, name string }{
		{"Helm release", notes["meta.helm.sh/release-name"]},
		{"Argo CD's application", argo},
		{"Argo CD's application", marks["argocd.argoproj.io/instance"]},
		{"Flux's HelmRelease", marks["helm.toolkit.fluxcd.io/name"]},
		{"Flux's Kustomization", marks["kustomize.toolkit.fluxcd.io/name"]},
	} {
		if by.name != "" {
			return by.what + " " + by.name
		}
	}
	return ""
}

// alsoKept is keptBy as part of a row.
func (j *job) alsoKept(kind string) string {
	if l := j.found[kind]; !l.none() {
		if by := keptBy(l.meta); by != "" {
			return by + " keeps it too; take it out of there, or what one writes the other takes back"
		}
	}
	return ""
}
