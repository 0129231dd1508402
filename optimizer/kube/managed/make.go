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

	"trimtab.dev/trimtab/optimizer"
)

// appliedAnnotation stands for all that was applied last: where it differs from what is asked for now,
// something may have to go that a comparison with the live object does not show.
const appliedAnnotation = "trimtab.dev/applied"

// makeAll compares every object with what is asked, and where the server is enforced makes it so.
func (j *job) makeAll(ctx context.Context, r record) []optimizer.Kept {
	var rows []optimizer.Kept
	for _, k := range j.kinds {
		rows = append(rows, j.make(ctx, k, j.wanted(k.name, r)))
	}
	return rows
}

func (j *job) make(ctx context.Context, k kind, want tree) optimizer.Kept {
	diff, none := j.differs(k.name, want), j.found[k.name].none()
	seen := visible(diff)
	detail := summary(seen)
	switch {
	case none:
		detail = ""
	case len(diff) == 0 || !j.enforced && len(seen) == 0:
		return j.row(k.name, optimizer.AsAsked, j.left(k.name))
	case len(seen) == 0:
		detail = "something that is no longer asked for is removed"
	}
	if !j.enforced {
		if none {
			detail = "it is not there"
		}
		return j.row(k.name, optimizer.Differs, detail)
	}
	// Settings that somebody else wrote meanwhile must not be lost: they are read again in the next pass.
	if k.name == kindConfigMap && !none {
		want["metadata"].(tree)["resourceVersion"] = j.found[k.name].meta.GetResourceVersion()
	}
	if err := k.apply(ctx, j.server.Namespace, nameOf(j.server, k.name), want); err != nil {
		return j.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("write it: %w", err)))
	}
	if none {
		return j.row(k.name, optimizer.Created, detail)
	}
	return j.row(k.name, optimizer.Repaired, detail)
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
		return strings.HasPrefix(d, "metadata.annotations."+recordAnnotation) || strings.HasPrefix(d, "metadata.annotations."+appliedAnnotation)
	})
}

// wanted is one of the server's objects as it should be.
func (j *job) wanted(kind string, r record) tree {
	var want tree
	switch kind {
	case kindConfigMap:
		want = treeOf(configMap(j.server, r))
	case kindService:
		want = treeOf(service(j.server))
	case kindBudget:
		want = treeOf(budget(j.server))
	case kindDeployment:
		want = treeOf(deployment(j.server))
	}
	scaled := kind == kindDeployment && j.autoscaler() != ""
	if scaled {
		delete(want["spec"].(tree), "replicas")
	}
	mark(want)
	if scaled {
		j.leaveReplicas(want)
	}
	return want
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

// autoscaler is the HorizontalPodAutoscaler that sets the replicas; empty: none does.
func (j *job) autoscaler() string {
	o, _ := j.seen.OwnedBy("replicas", "HorizontalPodAutoscaler")
	return o.Name
}

// leaveReplicas asks for no number of replicas where another manager wrote one. Before an autoscaler has
// scaled for the first time nobody else has, and a number that nobody asks for becomes 1: then the one
// that is there is asked for.
func (j *job) leaveReplicas(want tree) {
	live := j.found[kindDeployment]
	if live.none() || slices.ContainsFunc(live.meta.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager != Manager && f.FieldsV1 != nil && strings.Contains(f.FieldsV1.GetRawString(), `"f:replicas"`) && f.Subresource != "status"
	}) {
		return
	}
	if spec, ok := live.tree["spec"].(tree); ok {
		want["spec"].(tree)["replicas"] = spec["replicas"]
	}
}

// left says what of an object is not kept.
func (j *job) left(kind string) string {
	if hpa := j.autoscaler(); hpa != "" && kind == kindDeployment {
		return "its replicas are left to HorizontalPodAutoscaler " + hpa
	}
	return ""
}
