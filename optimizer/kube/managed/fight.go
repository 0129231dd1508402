package managed

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// An object whose difference comes back after so many repairs in a row is left for a while: somebody else
// keeps it by another rule, and no write settles that.
const (
	mostRepairs = 3
	truce       = time.Hour
	// calm is how long a pod must have been left alone for its repairs to be forgotten: who resizes pods may look at them
	// more rarely than we do.
	calm = 10 * time.Minute
)

// repair is the difference that an object was last written for, and how often in a row.
type repair struct {
	difference string
	times      int
	at         time.Time
}

// fought tells that the same difference was repaired in vain, and by whom it is made.
func (j *job) fought(kind string, diff []string) (by string, ok bool) {
	last := j.repairs[j.repairOf(kind)]
	if last.difference != differing(diff) || last.times < mostRepairs || j.now.Sub(last.at) >= truce {
		return "", false
	}
	return writer(j.found[kind].meta.GetManagedFields(), diff), true
}

// yields tells that a pod was resized again and again to the same in vain: an autoscaler of pods in place, or a script, has
// another rule for it.
func (j *job) yields(p pod) bool {
	last := j.repairs[j.repairOfPod(p)]
	return last.difference == p.size.words() && last.times >= mostRepairs && j.now.Sub(last.at) < truce
}

// askAgain resizes a pod and counts that, as its last resize to the same was taken back.
func (j *job) askAgain(ctx context.Context, p pod, requests, limits fleet.Resources) error {
	if err := j.ask(ctx, p, requests, limits); err != nil {
		return err
	}
	j.count(j.repairOfPod(p), p.size.words())
	return nil
}

// repairOfPod names a pod among the repairs.
func (j *job) repairOfPod(p pod) string { return j.repairsOfPods() + p.uid }

func (j *job) repairsOfPods() string { return "Pod " + j.key() + "/" }

// forgetPods forgets the repairs of pods that have gone.
func (j *job) forgetPods() {
	maps.DeleteFunc(j.repairs, func(key string, _ repair) bool {
		uid, mine := strings.CutPrefix(key, j.repairsOfPods())
		return mine && !slices.ContainsFunc(j.pods, func(p pod) bool { return p.uid == uid })
	})
}

// resizerOf is who resized a pod last, beside us, as far as the API server knows.
func resizerOf(fields []metav1.ManagedFieldsEntry) (who string) {
	var at time.Time
	for _, f := range fields {
		if f.Subresource == "resize" && f.Manager != Manager && !wrote(f).Before(at) {
			who, at = f.Manager, wrote(f)
		}
	}
	return who
}

// repaired counts a repair that was written. After a truce there is one, not three.
func (j *job) repaired(kind string, diff []string) { j.count(j.repairOf(kind), differing(diff)) }

// count counts a repair of one difference.
func (j *job) count(of, difference string) {
	now := repair{difference, 1, j.now}
	if last := j.repairs[of]; last.difference == difference {
		now.times = min(last.times+1, mostRepairs)
	}
	j.repairs[of] = now
}

// repairOf names an object among the repairs.
func (j *job) repairOf(kind string) string {
	return kind + " " + j.server.Namespace + "/" + nameOf(j.server, j.adopted, kind)
}

// differing is what others wrote, without what is asked for.
func differing(diff []string) string {
	var all []string
	for _, d := range diff {
		theirs, _, _ := strings.Cut(d, ", not ")
		all = append(all, theirs)
	}
	return strings.Join(all, "; ")
}

// leave is the row of an object that is fought over.
func (j *job) leave(kind, by string, seen []string) optimizer.Kept {
	return j.row(kind, optimizer.Differs, fmt.Sprintf("%s; repaired %d times in a row and changed back by %s: it is left so for %s; let one of the two say it",
		summary(seen), mostRepairs, by, truce))
}

// writer says who wrote the fields that differ, as far as the API server knows: another manager of one of
// them that wrote since we did. What no manager claims was changed while we wrote.
func writer(fields []metav1.ManagedFieldsEntry, diff []string) string {
	ours := applied(fields)
	for _, f := range fields {
		var owned map[string]any
		if f.Manager == Manager || f.FieldsV1 == nil || wrote(f).Before(ours) || json.Unmarshal(f.FieldsV1.GetRawBytes(), &owned) != nil {
			continue
		}
		for _, d := range diff {
			if path, _, _ := strings.Cut(d, " "); owns(owned, path) {
				return f.Manager
			}
		}
	}
	return "a mutating admission webhook"
}

// applied is when we wrote.
func applied(fields []metav1.ManagedFieldsEntry) (at time.Time) {
	for _, f := range fields {
		if f.Manager == Manager && f.Operation == metav1.ManagedFieldsOperationApply {
			at = wrote(f)
		}
	}
	return at
}

func wrote(f metav1.ManagedFieldsEntry) time.Time {
	if f.Time == nil {
		return time.Time{}
	}
	return f.Time.Time
}

// owns tells whether path is among the fields that a manager wrote, down to the first list on the way.
func owns(fields map[string]any, path string) bool {
	path, _, _ = strings.Cut(path, "[")
	for key, under := range fields {
		name, isField := strings.CutPrefix(key, "f:")
		inner, _ := under.(map[string]any)
		rest, below := strings.CutPrefix(path, name+".")
		if isField && (path == name || below && owns(inner, rest)) {
			return true
		}
	}
	return false
}
