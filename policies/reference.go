package policies

import "trimtab.dev/trimtab/optimizer/fleet"

// FieldDoc is one field of a document, for people.
type FieldDoc struct {
	Kind    string `json:"kind"`              // "Policy", "Report"; empty: of every kind
	Path    string `json:"path"`              // "spec.rightSizing.percentile"
	Type    string `json:"type"`              // "duration"
	Default string `json:"default,omitempty"` // as a document would write it; empty: none
	Meaning string `json:"meaning"`
	Needed  bool   `json:"needed,omitempty"` // every document gives it
}

// Reference is every field that Parse reads, in the order of a document, from the tables it reads by.
func Reference() []FieldDoc {
	policy, price := Default(), Price{Capacity: fleet.OnDemand}
	all := describe(nil, "", "", documentFields(), &document{})
	all = describe(all, KindPolicy, "spec", policyFields(), &policy)
	all = describe(all, KindPrices, "spec", priceListFields(), &priceList{})
	all = describe(all, KindPrices, "spec.prices[]", priceFields(), &price)
	server, report := DefaultServer(), DefaultReport()
	all = describe(all, KindGovernance, "spec", governanceFields(), &Governance{Mode: Recommend})
	all = describe(all, KindGovernance, "spec.limitRange.limits[]", limitFields(), &LimitItem{})
	all = describe(all, KindServer, "spec", serverFields(), &server)
	return describe(all, KindReport, "spec", reportFields(), &report)
}

func describe[T any](all []FieldDoc, kind, path string, fields []field[T], of *T) []FieldDoc {
	for _, f := range fields {
		d := FieldDoc{Kind: kind, Path: join(path, f.name), Type: f.typ, Meaning: f.meaning, Needed: f.needed != ""}
		if f.show != nil {
			d.Default = f.show(of)
		}
		all = append(all, d)
		all = describe(all, kind, d.Path, f.fields, of)
	}
	return all
}

// paths is every field's path in a document of kind.
func paths(kind string) []string {
	var all []string
	for _, d := range Reference() {
		if d.Kind == "" || d.Kind == kind {
			all = append(all, d.Path)
		}
	}
	return all
}
