package kube

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

var _ optimizer.Actuator = (*Actuator)(nil)

var model = fleet.Deployment("a", "model")

// deployment is a/model: replicas pods of one container "server" that asks for 500m and 1Gi.
func deployment(replicas int32) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "model", UID: "uid-model"}}
	d.Spec.Replicas = &replicas
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "model"}}
	d.Spec.Template.Labels = map[string]string{"app": "model"}
	d.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: "server", Image: "m:1",
		Resources: corev1.ResourceRequirements{Requests: list("cpu", "500m", "memory", "1Gi"), Limits: list("cpu", "1", "memory", "2Gi")},
	}}
	d.Status = appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: replicas}
	return d
}

// replicaSetOf is d's only one.
func replicaSetOf(d *appsv1.Deployment) *appsv1.ReplicaSet {
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name + "-rs", UID: types.UID("uid-rs-" + d.Name), Labels: d.Spec.Template.Labels}}
	rs.OwnerReferences = owner("Deployment", d.Name, string(d.UID))
	return rs
}

func owner(kind, name, uid string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: types.UID(uid), Controller: &yes}}
}

// podOf is one running pod of d, as its template asks.
func podOf(d *appsv1.Deployment, name string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: name, UID: types.UID("uid-" + name), Labels: d.Spec.Template.Labels}}
	p.OwnerReferences = owner("ReplicaSet", d.Name+"-rs", "uid-rs-"+d.Name)
	p.Spec = *d.Spec.Template.Spec.DeepCopy()
	p.Spec.NodeName = "od-1"
	p.Status.Phase = corev1.PodRunning
	return p
}

// running is d with its ReplicaSet and pods.
func running(d *appsv1.Deployment, pods ...string) []runtime.Object {
	out := []runtime.Object{d, replicaSetOf(d)}
	for _, name := range pods {
		out = append(out, podOf(d, name))
	}
	return out
}

// rig is an Actuator on a fake API server that holds objects, and the workload a/model as observed there.
type rig struct {
	*Actuator
	client *fake.Clientset
	seen   fleet.Workload
}

// newRig observes objects; it must be called in a synctest bubble.
func newRig(t *testing.T, objects ...runtime.Object) rig {
	t.Helper()
	client := fake.NewClientset(objects...)
	cluster := start(t, client)
	s, err := cluster.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Workloads, func(w fleet.Workload) bool { return w.Ref == model })
	if i < 0 {
		t.Fatalf("no %s among %v", model, s.Workloads)
	}
	return rig{NewActuator(client, cluster), client, s.Workloads[i]}
}

// change is the one from what the rig observed to t.
func (r rig) change(t fleet.Target) optimizer.Change {
	return optimizer.Change{Ref: r.seen.Ref, From: r.seen, To: r.seen.With(t), Apply: policies.InPlace}
}

// size is a target of the container "server".
func size(milliCPU, mebibytes int64) fleet.Target {
	return fleet.Target{Requests: []fleet.ContainerRequests{{Container: "server", Requests: fleet.Resources{MilliCPU: milliCPU, Memory: mebibytes << 20}}}}
}

// patches is what was written so far: "pods/resize model-1: [...]".
func (r rig) patches() []string {
	var out []string
	for _, a := range r.client.Actions() {
		p, ok := a.(k8stesting.PatchActionImpl)
		switch {
		case ok && p.PatchOptions.FieldManager != "trimtab":
			out = append(out, fmt.Sprintf("the field manager is %q", p.PatchOptions.FieldManager))
		case ok:
			resource := strings.TrimSuffix(p.Resource.Resource+"/"+p.Subresource, "/")
			out = append(out, fmt.Sprintf("%s %s: %s", resource, p.Name, p.Patch))
		case !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()):
			out = append(out, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return out
}

// kindOf is which sentinel an error has; "refused": none.
func kindOf(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, optimizer.ErrMoved):
		return "moved"
	case errors.Is(err, optimizer.ErrGone):
		return "gone"
	}
	return "refused"
}

// bubble runs f where informers settle by themselves.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// invalidPatch is the API server's answer to a JSON patch whose test fails.
func invalidPatch() error {
	return &statusError{metav1.Status{Status: "Failure", Reason: "Invalid", Code: 422, Details: &metav1.StatusDetails{},
		Message: "the server rejected our request due to an error in our request"}}
}

type statusError struct{ status metav1.Status }

func (e *statusError) Error() string         { return e.status.Message }
func (e *statusError) Status() metav1.Status { return e.status }

// newBareRig is an Actuator on what is there now; its caches hold nothing.
func newBareRig(d *appsv1.Deployment, pods map[string]*corev1.Pod) rig {
	objects := []runtime.Object{d, replicaSetOf(deployment(1))}
	for _, p := range pods {
		objects = append(objects, p)
	}
	client := fake.NewClientset(objects...)
	return rig{NewActuator(client, New(client, "trimtab", slog.New(slog.DiscardHandler))), client, fleet.Workload{}}
}

func notFound(resource, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, name)
}
