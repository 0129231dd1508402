package policies

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func policyDoc(source, name, namespace, mode string) Raw {
	return Raw{source, fmt.Appendf(nil, "apiVersion: %s\nkind: Policy\nmetadata: {name: %s}\nspec:\n  selector: {namespaces: [%s]}\n  mode: %s\n",
		APIVersion, name, namespace, mode)}
}

func pricesDoc(source, name string, rows ...string) Raw {
	return Raw{source, fmt.Appendf(nil, "apiVersion: %s\nkind: Prices\nmetadata: {name: %s}\nspec:\n  prices:\n  - %s\n",
		APIVersion, name, strings.Join(rows, "\n  - "))}
}

// compile is Compile with the checks of these tests.
func compile(raws []Raw, last Set) Set { return Compile(raws, last, testChecks()) }

// brief is a set in one line: policies as name/mode, prices as type=millionths, bad as source(kept).
func brief(s Set) string {
	var all []string
	for _, p := range s.Policies {
		all = append(all, p.Name+"/"+string(p.Mode))
	}
	for _, p := range s.Prices {
		all = append(all, fmt.Sprintf("%s=%d", p.InstanceType, p.Hourly))
	}
	for _, b := range s.Bad {
		all = append(all, fmt.Sprintf("bad %s(%v)", b.Source, b.Kept))
	}
	return strings.Join(all, " ")
}

func TestCompile(t *testing.T) {
	a, b := policyDoc("cm/a", "a", "ns", "enforce"), policyDoc("cm/b", "b", "other", "recommend")
	broken := policyDoc("cm/a", "a", "ns", "sometimes")
	good := compile([]Raw{a, b}, Set{})
	oldPrices := compile([]Raw{pricesDoc("cm/p", "p", `{instanceType: m5, hourly: "1"}`)}, Set{})

	for _, c := range []struct {
		name string
		raws []Raw
		last Set
		want string
	}{
		{"nothing", nil, Set{}, ""},
		{"two good", []Raw{b, a}, Set{}, "a/enforce b/recommend"},
		{"bad at first leaves only faults", []Raw{broken, b}, Set{}, "b/recommend bad cm/a(false)"},
		{"bad later keeps the last good, only recommending", []Raw{broken, b}, good, "a/recommend b/recommend bad cm/a(true)"},
		{"still bad a pass later", []Raw{broken}, compile([]Raw{broken}, good), "a/recommend bad cm/a(true)"},
		{"good again enforces again", []Raw{a}, compile([]Raw{broken}, good), "a/enforce"},
		{"removed in between is forgotten", []Raw{broken}, compile(nil, good), "bad cm/a(false)"},
		{"one name twice", []Raw{a, policyDoc("cm/c", "a", "ns", "enforce")}, Set{}, "bad cm/a(false) bad cm/c(false)"},
		{"one name twice, one was there before", []Raw{a, policyDoc("cm/c", "a", "ns", "enforce")}, good, "a/recommend bad cm/a(true) bad cm/c(false)"},
		{"a policy and prices may share a name", []Raw{a, pricesDoc("cm/p", "a", `{instanceType: m5, hourly: "1"}`)}, Set{}, "a/enforce m5=1000000"},
		{"one row in two documents", []Raw{pricesDoc("cm/p", "p", `{instanceType: m5, hourly: "1"}`), pricesDoc("cm/q", "q", `{instanceType: m5, hourly: "2"}`)},
			Set{}, "bad cm/p(false) bad cm/q(false)"},
		{"kept prices yield to good ones", []Raw{{"cm/p", []byte("kind: Prices")}, pricesDoc("cm/q", "q", `{instanceType: m5, hourly: "2"}`)},
			oldPrices, "m5=2000000 bad cm/p(true)"},
		{"kept prices", []Raw{{"cm/p", []byte("kind: Prices")}}, oldPrices, "m5=1000000 bad cm/p(true)"},
	} {
		if got := brief(compile(c.raws, c.last)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Both documents of a conflict name the other one and their own line.
func TestCompileNamesBoth(t *testing.T) {
	s := compile([]Raw{policyDoc("cm/a", "x", "ns", "enforce"), policyDoc("cm/b", "x", "ns", "enforce"),
		pricesDoc("cm/p", "p", `{instanceType: m5, hourly: "1"}`), pricesDoc("cm/q", "q", `{instanceType: c5, hourly: "1"}`, `{instanceType: m5, hourly: "2"}`)}, Set{})
	want := []Bad{
		{Source: "cm/a", Kind: "Policy", Name: "x", Faults: []string{"cm/a:3: metadata.name: Policy x is also in cm/b; rename one or remove it"}, Selector: &Selector{Namespaces: []string{"ns"}}},
		{Source: "cm/b", Kind: "Policy", Name: "x", Faults: []string{"cm/b:3: metadata.name: Policy x is also in cm/a; rename one or remove it"}, Selector: &Selector{Namespaces: []string{"ns"}}},
		{Source: "cm/p", Kind: "Prices", Name: "p", Faults: []string{"cm/p:6: spec.prices: on-demand m5 in any region is also priced in cm/q:7; keep one"}, Selector: &Selector{}},
		{Source: "cm/q", Kind: "Prices", Name: "q", Faults: []string{"cm/q:7: spec.prices: on-demand m5 in any region is also priced in cm/p:6; keep one"}, Selector: &Selector{}},
	}
	if !reflect.DeepEqual(s.Bad, want) {
		t.Errorf("got %+v\nwant %+v", s.Bad, want)
	}
}

// The order in which documents are listed does not show in the set.
func TestCompileOrder(t *testing.T) {
	raws := []Raw{
		policyDoc("cm/b", "b", "ns", "recommend"), policyDoc("cm/a", "a", "ns", "recommend"),
		pricesDoc("cm/p", "p", `{instanceType: m5, hourly: "1"}`, `{instanceType: c5, hourly: "1"}`), {"cm/z", []byte("kind: Policy")},
	}
	want, _ := json.Marshal(compile(raws, Set{}))
	slices.Reverse(raws)
	if got, _ := json.Marshal(compile(raws, Set{})); string(got) != string(want) {
		t.Errorf("reversed:\n got %s\nwant %s", got, want)
	}
}

// Whom a bad document is for is known only where its selector has no fault.
func TestBadSelector(t *testing.T) {
	frame := "apiVersion: trimtab.dev/v1alpha1\nkind: %s\nmetadata: {name: p}\nspec: %s\n"
	for _, c := range []struct {
		name, kind, spec string
		want             *Selector
	}{
		{"sound", "Policy", "{selector: {names: [a]}, budget: x}", &Selector{Names: []string{"a"}}},
		{"faulty", "Policy", "{selector: {names: [a, 'B']}}", nil},
		{"missing", "Policy", "{budget: 5}", nil},
		{"empty", "Policy", "{selector: {}}", nil},
		{"no policy", "Prices", "{prices: 5}", &Selector{}},
		{"a report", "Report", "{}", &Selector{}},
		{"an unknown kind", "Polcy", "{selector: {names: [a]}}", nil},
		{"no YAML", "Policy", "{selector: {names: [a]}", nil},
	} {
		s := compile([]Raw{{"f", fmt.Appendf(nil, frame, c.kind, c.spec)}}, Set{})
		if len(s.Bad) != 1 || !reflect.DeepEqual(s.Bad[0].Selector, c.want) {
			t.Errorf("%s: %+v, want selector %+v", c.name, s.Bad, c.want)
		}
	}
}

func TestMatches(t *testing.T) {
	w := fleet.Workload{Ref: fleet.Deployment("ml", "scorer"), Labels: map[string]string{"tier": "batch", "empty": ""}}
	ns := map[string]string{"team": "search"}
	for _, c := range []struct {
		name string
		s    Selector
		want bool
	}{
		{"nothing given", Selector{}, false},
		{"namespace", Selector{Namespaces: []string{"other", "ml"}}, true},
		{"other namespace", Selector{Namespaces: []string{"other"}}, false},
		{"name", Selector{Names: []string{"scorer"}}, true},
		{"name in other namespace", Selector{Names: []string{"scorer"}, Namespaces: []string{"other"}}, false},
		{"label", Selector{MatchLabels: map[string]string{"tier": "batch"}}, true},
		{"label's value", Selector{MatchLabels: map[string]string{"tier": "online"}}, false},
		{"missing label is not an empty one", Selector{MatchLabels: map[string]string{"none": ""}}, false},
		{"empty label", Selector{MatchLabels: map[string]string{"empty": ""}}, true},
		{"namespace label", Selector{NamespaceLabels: map[string]string{"team": "search"}}, true},
		{"namespace label of another", Selector{NamespaceLabels: map[string]string{"team": "ads"}}, false},
		{"all parts", Selector{[]string{"ml"}, []string{"scorer"}, map[string]string{"tier": "batch"}, map[string]string{"team": "search"}}, true},
		{"all parts but one", Selector{[]string{"ml"}, []string{"scorer"}, map[string]string{"tier": "batch"}, map[string]string{"team": "ads"}}, false},
	} {
		if got := c.s.Matches(w, ns); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFor(t *testing.T) {
	s := compile([]Raw{policyDoc("cm/a", "a", "ml", "enforce"), policyDoc("cm/b", "b", "ml", "recommend")}, Set{})
	labelled := map[string]string{PolicyLabel: "recommend"}
	for _, c := range []struct {
		name, namespace string
		labels          map[string]string
		want            string
	}{
		{"two match", "ml", nil, "a/enforce@cm/a b/recommend@cm/b"},
		{"documents go before the label", "ml", labelled, "a/enforce@cm/a b/recommend@cm/b"},
		{"none", "other", nil, ""},
		{"the label", "other", labelled, "default/recommend@built-in"},
		{"another value", "other", map[string]string{PolicyLabel: "enforce"}, ""},
	} {
		var got []string
		for _, p := range s.For(fleet.Workload{Ref: fleet.Deployment(c.namespace, "x")}, c.labels) {
			got = append(got, fmt.Sprintf("%s/%s@%s", p.Name, p.Mode, p.Source))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestLabelFault(t *testing.T) {
	for _, c := range []struct {
		labels map[string]string
		want   string // a part of the text; empty: no fault
	}{
		{nil, ""}, {map[string]string{"a": "b"}, ""}, {map[string]string{PolicyLabel: "recommend"}, ""},
		{map[string]string{PolicyLabel: "enforce"}, "to enforce write a Policy document"},
		{map[string]string{PolicyLabel: ""}, `""`}, {map[string]string{PolicyLabel: "Recommend"}, `"Recommend"`},
	} {
		text, bad := LabelFault(c.labels)
		if bad != (c.want != "") || !strings.Contains(text, c.want) {
			t.Errorf("LabelFault(%v) = %q, %v; want %q", c.labels, text, bad, c.want)
		}
	}
}
