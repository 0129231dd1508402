package admission

import "fmt"

// Trim is one request or limit that was moved, so that the API server would let it through.
type Trim struct {
	Rule      string `json:"rule"`           // what moved it: "LimitRange ml-models-limits", "own limit"
	Part      string `json:"part,omitempty"` // which part of the rule: "min", "maxLimitRequestRatio 2", "min of the pod"
	Container string `json:"container"`
	Resource  string `json:"resource"` // "cpu", in thousandths of a core, or "memory", in bytes; "limits.cpu" of a limit
	From      int64  `json:"from"`     // what was recommended
	To        int64  `json:"to"`
}

// String is the trim for people: "LimitRange ml-models-limits: cpu of model-server 5m -> 10m (min)".
func (t Trim) String() string {
	s := fmt.Sprintf("%s: %s of %s %s -> %s", t.Rule, t.Resource, t.Container, format(t.Resource, t.From), format(t.Resource, t.To))
	if t.Part != "" {
		s += " (" + t.Part + ")"
	}
	return s
}

// Finding is something wrong with a namespace's quotas or LimitRanges, and what to do about it.
type Finding struct {
	Namespace string `json:"namespace"`
	Object    string `json:"object"` // "ResourceQuota ml-models-quota"
	Item      string `json:"item"`   // the line in it, "limits.nvidia.com/gpu"
	Text      string `json:"text"`
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s: %s", f.Namespace, f.Object, f.Item, f.Text)
}
