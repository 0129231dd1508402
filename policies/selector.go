package policies

import (
	"fmt"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// The labels that Trimtab reads.
const (
	// PolicyLabel marks the ConfigMaps that hold policy documents, whatever its value is there.
	// On a namespace the value "recommend" applies Default() to the workloads that no document selects.
	PolicyLabel = "trimtab.dev/policy"
	// ClassLabel on a workload says how it is called: "online" or "batch".
	ClassLabel = "trimtab.dev/class"
)

// BuiltIn is the Source of the policy that the namespace label applies.
const BuiltIn = "built-in"

// Matches tells whether the selector picks w: every part that is given must match. One that gives
// nothing picks nothing.
func (s Selector) Matches(w fleet.Workload, namespaceLabels map[string]string) bool {
	return !s.empty() &&
		(len(s.Namespaces) == 0 || slices.Contains(s.Namespaces, w.Ref.Namespace)) &&
		(len(s.Names) == 0 || slices.Contains(s.Names, w.Ref.Name)) &&
		has(w.Labels, s.MatchLabels) &&
		has(namespaceLabels, s.NamespaceLabels)
}

func (s Selector) empty() bool {
	return len(s.Namespaces)+len(s.Names)+len(s.MatchLabels)+len(s.NamespaceLabels) == 0
}

func has(labels, wanted map[string]string) bool {
	for k, v := range wanted {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// For gives the policies that select w, in the order of the set; more than one is for the caller to
// refuse. Where none does, the namespace's label may apply the built-in one.
func (s Set) For(w fleet.Workload, namespaceLabels map[string]string) []Policy {
	var matched []Policy
	for _, p := range s.Policies {
		if p.Selector.Matches(w, namespaceLabels) {
			matched = append(matched, p)
		}
	}
	if len(matched) == 0 && namespaceLabels[PolicyLabel] == string(Recommend) {
		matched = append(matched, builtIn())
	}
	return matched
}

// builtIn is Default() for the namespaces that ask for it.
func builtIn() Policy {
	p := Default()
	p.Name, p.Source = "default", BuiltIn
	p.Selector.NamespaceLabels = map[string]string{PolicyLabel: string(Recommend)}
	return p
}

// LabelFault says what is wrong with a namespace's policy label; false where nothing is, or there is
// no such label. A value that is not known applies no policy, and must not do so silently.
func LabelFault(namespaceLabels map[string]string) (string, bool) {
	v, ok := namespaceLabels[PolicyLabel]
	if !ok || v == string(Recommend) {
		return "", false
	}
	text := fmt.Sprintf("namespace label %s=%q is not known and applies no policy; the only value is %q", PolicyLabel, v, Recommend)
	if v == string(Enforce) {
		text += ", to enforce write a Policy document"
	}
	return text, true
}
