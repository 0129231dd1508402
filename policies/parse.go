package policies

import (
	"bytes"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// APIVersion is the version of the documents that this package reads.
const APIVersion = "trimtab.dev/v1alpha1"

// The kinds of document that this package reads.
const (
	KindPolicy     = "Policy"
	KindPrices     = "Prices"
	KindGovernance = "Governance"
	KindServer     = "InferenceServer"
	KindReport     = "Report"
)

// kinds is every kind in the order in which people are told of them, and how its spec is read.
func kinds() []kind {
	return []kind{
		{KindPolicy, readPolicy}, {KindPrices, readPriceList}, {KindGovernance, readGovernance},
		{KindServer, readServer}, {KindReport, readReport},
	}
}

type kind struct {
	name string
	read func(w *walk, doc document, into *Documents)
}

// Documents is what one Raw holds. A Raw is one document, so without faults it has exactly one value of
// its kind, or the rows of one price list.
type Documents struct {
	Kind        string // as far as it can be read, whatever it says
	Name        string
	Policies    []Policy
	Prices      []Price
	Governances []Governance
	Servers     []Server
	Reports     []Report
	// Selector is whom a document with faults is for, as far as that is certain: nil may be anyone,
	// and an empty one is nobody, as of a price list.
	Selector *Selector

	lines map[string]int // of every field that is given, by its path
}

// document is the frame that every kind has.
type document struct {
	apiVersion, kind, name string
	spec                   place
}

func documentFields() []field[document] {
	anything := func(s string) string {
		if s == "" {
			return "is empty"
		}
		return ""
	}
	return []field[document]{
		must(APIVersion, word("apiVersion", "Always "+APIVersion+".", anything,
			func(d *document) *string { return &d.apiVersion })),
		must(either(kindNames()), word("kind", "What the document is: "+either(kindNames())+".", anything,
			func(d *document) *string { return &d.kind })),
		must("it with the document's name under it", group("metadata", "Names the document.",
			must("a name such as model-serving",
				word("name", "The document's name, unlike that of any other of its kind.", wrongObject,
					func(d *document) *string { return &d.name })))),
		must("what the document says under it", field[document]{
			name: "spec", typ: "group", meaning: "What the document says.",
			set: func(_ *walk, p place, into *document) { into.spec = p },
		}),
	}
}

// Parse reads one document, giving every fault at once in the order of their lines. Text that is not
// YAML is one fault: the parser stops there. With any fault there is no value.
func Parse(raw Raw, checks Checks) (Documents, []Fault) {
	w := &walk{source: raw.Source, checks: checks, lines: map[string]int{}}
	var d Documents
	if root, ok := w.decode(raw.Data); ok {
		d = readDocument(w, root)
	}
	last := bytes.Count(raw.Data, []byte("\n")) + 1
	for i, f := range w.faults {
		w.faults[i].Line = min(f.Line, last) // the parser may point behind the end
	}
	slices.SortStableFunc(w.faults, func(a, b Fault) int { return a.Line - b.Line })
	if len(w.faults) > 0 {
		d = Documents{Kind: d.Kind, Name: d.Name, Selector: d.Selector, lines: d.lines}
	}
	return d, w.faults
}

func readDocument(w *walk, root place) Documents {
	kind := kindOf(root)
	if kind == "ConfigMap" {
		w.fault(root, "is a ConfigMap; write the documents that are under its data, one a file")
		return Documents{}
	}
	var doc document
	w.paths = paths(kind)
	read(w, root, documentFields(), &doc)
	d := Documents{Kind: doc.kind, Name: doc.name, lines: w.lines}
	current := w.version(doc)
	i := slices.Index(kindNames(), doc.kind)
	if i < 0 {
		if doc.kind != "" {
			w.fault(place{path: "kind", line: w.line("kind", 1)}, "%s", unknownKind(doc.kind))
		}
		return d
	}
	if doc.kind != KindPolicy {
		d.Selector = &Selector{}
	}
	if current && doc.spec.node != nil {
		kinds()[i].read(w, doc, &d)
	}
	return d
}

// kindOf looks ahead for the kind of a document, which may be none.
func kindOf(root place) string {
	for i := 0; root.node.Kind == yaml.MappingNode && i+1 < len(root.node.Content); i += 2 {
		if root.node.Content[i].Value == "kind" {
			return root.node.Content[i+1].Value
		}
	}
	return ""
}

// version tells whether the rest of the document may be read as this version's; one that gives no
// version may, so that its other faults show too.
func (w *walk) version(doc document) bool {
	if doc.apiVersion == "" || doc.apiVersion == APIVersion {
		return true
	}
	w.fault(place{path: "apiVersion", line: w.line("apiVersion", 1)}, "%q is not supported; write %s", doc.apiVersion, APIVersion)
	return false
}

func readPolicy(w *walk, doc document, into *Documents) {
	p := Default()
	p.Name, p.Source = doc.name, w.source
	read(w, doc.spec, policyFields(), &p)
	check(w, doc.spec, p)
	into.Policies = []Policy{p}
	if !p.Selector.empty() && !w.faulty("spec.selector") {
		into.Selector = &p.Selector
	}
}

func kindNames() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, k.name)
	}
	return all
}

// either is the words as a choice: "a, b or c".
func either(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func unknownKind(kind string) string {
	if near, ok := nearest(kind, kindNames()); ok {
		return kind + " is not a kind; did you mean " + near + "?"
	}
	return kind + " is not a kind; write " + either(kindNames())
}
