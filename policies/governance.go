package policies

import "slices"

// GovernanceLabel is on every object that a Governance document keeps; its value is the document's name.
const GovernanceLabel = "trimtab.dev/governance"

// Governance is what one or more namespaces allow, which Trimtab keeps as ResourceQuota and LimitRange.
type Governance struct {
	Name       string      `json:"name"`
	Source     string      `json:"source"`
	Mode       Mode        `json:"mode"`                // recommend: differences are only shown
	Namespaces []string    `json:"namespaces"`          // exact names, at least one
	QuotaName  string      `json:"quotaName,omitempty"` // of the ResourceQuota; the document's name unless said
	Quota      []Amount    `json:"quota,omitempty"`     // its hard lines, sorted by name; none: no ResourceQuota is kept
	LimitName  string      `json:"limitName,omitempty"` // of the LimitRange; the document's name unless said
	Limits     []LimitItem `json:"limits,omitempty"`    // its items as the document orders them; none: no LimitRange is kept
	// AllowBelowUsed lets a hard line go below what is in use, which blocks new pods and nothing else.
	AllowBelowUsed bool `json:"allowBelowUsed,omitempty"`
	// MustState tells that pods are meant to be refused whose containers do not state what the document counts.
	MustState bool `json:"mustState,omitempty"`
}

// Amount is a named quantity as Kubernetes writes both: {requests.cpu 50}.
type Amount struct {
	Name     string `json:"name"`
	Quantity string `json:"quantity"`
}

// LimitItem is one item of a LimitRange; each part is sorted by name.
type LimitItem struct {
	Type                 string   `json:"type"` // Container or Pod
	Default              []Amount `json:"default,omitempty"`
	DefaultRequest       []Amount `json:"defaultRequest,omitempty"`
	Min                  []Amount `json:"min,omitempty"`
	Max                  []Amount `json:"max,omitempty"`
	MaxLimitRequestRatio []Amount `json:"maxLimitRequestRatio,omitempty"`
}

// object is one object that a document keeps, in words and by the field that asks for it.
type object struct{ key, path string }

func (g Governance) objects() []object {
	var all []object
	for _, ns := range g.Namespaces {
		if len(g.Quota) > 0 {
			all = append(all, object{"ResourceQuota " + ns + "/" + g.QuotaName, "spec.resourceQuota"})
		}
		if len(g.Limits) > 0 {
			all = append(all, object{"LimitRange " + ns + "/" + g.LimitName, "spec.limitRange"})
		}
	}
	return all
}

// less is g without the namespaces in which one of others keeps an object of g's.
func (g Governance) less(others []Governance) Governance {
	taken := map[string]bool{}
	for _, o := range others {
		for _, kept := range o.objects() {
			taken[kept.key] = true
		}
	}
	all := g.Namespaces
	g.Namespaces = nil
	for _, ns := range all {
		one := g
		one.Namespaces = []string{ns}
		if !slices.ContainsFunc(one.objects(), func(o object) bool { return taken[o.key] }) {
			g.Namespaces = append(g.Namespaces, ns)
		}
	}
	return g
}
