package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// workload is one Deployment or StatefulSet.
type workload struct {
	metav1.ObjectMeta
	seen      fleet.Workload // what its own object says; the rest is joined by Observe
	podLabels map[string]string
	placement
}

func readDeployment(d *appsv1.Deployment) *workload {
	w := readWorkload("Deployment", &d.ObjectMeta, &d.Spec.Template)
	w.seen.Replicas = desired(d.Spec.Replicas)
	w.seen.RollingOut = d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < d.Status.Replicas
	if err := losesNothing(d, w.seen.Replicas); err != nil {
		w.seen.Unrollable = err.Error()
	}
	return w
}

func readStatefulSet(s *appsv1.StatefulSet) *workload {
	w := readWorkload("StatefulSet", &s.ObjectMeta, &s.Spec.Template)
	w.seen.Replicas = desired(s.Spec.Replicas)
	w.seen.RollingOut = s.Status.ObservedGeneration < s.Generation || s.Status.UpdatedReplicas < s.Status.Replicas
	return w
}

func readWorkload(kind string, o *metav1.ObjectMeta, t *corev1.PodTemplateSpec) *workload {
	return &workload{
		ObjectMeta: identity(o),
		podLabels:  t.Labels,
		placement:  readPlacement(&t.Spec),
		seen: fleet.Workload{
			Ref:      fleet.Ref{Namespace: o.Namespace, Kind: kind, Name: o.Name},
			UID:      string(o.UID),
			Labels:   o.Labels,
			Class:    class(o.Labels, t.Labels),
			Template: shape(&t.Spec),
			Owners:   writers(o.ManagedFields),
		},
	}
}

// desired is the replica count as the API server would fill it in.
func desired(replicas *int32) int32 {
	if replicas == nil {
		return 1
	}
	return *replicas
}

// class reads how a workload is called from its labels or its pod template's. The first key that is
// there decides: a value that is neither class is unknown, and no weaker label may speak for it.
func class(own, template map[string]string) fleet.Class {
	for _, key := range []string{policies.ClassLabel, "workload_type", "workload-type"} {
		for _, labels := range []map[string]string{own, template} {
			value, ok := labels[key]
			if !ok {
				continue
			}
			if c := fleet.Class(value); c == fleet.Online || c == fleet.Batch {
				return c
			}
			return ""
		}
	}
	return ""
}

// replicaSet is the link between a Deployment and its pods.
type replicaSet struct {
	metav1.ObjectMeta
	controller types.UID
}

func readReplicaSet(rs *appsv1.ReplicaSet) *replicaSet {
	return &replicaSet{ObjectMeta: identity(rs), controller: controller(rs)}
}

// controller is the UID of the object that manages o, or empty. Names are not enough: a Deployment
// that was deleted and made again does not own the old one's pods.
func controller(o metav1.Object) types.UID {
	if owner := metav1.GetControllerOfNoCopy(o); owner != nil {
		return owner.UID
	}
	return ""
}

// ownership leads from a pod to its workload.
type ownership struct {
	workloads   map[types.UID]*workload
	replicaSets map[types.UID]types.UID // to their controllers
}

// of is the workload that p belongs to. A pod whose chain is not known, or ends elsewhere, has none.
func (o ownership) of(p *pod) (*workload, bool) {
	top := p.controller
	if above, ok := o.replicaSets[top]; ok {
		top = above
	}
	w, ok := o.workloads[top]
	return w, ok
}
