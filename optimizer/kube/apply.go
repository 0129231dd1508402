package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// Actuator makes changes of Deployments: it resizes their pods in place and writes their replicas and
// pod templates. It implements optimizer.Actuator.
//
// What is there is read from the API server each time; the caches only say which nodes have room. All
// patches are worked out before the first is sent: where anything is neither as before the change nor as
// after it, nothing is written. Each object is patched once, whatever a process lives to do, because
// everything that a change wants of it is in one JSON patch that tests every old value.
type Actuator struct {
	client  kubernetes.Interface
	cluster *Cluster
}

// NewActuator is the Actuator behind client; nodes and what runs on them are taken from cluster.
func NewActuator(client kubernetes.Interface, cluster *Cluster) *Actuator {
	return &Actuator{client, cluster}
}

// Apply makes what of c.To is not there yet and waits for nothing. A pod that is refused does not stop
// the others, but the Deployment is then given nothing that relies on the refused: only more replicas,
// or its way back to on-demand nodes. Errors: optimizer.ErrMoved with the field, optimizer.ErrGone, else
// a refusal that says what was refused, by whom, in their words, on one line.
func (a *Actuator) Apply(ctx context.Context, c optimizer.Change) error {
	todo, err := a.draft(ctx, c)
	if err != nil {
		return err
	}
	err = a.write(ctx, c, todo)
	if !errors.Is(err, optimizer.ErrMoved) {
		return err
	}
	if _, why := a.draft(ctx, c); errors.Is(why, optimizer.ErrMoved) {
		return why // with the field, which a failed test does not name
	}
	return err
}

// draft is everything that a change still needs written.
type draft struct {
	resizes    []resize
	deployment patch
}

func (a *Actuator) draft(ctx context.Context, c optimizer.Change) (draft, error) {
	d, err := a.deployment(ctx, c)
	if err != nil {
		return draft{}, err
	}
	t := c.Target()
	out := draft{deployment: patchOf(string(d.UID))}
	if err := out.deployment.replicas(d, c, t); err != nil {
		return draft{}, err
	}
	if c.Apply == policies.InTemplate {
		err = out.deployment.template(d, c, t)
	} else if len(t.Requests) > 0 {
		out.resizes, err = a.resizes(ctx, c, t, d)
	}
	if err != nil {
		return draft{}, err
	}
	return out, a.place(ctx, &out.deployment, d, c, t)
}

// deployment is the live object that the change was decided on.
func (a *Actuator) deployment(ctx context.Context, c optimizer.Change) (*appsv1.Deployment, error) {
	if c.Ref.Kind != "Deployment" {
		return nil, fmt.Errorf("only Deployments can be changed, not %s", c.Ref)
	}
	d, err := a.client.AppsV1().Deployments(c.Ref.Namespace).Get(ctx, c.Ref.Name, metav1.GetOptions{})
	switch {
	case err != nil:
		return nil, refused("read the Deployment", err)
	case d.DeletionTimestamp != nil:
		return nil, optimizer.ErrGone
	case string(d.UID) != c.From.UID:
		return nil, fmt.Errorf("another Deployment has its name now: %w", optimizer.ErrGone)
	}
	return d, nil
}

// resizes reads the live pods and works out what is missing on them.
func (a *Actuator) resizes(ctx context.Context, c optimizer.Change, t fleet.Target, d *appsv1.Deployment) ([]resize, error) {
	pods, err := a.pods(ctx, d)
	if err != nil {
		return nil, err
	}
	return resizes(c, t.Requests, pods)
}

// pods is the Deployment's pods that a kubelet runs, sorted by name. Those without a node are not
// there yet, and those that end will not be much longer.
func (a *Actuator) pods(ctx context.Context, d *appsv1.Deployment) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("read the Deployment's selector: %w", err)
	}
	chosen := metav1.ListOptions{LabelSelector: selector.String()}
	sets, err := a.client.AppsV1().ReplicaSets(d.Namespace).List(ctx, chosen)
	if err != nil {
		return nil, refused("list its ReplicaSets", err)
	}
	pods, err := a.client.CoreV1().Pods(d.Namespace).List(ctx, chosen)
	if err != nil {
		return nil, refused("list its pods", err)
	}
	owned := map[types.UID]bool{}
	for i := range sets.Items {
		owned[sets.Items[i].UID] = controller(&sets.Items[i]) == d.UID
	}
	var out []*corev1.Pod
	for i := range pods.Items {
		if p := &pods.Items[i]; owned[controller(p)] && live(p) && p.Spec.NodeName != "" {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y *corev1.Pod) int { return cmp.Compare(x.Name, y.Name) })
	return out, nil
}

// replicas is written to the Deployment itself: its scale subresource would move the generation of the
// same object a second time where the template changes too, and the right to that is needed anyway.
func (p *patch) replicas(d *appsv1.Deployment, c optimizer.Change, t fleet.Target) error {
	now := desired(d.Spec.Replicas)
	switch {
	case t.Replicas == 0 || now == t.Replicas:
		return nil
	case now != c.From.Replicas:
		return moved("replicas", decimal(c.From.Replicas), decimal(now))
	}
	p.set("/spec/replicas", now, t.Replicas)
	return nil
}

func decimal(n int32) string { return strconv.Itoa(int(n)) }

// template writes requests into the pod template, which replaces every pod.
func (p *patch) template(d *appsv1.Deployment, c optimizer.Change, t fleet.Target) error {
	before := len(*p)
	for _, w := range t.Requests {
		if err := p.requests("/spec/template", "the pod template", &d.Spec.Template.Spec, w, askedBy(w.Container, c.From.Template)); err != nil {
			return err
		}
	}
	if len(*p) == before {
		return nil
	}
	return losesNothing(d, after(d, t))
}

// write sends what is missing: the pods first, so that what they give up is there for a pod that the
// Deployment adds while it replaces its own.
func (a *Actuator) write(ctx context.Context, c optimizer.Change, todo draft) error {
	var errs refusals
	for _, r := range todo.resizes {
		if err := a.resize(ctx, c.Ref.Namespace, r); err != nil {
			errs = append(errs, err)
		}
	}
	if !todo.deployment.empty() && (len(errs) == 0 || !relies(c)) {
		if err := a.rewrite(ctx, c.Ref, todo.deployment); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errs
}

// rewrite patches the Deployment.
func (a *Actuator) rewrite(ctx context.Context, ref fleet.Ref, p patch) error {
	_, err := a.client.AppsV1().Deployments(ref.Namespace).Patch(ctx, ref.Name, types.JSONPatchType, p.bytes(),
		metav1.PatchOptions{FieldManager: daemonManager})
	return refused("patch the Deployment", err)
}

// relies tells whether what a change writes to the Deployment was decided on the pods' new requests:
// fewer replicas, and interruptible ones.
func relies(c optimizer.Change) bool {
	t := c.Target()
	return t.Replicas != 0 && t.Replicas < c.From.Replicas || t.Capacity == fleet.Spot
}

// resize patches one pod. One that is gone needs nothing more.
func (a *Actuator) resize(ctx context.Context, namespace string, r resize) error {
	_, err := a.client.CoreV1().Pods(namespace).Patch(ctx, r.pod, types.JSONPatchType, r.patch.bytes(),
		metav1.PatchOptions{FieldManager: daemonManager}, "resize")
	if err = refused("resize pod "+r.pod, err); errors.Is(err, optimizer.ErrGone) {
		return nil
	}
	return err
}
