package managed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
)

// leftovers deletes, or where nothing may be written only names, the servers that no document asks for
// any more. They are found by their Deployments and Services, of which the latter go last.
func (p *pass) leftovers(ctx context.Context, set policies.Set) ([]optimizer.Kept, error) {
	found, err := p.servers(ctx)
	if err != nil {
		return nil, fmt.Errorf("find inference servers that no document asks for: %w", err)
	}
	for _, e := range p.open { // none where nothing may be written
		if at := (types.NamespacedName{Namespace: e.Change.Ref.Namespace, Name: e.Change.Ref.Name}); !claimed(at, set) {
			err = errors.Join(err, p.settle(ctx, e.Change.Ref, "", "no document asks for the server any more"))
		}
	}
	if err != nil {
		return nil, err
	}
	var out []optimizer.Kept
	for _, at := range p.unclaimed(found, set) {
		g, err := p.gone(ctx, at)
		if err != nil {
			return out, fmt.Errorf("remove inference server %s: %w", at, err)
		}
		end := g.remove
		if g.keep {
			end = g.release
		}
		rows, err := end(ctx)
		out = append(out, rows...)
		if err != nil {
			return out, fmt.Errorf("remove inference server %s: %w", at, err)
		}
	}
	return out, nil
}

// deletionGrace is how long a document must have been gone before its server goes: one that is replaced is
// deleted and made again, and its server is not to stop for that.
const deletionGrace = 2 * time.Minute

// unclaimed gives the servers that no document has asked for during the grace.
func (p *pass) unclaimed(found []types.NamespacedName, set policies.Set) []types.NamespacedName {
	maps.DeleteFunc(p.wishes, func(at types.NamespacedName, _ policies.OnDelete) bool {
		return !claimed(at, set) && !slices.Contains(found, at)
	})
	since := map[types.NamespacedName]time.Time{}
	var out []types.NamespacedName
	for _, at := range found {
		if claimed(at, set) {
			continue
		}
		since[at] = p.now
		if first, known := p.unasked[at]; known {
			since[at] = first
		}
		if p.now.Sub(since[at]) >= deletionGrace {
			out = append(out, at)
		}
	}
	p.unasked = since
	return out
}

// servers names every server that Trimtab made anything of, sorted.
func (p *pass) servers(ctx context.Context) ([]types.NamespacedName, error) {
	every := metav1.ListOptions{LabelSelector: policies.ServerLabel}
	deployments, err := p.client.AppsV1().Deployments(metav1.NamespaceAll).List(ctx, every)
	if err != nil {
		return nil, fmt.Errorf("list Deployments: %w", err)
	}
	services, err := p.client.CoreV1().Services(metav1.NamespaceAll).List(ctx, every)
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	var out []types.NamespacedName
	add := func(o metav1.Object) {
		if (live{meta: o}).ours(o.GetName()) {
			out = append(out, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()})
		}
	}
	for i := range deployments.Items {
		add(&deployments.Items[i])
	}
	for i := range services.Items {
		add(&services.Items[i])
	}
	slices.SortFunc(out, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(out), nil
}

// claimed tells whether a document asks for a server, or may: one with faults protects the server of its
// name, and where not even its name could be read, all of them.
func claimed(at types.NamespacedName, set policies.Set) bool {
	for _, s := range set.Servers {
		if s.Namespace == at.Namespace && s.Name == at.Name {
			return true
		}
	}
	return slices.ContainsFunc(set.Bad, func(b policies.Bad) bool {
		return (b.Kind == "" || b.Kind == policies.KindServer) && (b.Name == "" || b.Name == at.Name)
	})
}

// remove takes a server away in two steps: first its autoscaler and the Deployment, whose pods finish what
// they have while the Service still knows which of them serve; when it is gone, in this or a later pass, the
// rest.
func (g gone) remove(ctx context.Context) ([]optimizer.Kept, error) {
	var out []optimizer.Kept
	for _, name := range []string{kindAutoscaler, kindDeployment, kindBudget, kindConfigMap, kindService} {
		if g.found[name].none() {
			continue
		}
		out = append(out, g.take(ctx, g.kind(name)))
		if name == kindDeployment {
			break
		}
	}
	return out, nil
}

// take removes one object.
func (g gone) take(ctx context.Context, k kind) optimizer.Kept {
	l := g.found[k.name]
	switch {
	case k.name == kindConfigMap && g.shared():
		return g.releaseOne(ctx, k, "it stays, as there is more in it than this server's settings")
	case !g.write:
		return g.row(k.name, optimizer.Differs, notAsked)
	case l.meta.GetDeletionTimestamp() != nil && k.name == kindDeployment:
		return g.row(k.name, optimizer.Deleted, notAsked+"; its pods finish what they have")
	case l.meta.GetDeletionTimestamp() != nil:
		return g.row(k.name, optimizer.Deleted, notAsked)
	}
	uid, wait := l.meta.GetUID(), metav1.DeletePropagationForeground
	err := k.remove(ctx, g.server.Namespace, l.meta.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &wait,
	})
	if err != nil {
		return g.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("delete it: %w", err)))
	}
	return g.row(k.name, optimizer.Deleted, notAsked)
}
