package kube

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// api is the part of a typed client that an informer needs.
type api[L runtime.Object] interface {
	List(ctx context.Context, o metav1.ListOptions) (L, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// labelled narrows an api to the objects that a label selector picks.
type labelled[L runtime.Object] struct {
	api[L]
	selector string
}

func (l labelled[L]) List(ctx context.Context, o metav1.ListOptions) (L, error) {
	o.LabelSelector = l.selector
	return l.api.List(ctx, o)
}

func (l labelled[L]) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.LabelSelector = l.selector
	return l.api.Watch(ctx, o)
}

// source is one resource: its informer and the health of its link.
type source struct {
	cache.SharedIndexInformer
	link *link
}

// feed is a source with the type of its records.
type feed[R metav1.Object] struct{ source }

// watchAll sets up a feed that maps every object to a record as it arrives: only the record is kept.
// The client is asked what kind it is: a fake one cannot stream its lists.
func watchAll[T, L runtime.Object, R metav1.Object](log *slog.Logger, client any, name schema.GroupResource, a api[L], record func(T) R) feed[R] {
	var kind T
	l := &link{resource: name, log: log}
	informer := cache.NewSharedIndexInformerWithOptions(
		cache.ToListWatcherWithWatchListSemantics(observed(a, l), client), kind, cache.SharedIndexInformerOptions{})
	quiet := func(context.Context, *cache.Reflector, error) {} // the link has told it
	set := func(o any) (any, error) {
		if t, ok := o.(T); ok {
			return record(t), nil
		}
		return o, nil // a record, or a tombstone that holds one
	}
	if informer.SetWatchErrorHandlerWithContext(quiet) != nil || informer.SetTransform(set) != nil {
		panic("the informer runs before it was started") // unreachable unless bug
	}
	return feed[R]{source{informer, l}}
}

// observed is a's list and watch, each call noted on l.
func observed[L runtime.Object](a api[L], l *link) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := a.List(ctx, o)
			l.listed(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := a.Watch(ctx, o)
			l.watched(ctx, err)
			return w, err
		},
	}
}

// all is every record, sorted by namespace and name. Records are shared: they are not to be changed.
func (f feed[R]) all() []R {
	held := f.GetStore().List()
	records := make([]R, 0, len(held))
	for _, o := range held {
		if r, ok := o.(R); ok {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b R) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return records
}

// identity is what of an object's metadata the caches keep.
func identity(o metav1.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), ResourceVersion: o.GetResourceVersion()}
}
