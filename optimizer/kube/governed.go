package kube

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/policies"
)

// governed is one ResourceQuota or LimitRange as it is. The zero value is none.
type governed struct {
	found                    bool
	namespace, name, version string
	document                 string                       // of the label
	lines                    map[string]resource.Quantity // "requests.cpu", or "Container default.cpu"
	used                     corev1.ResourceList
	managers                 []metav1.ManagedFieldsEntry
	uid                      string
}

func newGoverned(m metav1.ObjectMeta) governed {
	return governed{
		found: true, namespace: m.Namespace, name: m.Name, version: m.ResourceVersion, uid: string(m.UID),
		document: m.Labels[policies.GovernanceLabel], managers: m.ManagedFields, lines: map[string]resource.Quantity{},
	}
}

func governedQuota(q *corev1.ResourceQuota) governed {
	g := newGoverned(q.ObjectMeta)
	for name, hard := range q.Spec.Hard {
		g.lines[string(name)] = hard
	}
	g.used = q.Status.Used
	return g
}

func governedRange(l *corev1.LimitRange) governed {
	g := newGoverned(l.ObjectMeta)
	for _, i := range l.Spec.Limits {
		for part, list := range parts(i) {
			for name, q := range list {
				g.lines[rangeLine(string(i.Type), part, string(name))] = q
			}
		}
	}
	return g
}

func parts(i corev1.LimitRangeItem) map[string]corev1.ResourceList {
	return map[string]corev1.ResourceList{
		"default": i.Default, "defaultRequest": i.DefaultRequest, "min": i.Min, "max": i.Max, "maxLimitRequestRatio": i.MaxLimitRequestRatio,
	}
}

func rangeLine(typ, part, name string) string { return typ + " " + part + "." + name }

// ours tells whether this keeper made or took over the object: by its label and by its field manager.
func (g governed) ours() bool {
	return g.document != "" && slices.ContainsFunc(g.managers, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == governanceManager })
}

// writers is who else has a hand in the object, sorted. Its status is the quota controller's.
func (g governed) writers() []string {
	var all []string
	for _, e := range g.managers {
		if e.Manager != governanceManager && e.Subresource == "" {
			all = append(all, e.Manager)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// owner is who owns the field at path in an object's field sets: this keeper, and the last other party
// that wrote it, if any.
func (g governed) owner(path ...string) (mine bool, other string) {
	var last metav1.Time
	for _, e := range g.managers {
		var f fields
		if e.FieldsV1 == nil || e.Subresource != "" || json.NewDecoder(e.FieldsV1.GetRawReader()).Decode(&f) != nil {
			continue
		}
		if !f.has(path) {
			continue
		}
		if e.Manager == governanceManager {
			mine = true
			continue
		}
		if at := e.Time; other == "" || at != nil && last.Before(at) {
			other = e.Manager
			if at != nil {
				last = *at
			}
		}
	}
	return mine, other
}

func (f fields) has(path []string) bool {
	for _, p := range path {
		next, ok := f["f:"+p]
		if !ok {
			return false
		}
		f = next
	}
	return true
}

// wanted is one object as a document asks for it.
type wanted struct {
	kind                      governedKind
	document, namespace, name string
	lines                     map[string]resource.Quantity
	implied                   map[string]resource.Quantity // what the API server adds to lines by itself
	granular                  bool                         // each line has owners of its own
	limits                    []policies.LimitItem         // of a LimitRange
}

func (w wanted) key() string { return w.kind.key(w.namespace, w.name) }

func (w wanted) String() string { return w.kind.name + " " + w.namespace + "/" + w.name }

// path leads to what owns a line: the line itself, or the list that is written as one.
func (w wanted) path(line string) []string {
	if w.granular {
		return []string{"spec", "hard", line}
	}
	return []string{"spec", "limits"}
}

// summary is the lines in words.
func (w wanted) summary() string {
	var all []string
	for _, line := range slices.Sorted(maps.Keys(w.lines)) {
		all = append(all, line+" "+quantity(w.lines[line]))
	}
	return strings.Join(all, ", ")
}

func quantity(q resource.Quantity) string { return q.String() }

// difference is one line that is not as asked; empty texts: it is not there, or not asked for.
type difference struct {
	line       string // empty: the object as a whole
	was, asked string
	mine       bool   // this keeper still owns it: the document changed
	by         string // who else does
}

// differences is what of live is not as w asks, sorted by line. Lines of a quota that this keeper does
// not own and the document does not name are somebody else's.
func (w wanted) differences(live governed) []difference {
	if !live.found {
		return []difference{{}}
	}
	var all []difference
	for _, line := range slices.Sorted(maps.Keys(w.lines)) {
		q, ok := live.lines[line]
		if want := w.lines[line]; !ok || q.Cmp(want) != 0 {
			d := difference{line: line, asked: quantity(want)}
			if ok {
				d.was = quantity(q)
			}
			d.mine, d.by = live.owner(w.path(line)...)
			all = append(all, d)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(live.lines)) {
		if d, ok := w.extra(live, line); ok {
			all = append(all, d)
		}
	}
	if len(all) == 0 && (!live.ours() || live.document != w.document) {
		all = append(all, difference{by: strings.Join(live.writers(), ", ")})
	}
	slices.SortStableFunc(all, func(a, b difference) int { return cmp.Compare(a.line, b.line) })
	return all
}

// extra finds a line that nobody asks for and that is not another party's own.
func (w wanted) extra(live governed, line string) (difference, bool) {
	if _, ok := w.lines[line]; ok {
		return difference{}, false
	}
	q := live.lines[line]
	if added, ok := w.implied[line]; ok && added.Cmp(q) == 0 {
		return difference{}, false
	}
	d := difference{line: line, was: quantity(q)}
	d.mine, d.by = live.owner(w.path(line)...)
	return d, !w.granular || d.mine && d.by == ""
}

// would says what is not done.
func (w wanted) would(live governed, diff []difference) string {
	if !live.found {
		return "would create " + w.kind.name + " " + w.name + ": " + w.summary()
	}
	return say(diff, difference.pending)
}

func say(diff []difference, words func(difference) string) string {
	var all []string
	for _, d := range diff {
		all = append(all, words(d))
	}
	return strings.Join(all, "; ")
}

func (d difference) pending() string {
	switch {
	case d.line == "":
		return "is as asked, and not kept by the document yet" + d.writer()
	case d.was == "":
		return d.line + " is not set, the document asks " + d.asked
	case d.asked == "":
		return d.line + " is " + d.was + d.writer() + ", the document asks none"
	}
	return d.line + " is " + d.was + d.writer() + ", the document asks " + d.asked
}

func repaired(diff []difference) string { return say(diff, difference.done) }

func (d difference) done() string {
	switch {
	case d.line == "":
		return "taken over as it is" + d.writer()
	case d.was == "":
		return d.line + " was not set, is " + d.asked
	case d.asked == "":
		return d.line + " was " + d.was + d.writer() + ", is not set"
	}
	return d.line + " was " + d.was + d.writer() + ", is " + d.asked
}

func (d difference) writer() string {
	if d.by == "" || d.mine {
		return ""
	}
	return " (by " + d.by + ")"
}

// belowUsed says which lines would be lowered below what is in use, or nothing.
func (w wanted) belowUsed(live governed) string {
	var all []string
	for _, line := range slices.Sorted(maps.Keys(w.lines)) {
		asked, used := w.lines[line], live.used[corev1.ResourceName(line)]
		if hard, ok := live.lines[line]; ok && asked.Cmp(hard) < 0 && asked.Cmp(used) < 0 {
			all = append(all, fmt.Sprintf("%s: %s is in use and the document asks %s", line, quantity(used), quantity(asked)))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "; ") + ", which would block new pods, those of the next failed node too; free some, ask more, or set allowBelowUsed"
}
