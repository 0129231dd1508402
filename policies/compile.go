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
func Compile(raws []Raw, last Set, checks Checks) Set {
	raws = slices.Clone(raws)
	slices.SortStableFunc(raws, func(a, b Raw) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), bytes.Compare(a.Data, b.Data))
	})
	var all []reading
	for _, raw := range raws {
		docs, faults := Parse(raw, checks)
		all = append(all, reading{raw.Source, docs, faults})
	}
	faultTwins(all)
	faultRows(all)
	faultObjects(all)
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
				all[i].fault(r.docs.lines["metadata.name"], "metadata.name", text)
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

// faultObjects faults Governance documents that keep one object: they would undo each other.
func faultObjects(all []reading) {
	type claim struct {
		object
		by int // of all
	}
	var claims []claim
	for i, r := range all {
		for _, g := range r.docs.Governances {
			for _, o := range g.objects() {
				claims = append(claims, claim{o, i})
			}
		}
	}
	for _, c := range claims {
		for _, o := range claims {
			if o.key == c.key && o.by != c.by {
				text := fmt.Sprintf("keeps %s, which %s keeps too; name another or remove one", c.key, all[o.by].source)
				all[c.by].fault(all[c.by].docs.lines[c.path], c.path, text)
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
	s.Governances = append(s.Governances, r.docs.Governances...)
	s.Servers = append(s.Servers, r.docs.Servers...)
	s.Reports = append(s.Reports, r.docs.Reports...)
}

// keep notes a document with faults, and adds what it last was without them. A report that may be meant
// for others by now is not sent: mail cannot be taken back.
func (s *Set) keep(r reading, last Set) {
	if len(r.faults) == 0 {
		return
	}
	b := Bad{Source: r.source, Kind: r.docs.Kind, Name: r.docs.Name, Selector: r.docs.Selector}
	for _, f := range r.faults {
		b.Faults = append(b.Faults, f.String())
	}
	docs, ok := last.good[r.source]
	b.Kept = ok && docs.Kind != KindReport
	s.Bad = append(s.Bad, b)
	if b.Kept {
		s.good[r.source] = docs
		s.again(docs)
	}
}

// again adds the last good version of a document, only recommending and without what another document
// gives by now.
func (s *Set) again(docs Documents) {
	for _, p := range docs.Policies {
		p.Mode = Recommend
		s.Policies = append(s.Policies, p)
	}
	for _, p := range docs.Prices {
		if !slices.ContainsFunc(s.Prices, func(o Price) bool { return o.key() == p.key() }) {
			s.Prices = append(s.Prices, p)
		}
	}
	for _, g := range docs.Governances {
		g.Mode = Recommend
		if g = g.less(s.Governances); len(g.Namespaces) > 0 {
			s.Governances = append(s.Governances, g)
		}
	}
	for _, v := range docs.Servers {
		v.Mode = Recommend
		if !slices.ContainsFunc(s.Servers, func(o Server) bool { return o.Namespace == v.Namespace && o.Name == v.Name }) {
			s.Servers = append(s.Servers, v)
		}
	}
}

func (s *Set) sort() {
	bySource(s.Policies, func(p Policy) (string, string) { return p.Source, p.Name })
	bySource(s.Governances, func(g Governance) (string, string) { return g.Source, g.Name })
	bySource(s.Servers, func(v Server) (string, string) { return v.Source, v.Name })
	bySource(s.Reports, func(r Report) (string, string) { return r.Source, r.Name })
	slices.SortStableFunc(s.Prices, func(a, b Price) int {
		return cmp.Or(strings.Compare(a.InstanceType, b.InstanceType), strings.Compare(a.Region, b.Region),
			strings.Compare(string(a.Capacity), string(b.Capacity)))
	})
	slices.SortStableFunc(s.Bad, func(a, b Bad) int { return strings.Compare(a.Source, b.Source) })
}

// bySource sorts documents by their source, then their name.
func bySource[D any](docs []D, of func(D) (source, name string)) {
	slices.SortStableFunc(docs, func(a, b D) int {
		aSource, aName := of(a)
		bSource, bName := of(b)
		return cmp.Or(strings.Compare(aSource, bSource), strings.Compare(aName, bName))
	})
}
