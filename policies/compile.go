package policies

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// reading is one Raw after Parse.
type reading struct {
	source string
	docs   Documents
	faults []Fault
}

// Compile makes the set of one pass from every document as it stands. A document with faults keeps its
// last good version, from last, in recommend mode only; one that never was good leaves nothing but its
// faults. The order of raws does not matter.
func Compile(raws []Raw, last Set) Set {
	raws = slices.Clone(raws)
	slices.SortStableFunc(raws, func(a, b Raw) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), bytes.Compare(a.Data, b.Data))
	})
	var all []reading
	for _, raw := range raws {
		docs, faults := Parse(raw)
		all = append(all, reading{raw.Source, docs, faults})
	}
	faultTwins(all)
	faultRows(all)
	s := Set{Policies: []Policy{}, Prices: []Price{}, Bad: []Bad{}, good: map[string]Documents{}}
	for _, r := range all {
		s.take(r)
	}
	for _, r := range all {
		s.keep(r, last)
	}
	s.sort()
	return s
}

// faultTwins faults documents of one kind that share a name: nobody can tell which was meant.
func faultTwins(all []reading) {
	type key struct{ kind, name string }
	holders := map[key][]int{}
	for i, r := range all {
		if r.docs.Kind != "" && r.docs.Name != "" {
			k := key{r.docs.Kind, r.docs.Name}
			holders[k] = append(holders[k], i)
		}
	}
	for i, r := range all {
		for _, j := range holders[key{r.docs.Kind, r.docs.Name}] {
			if j != i {
				text := fmt.Sprintf("%s %s is also in %s; rename one or remove it", r.docs.Kind, r.docs.Name, all[j].source)
				all[i].fault(r.docs.nameLine, "metadata.name", text)
			}
		}
	}
}

// faultRows faults prices that two documents give for the same node.
func faultRows(all []reading) {
	type row struct{ reading, line int }
	holders := map[string][]row{}
	for i, r := range all {
		for _, p := range r.docs.Prices {
			holders[p.key()] = append(holders[p.key()], row{i, p.Line})
		}
	}
	for i, r := range all {
		for _, p := range r.docs.Prices {
			for _, h := range holders[p.key()] {
				if h.reading != i {
					text := fmt.Sprintf("%s is also priced in %s:%d; keep one", p.key(), all[h.reading].source, h.line)
					all[i].fault(p.Line, "spec.prices", text)
				}
			}
		}
	}
}

func (r *reading) fault(line int, path, text string) {
	r.faults = append(r.faults, Fault{r.source, line, path, text})
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
}

// take adds a document without faults.
func (s *Set) take(r reading) {
	if len(r.faults) > 0 {
		return
	}
	s.good[r.source] = r.docs
	s.Policies = append(s.Policies, r.docs.Policies...)
	s.Prices = append(s.Prices, r.docs.Prices...)
}

// keep notes a document with faults, and adds what it last was without them. A price that another
// document gives by now is left out.
func (s *Set) keep(r reading, last Set) {
	if len(r.faults) == 0 {
		return
	}
	b := Bad{Source: r.source, Selector: r.docs.Selector}
	for _, f := range r.faults {
		b.Faults = append(b.Faults, f.String())
	}
	docs, ok := last.good[r.source]
	b.Kept = ok
	s.Bad = append(s.Bad, b)
	if !ok {
		return
	}
	s.good[r.source] = docs
	for _, p := range docs.Policies {
		p.Mode = Recommend
		s.Policies = append(s.Policies, p)
	}
	for _, p := range docs.Prices {
		if !slices.ContainsFunc(s.Prices, func(o Price) bool { return o.key() == p.key() }) {
			s.Prices = append(s.Prices, p)
		}
	}
}

func (s *Set) sort() {
	slices.SortStableFunc(s.Policies, func(a, b Policy) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(s.Prices, func(a, b Price) int {
		return cmp.Or(strings.Compare(a.InstanceType, b.InstanceType), strings.Compare(a.Region, b.Region),
			strings.Compare(string(a.Capacity), string(b.Capacity)))
	})
	slices.SortStableFunc(s.Bad, func(a, b Bad) int { return strings.Compare(a.Source, b.Source) })
}
