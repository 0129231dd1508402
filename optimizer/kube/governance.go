package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// governanceManager is the field manager of quotas and limits: what it owns is Governance's to repair.
const governanceManager = "trimtab-governance"

// Governance keeps the ResourceQuota and LimitRange of namespaces as Governance documents say, by
// server-side apply. It implements optimizer.Keeper: the caches say what differs, so that a pass in which
// nothing does makes no call. Lines of a quota that others add beside the document's are theirs. It is
// for one goroutine.
type Governance struct {
	cluster *Cluster
	kinds   []governedKind
	fights  *fights
}

// NewGovernance keeps the quotas and limits of the cluster behind client, whose caches cluster holds.
func NewGovernance(client kubernetes.Interface, cluster *Cluster) *Governance {
	return &Governance{
		cluster: cluster,
		// LimitRange first: a quota without its defaults refuses pods.
		kinds:  []governedKind{rangeKind(client.CoreV1(), cluster), quotaKind(client.CoreV1(), cluster)},
		fights: newFights(),
	}
}

// governing is one pass.
type governing struct {
	*Governance
	ctx   context.Context
	write bool
	now   time.Time
}

// Keep implements optimizer.Keeper. What it gives is sorted by document, namespace, kind and name.
func (g *Governance) Keep(ctx context.Context, set policies.Set, seen fleet.Snapshot, write bool, now time.Time) ([]optimizer.Kept, error) {
	if err := g.cluster.ready(ctx); err != nil {
		return nil, fmt.Errorf("compare quotas and limits: %w", err)
	}
	p := governing{g, ctx, write, now}
	kept := []optimizer.Kept{}
	asked := map[string]bool{}
	for _, d := range set.Governances {
		for _, ns := range d.Namespaces {
			wants := g.wants(d, ns)
			for _, w := range wants {
				asked[w.key()] = true
			}
			_, exists := seen.BoundsOf(ns)
			kept = append(kept, p.namespace(d, wants, exists)...)
		}
	}
	kept = append(kept, p.leftovers(set, asked)...)
	slices.SortStableFunc(kept, func(a, b optimizer.Kept) int {
		return cmp.Or(strings.Compare(a.Document, b.Document), strings.Compare(a.Namespace, b.Namespace),
			strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return kept, nil
}

// wants is the objects that a document asks for in one namespace, in the order in which they are made.
func (g *Governance) wants(d policies.Governance, ns string) []wanted {
	var all []wanted
	for _, k := range g.kinds {
		if w, ok := k.wanted(d, ns); ok {
			w.kind = k
			all = append(all, w)
		}
	}
	return all
}

// namespace keeps the objects of one namespace. One that is not there yet waits for the one before it.
func (p governing) namespace(d policies.Governance, wants []wanted, exists bool) []optimizer.Kept {
	var all []optimizer.Kept
	for i, w := range wants {
		k := optimizer.Kept{Document: "Governance " + d.Name, Kind: w.kind.name, Namespace: w.namespace, Name: w.name}
		live := w.kind.cached(w.namespace, w.name)
		diff := w.differences(live)
		switch {
		case !exists:
			k.State, k.Detail = optimizer.Refused, "namespace "+w.namespace+" does not exist; create it, or remove it from the document"
		case len(diff) == 0:
			k.State = optimizer.AsAsked
		case !p.write || d.Mode != policies.Enforce:
			k.State, k.Detail = optimizer.Differs, w.would(live, diff)
		case i > 0 && !live.found && all[i-1].State == optimizer.Refused:
			k.State, k.Detail = optimizer.Refused, "waits for "+wants[i-1].String()+", without whose defaults it would refuse pods"
		default:
			k.State, k.Detail = p.make(d, w)
		}
		all = append(all, k)
	}
	return all
}

// make writes an object as it is asked for. It looks again first: the caches may be behind what this
// keeper wrote itself.
func (p governing) make(d policies.Governance, w wanted) (optimizer.KeptState, string) {
	live, err := w.kind.get(p.ctx, w.namespace, w.name)
	if err != nil {
		return optimizer.Refused, refused("read "+w.String(), err).Error()
	}
	diff := w.differences(live)
	if len(diff) == 0 {
		return optimizer.AsAsked, ""
	}
	if text := w.belowUsed(live); text != "" && !d.AllowBelowUsed {
		return optimizer.Refused, text
	}
	if text := p.fights.quarantined(w, live, diff, p.now); text != "" {
		return optimizer.Refused, text
	}
	after, err := w.kind.apply(p.ctx, w)
	if err != nil {
		return optimizer.Refused, refused("write "+w.String(), err).Error()
	}
	left := w.differences(after)
	p.fights.wrote(w, left, p.now)
	switch {
	case len(left) > 0:
		return optimizer.Refused, "it was written, and " + webhook + " changed it at once: " + say(left, difference.pending)
	case !live.found:
		return optimizer.Created, w.summary()
	}
	return optimizer.Repaired, repaired(diff)
}

// leftovers deletes what this keeper made for documents that ask for it no more, a quota before the
// LimitRange whose defaults it needs.
func (p governing) leftovers(set policies.Set, asked map[string]bool) []optimizer.Kept {
	var all []optimizer.Kept
	for _, kind := range slices.Backward(p.kinds) {
		for _, live := range kind.all() {
			if !live.ours() || asked[kind.key(live.namespace, live.name)] {
				continue
			}
			k := optimizer.Kept{Document: "Governance " + live.document, Kind: kind.name, Namespace: live.namespace, Name: live.name}
			k.State, k.Detail = p.leave(set, kind, live, all)
			if k.State != "" {
				all = append(all, k)
			}
		}
	}
	return all
}

// leave deletes one object, or says why it stays; no state: it is gone. before is those left or deleted
// before it.
func (p governing) leave(set policies.Set, kind governedKind, live governed, before []optimizer.Kept) (optimizer.KeptState, string) {
	const unasked = "no document asks for it any more; "
	if why := stays(set, live); why != "" {
		return optimizer.Differs, unasked + why
	}
	if !p.write {
		return optimizer.Differs, unasked + "would delete it"
	}
	for _, k := range before {
		if k.Namespace == live.namespace && k.State != optimizer.Deleted {
			return optimizer.Differs, unasked + "it stays with " + k.Kind + " " + k.Name + ", which may refuse pods without its defaults"
		}
	}
	err := kind.remove(p.ctx, live)
	switch {
	case apierrors.IsNotFound(err):
		return "", ""
	case apierrors.IsConflict(err):
		return optimizer.Differs, unasked + "it changed between reading and deleting, which is tried again"
	case err != nil:
		return optimizer.Refused, refused("delete "+kind.name+" "+live.namespace+"/"+live.name, err).Error()
	}
	return optimizer.Deleted, "no document asks for it any more"
}

// stays is why an object that no document asks for is not deleted, or nothing.
func stays(set policies.Set, live governed) string {
	for _, b := range set.Bad {
		if mayGovern(b.Kind) {
			return "it stays while " + b.Source + " has faults, which may be its document"
		}
	}
	for _, d := range set.Governances {
		if d.Name == live.document && d.Mode != policies.Enforce {
			return "its document only recommends, so it stays"
		}
	}
	if others := live.writers(); len(others) > 0 {
		return "it stays, for " + strings.Join(others, ", ") + " wrote to it too: delete it by hand"
	}
	return ""
}

// mayGovern tells whether a document with faults, of whose kind this could be read, may be a Governance.
func mayGovern(kind string) bool {
	return !slices.Contains([]string{policies.KindPolicy, policies.KindPrices, policies.KindServer, policies.KindReport}, kind)
}
