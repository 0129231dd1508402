package policies

// Governance is what one or more namespaces allow, which Trimtab keeps as ResourceQuota and LimitRange.
type Governance struct {
	Name       string      `json:"name"`
	Source     string      `json:"source"`
	Mode       Mode        `json:"mode"`                // recommend: differences are only shown
	Namespaces []string    `json:"namespaces"`          // exact names, at least one
	QuotaName  string      `json:"quotaName,omitempty"` // of the ResourceQuota; the document's name unless said
	Quota      []Amount    `json:"quota,omitempty"`     // its hard lines, sorted by name; none: no ResourceQuota is kept
	LimitName  string      `json:"limitName,omitempty"` // of the LimitRange; the document's name unless said
	Limits     []LimitItem `json:"limits,omitempty"`    // its items; none: no LimitRange is kept
	// AllowBelowUsed lets a hard line go below what is in use, which blocks new pods and nothing else.
	AllowBelowUsed bool `json:"allowBelowUsed,omitempty"`
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
