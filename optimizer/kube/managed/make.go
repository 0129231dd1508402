package managed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"trimtab.dev/trimtab/optimizer"
)

// appliedAnnotation stands for all that was applied last: where it differs from what is asked for now,
// something may have to go that a comparison with the live object does not show.
const appliedAnnotation = "trimtab.dev/applied"

// makeAll compares every object with what is asked, and where the server is enforced makes it so. Where the settings
// are refused, which are first, nothing that goes with them is written either.
func (j *job) makeAll(ctx context.Context, r record) []optimizer.Kept {
	var rows []optimizer.Kept
	for _, k := range j.kinds {
		if k.name == kindAutoscaler {
			rows = append(rows, j.scale(ctx, k, r)...)
			continue
		}
		if row, ok := j.protected(ctx, k); ok {
			rows = append(rows, row)
			continue
		}
		rows = append(rows, j.make(ctx, k, j.wanted(k.name, r)))
		if k.name == kindConfigMap && rows[0].State == optimizer.Refused {
			break
		}
	}
	return rows
}

// protected is the row of a budget that is not made because another one protects the pods of an adopted server
// already: pods under two budgets cannot be evicted at all, and nodes not be drained.
func (j *job) protected(ctx context.Context, k kind) (optimizer.Kept, bool) {
	if k.name != kindBudget || !j.found[kindBudget].none() || !j.adopted.has(kindDeployment) {
		return optimizer.Kept{}, false
	}
	all, err := j.client.PolicyV1().PodDisruptionBudgets(j.server.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return j.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("list PodDisruptionBudgets: %w", err))), true
	}
	pods := labels.Set(j.adopted.template(j.server).Labels)
	for _, b := range all.Items {
		if selects, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && selects.Matches(pods) {
			return j.row(k.name, optimizer.AsAsked, "PodDisruptionBudget "+b.Name+" protects its pods already"), true
		}
	}
	return optimizer.Kept{}, false
}

func (j *job) make(ctx context.Context, k kind, want tree) optimizer.Kept {
	diff, none, foreign := j.differs(k.name, want), j.found[k.name].none(), j.foreigner(k.name)
	seen := visible(diff)
	switch {
	case !j.enforced && none:
		return j.row(k.name, optimizer.Differs, "it is not there")
	case !j.enforced && foreign:
		return j.row(k.name, optimizer.Differs, "it is there and would be adopted as it is")
	case !foreign && (len(diff) == 0 || !j.enforced && len(seen) == 0):
		delete(j.repairs, j.repairOf(k.name))
		return j.row(k.name, optimizer.AsAsked, j.left(k.name))
	case !j.enforced:
		return j.row(k.name, optimizer.Differs, summary(seen))
	}
	// Settings that the tuner itself changes are nobody's doing.
	disputed := !none && !foreign && (k.name != kindConfigMap || j.drifted)
	if by, left := j.fought(k.name, seen); disputed && left {
		return j.leave(k.name, by, seen)
	}
	return j.put(ctx, k, want, seen)
}

// put makes the object as want asks; seen is what people are told of how it differs.
func (j *job) put(ctx context.Context, k kind, want tree, seen []string) optimizer.Kept {
	l, foreign := j.found[k.name], j.foreigner(k.name)
	// What somebody else wrote meanwhile into settings, or into what is to be kept as it was found, must not
	// be lost: it is read again in the next pass.
	if !l.none() && (k.name == kindConfigMap || foreign) {
		want["metadata"].(tree)["resourceVersion"] = l.meta.GetResourceVersion()
	}
	err := j.disown(ctx, k)
	if err == nil {
		err = k.apply(ctx, j.server.Namespace, nameOf(j.server, j.adopted, k.name), want)
	}
	if err == nil && len(seen) > 0 && !l.none() && !foreign {
		j.repaired(k.name, seen)
	}
	switch {
	case err != nil:
		return j.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("write it: %w", err)))
	case l.none():
		return j.row(k.name, optimizer.Created, "")
	case foreign:
		return j.row(k.name, optimizer.Repaired, joined("adopted as it was found", j.alsoKept(k.name)))
	case len(seen) == 0:
		return j.row(k.name, optimizer.Repaired, "something that is no longer asked for is removed")
	}
	return j.row(k.name, optimizer.Repaired, summary(seen))
}

// joined is the parts of a detail that there are.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

// differs says where the object is not as want asks, beside what it is.
func (j *job) differs(kind string, want tree) []string {
	want = maps.Clone(want)
	delete(want, "apiVersion")
	delete(want, "kind")
	return differences(want, j.found[kind].tree)
}

// visible leaves out what differs in our own notes on an object.
func visible(diff []string) []string {
	return slices.DeleteFunc(slices.Clone(diff), func(d string) bool {
		return slices.ContainsFunc([]string{recordAnnotation, appliedAnnotation, adoptedAnnotation}, func(note string) bool {
			return strings.HasPrefix(d, "metadata.annotations."+note+" ")
		})
	})
}

// wanted is one of the server's objects as it should be.
func (j *job) wanted(kind string, r record) tree {
	var want tree
	switch kind {
	case kindConfigMap:
		want = treeOf(configMap(j.server, r))
	case kindService:
		want = treeOf(service(j.server, j.adopted))
	case kindBudget:
		want = treeOf(budget(j.server, j.adopted))
	case kindDeployment:
		want = treeOf(deployment(j.server, j.adopted, j.replicasOf(r)))
	case kindAutoscaler:
		want = treeOf(autoscaler(j.server, j.adopted, r.cpuTarget(j.server)))
	}
	if kind != kindDeployment || j.autoscaler() == "" {
		mark(want)
		return want
	}
	spec := want["spec"].(tree)
	first := spec["replicas"]
	delete(spec, "replicas")
	mark(want)
	if n, ask := j.heldReplicas(first); ask {
		spec["replicas"] = n
	}
	return want
}

// replicasOf is how many pods the Deployment is asked for, where no autoscaler has said it yet.
func (j *job) replicasOf(r record) int32 {
	n := r.replicas(j.server)
	if scaled := j.server.Autoscale; scaled.On() {
		n = min(max(n, scaled.Min), scaled.Max)
	}
	return n
}

// mark annotates an object with what stands for all of it but the record, which changes all the time.
func mark(want tree) {
	meta := want["metadata"].(tree)
	notes, ok := meta["annotations"].(tree)
	if !ok {
		notes = tree{}
		meta["annotations"] = notes
	}
	note, had := notes[recordAnnotation]
	delete(notes, recordAnnotation)
	sum := sha256.Sum256(text(want))
	notes[appliedAnnotation] = hex.EncodeToString(sum[:8])
	if had {
		notes[recordAnnotation] = note
	}
}

// heldReplicas asks for no number of replicas where another manager wrote one. Before an autoscaler has
// scaled for the first time nobody else has, and a number that nobody asks for becomes 1: then the one
// that is there is asked for, and first of a Deployment that is not there yet.
func (j *job) heldReplicas(first any) (n any, ask bool) {
	live := j.found[kindDeployment]
	if live.none() {
		return first, true
	}
	if slices.ContainsFunc(live.meta.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager != Manager && f.FieldsV1 != nil && strings.Contains(f.FieldsV1.GetRawString(), `"f:replicas"`) && f.Subresource != "status"
	}) {
		return nil, false
	}
	spec, ok := live.tree["spec"].(tree)
	return spec["replicas"], ok
}

// left says what of an object is not kept, or who keeps it too.
func (j *job) left(kind string) string {
	held := ""
	if hpa := j.autoscaler(); hpa != "" && kind == kindDeployment {
		held = "its replicas are left to HorizontalPodAutoscaler " + hpa
	}
	if j.adopted.has(kind) {
		return joined(held, j.alsoKept(kind))
	}
	return held
}
