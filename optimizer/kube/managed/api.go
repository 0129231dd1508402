package managed

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/policies"
)

// Manager is the field manager of everything that this package applies.
const Manager = "trimtab-managed"

// The kinds of objects that a server has.
const (
	kindConfigMap  = "ConfigMap"
	kindService    = "Service"
	kindBudget     = "PodDisruptionBudget"
	kindDeployment = "Deployment"
	kindAutoscaler = "HorizontalPodAutoscaler" // only where the document asks for one
)

// kind is one kind of object, as far as this package needs it.
type kind struct {
	name   string
	get    func(ctx context.Context, namespace, name string) (live, error)
	apply  func(ctx context.Context, namespace, name string, want tree) error
	patch  func(ctx context.Context, namespace, name string, t types.PatchType, change []byte) error // as it is written, by us
	remove func(ctx context.Context, namespace, name string, o metav1.DeleteOptions) error
}

// live is an object as it is; none where there is none.
type live struct {
	meta metav1.Object
	tree tree
}

func (l live) none() bool { return l.meta == nil }

// server is the name of the server that an object says it is of; empty: none.
func (l live) server() string {
	if l.none() {
		return ""
	}
	return l.meta.GetLabels()[policies.ServerLabel]
}

// ours tells whether Trimtab made the object for the server called name: it has the server's label, and
// fields that were applied by us. Labels are easily copied; who applied a field is the API server's word.
func (l live) ours(name string) bool {
	return !l.none() && l.server() == name &&
		slices.ContainsFunc(l.meta.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
			return f.Manager == Manager && f.Operation == metav1.ManagedFieldsOperationApply
		})
}

// api is the part of a typed client that a kind is made from.
type api[T runtime.Object] interface {
	Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, t types.PatchType, data []byte, o metav1.PatchOptions, sub ...string) (T, error)
	Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
}

// kinds are in the order in which a server's objects are made: no pod starts before its settings are there,
// and nothing is scaled before it is there.
func kinds(c kubernetes.Interface) []kind {
	return []kind{
		of(kindConfigMap, func(ns string) api[*corev1.ConfigMap] { return c.CoreV1().ConfigMaps(ns) }),
		of(kindService, func(ns string) api[*corev1.Service] { return c.CoreV1().Services(ns) }),
		of(kindBudget, func(ns string) api[*policyv1.PodDisruptionBudget] { return c.PolicyV1().PodDisruptionBudgets(ns) }),
		of(kindDeployment, func(ns string) api[*appsv1.Deployment] { return c.AppsV1().Deployments(ns) }),
		of(kindAutoscaler, func(ns string) api[*autoscalingv2.HorizontalPodAutoscaler] {
			return c.AutoscalingV2().HorizontalPodAutoscalers(ns)
		}),
	}
}

func of[T interface {
	runtime.Object
	metav1.Object
}](name string, in func(namespace string) api[T]) kind {
	return kind{
		name: name,
		get: func(ctx context.Context, namespace, object string) (live, error) {
			o, err := in(namespace).Get(ctx, object, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return live{}, nil
			}
			if err != nil {
				return live{}, fmt.Errorf("read %s %s/%s: %w", name, namespace, object, err)
			}
			t := treeOf(o)
			delete(t, "apiVersion") // typed clients sometimes say it and sometimes not
			delete(t, "kind")
			return live{o, t}, nil
		},
		apply: func(ctx context.Context, namespace, object string, want tree) error {
			return apply(ctx, in(namespace), object, want)
		},
		patch: func(ctx context.Context, namespace, object string, t types.PatchType, change []byte) error {
			_, err := in(namespace).Patch(ctx, object, t, change, metav1.PatchOptions{FieldManager: Manager})
			return err
		},
		remove: func(ctx context.Context, namespace, object string, o metav1.DeleteOptions) error {
			err := in(namespace).Delete(ctx, object, o)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		},
	}
}

// apply takes back what others wrote into our fields: that is what keeping an object means. What they
// added beside stays, unless the object is not valid with both: then whole lists are replaced first. (A
// Service's ports are told apart by their numbers. A changed number is an added port, of the same name.)
func apply[T runtime.Object](ctx context.Context, in api[T], name string, want tree) error {
	force := true
	ours := metav1.PatchOptions{FieldManager: Manager, Force: &force}
	_, err := in.Patch(ctx, name, types.ApplyPatchType, text(want), ours)
	if !apierrors.IsInvalid(err) {
		return err
	}
	if _, replaced := in.Patch(ctx, name, types.MergePatchType, text(tree{"spec": want["spec"]}), metav1.PatchOptions{FieldManager: Manager}); replaced != nil {
		return err // which says what is wrong with what we ask for
	}
	_, err = in.Patch(ctx, name, types.ApplyPatchType, text(want), ours)
	return err
}

// text is a tree as it is applied.
func text(t tree) []byte {
	out, err := json.Marshal(t)
	if err != nil {
		panic(err) // unreachable unless bug: it came from JSON
	}
	return out
}
