package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// Extended is a count of one extended resource, such as nvidia.com/gpu.
type Extended struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Resources is an amount of CPU, memory and extended resources: requests, limits or capacity.
// Zero means "none set", as in Kubernetes.
type Resources struct {
	MilliCPU int64      `json:"milliCPU,omitempty"` // thousandths of a core
	Memory   int64      `json:"memory,omitempty"`   // bytes
	Extended []Extended `json:"extended,omitempty"` // sorted by name, no name twice, no zero counts
}

// Of is the count of the extended resource name, 0 where there is none.
func (r Resources) Of(name string) int64 {
	for _, e := range r.Extended {
		if e.Name == name {
			return e.Count
		}
	}
	return 0
}

// GPUs counts every extended resource that is a GPU by its vendor's name, MIG slices included.
func (r Resources) GPUs() int64 {
	var n int64
	for _, e := range r.Extended {
		if IsGPU(e.Name) {
			n += e.Count
		}
	}
	return n
}

// IsGPU tells whether the extended resource name is an accelerator that serves models:
// nvidia.com/gpu and its MIG slices and shared forms, amd.com/gpu, gpu.intel.com/*, habana.ai/gaudi.
func IsGPU(name string) bool {
	switch {
	case strings.HasPrefix(name, "nvidia.com/gpu"), strings.HasPrefix(name, "nvidia.com/mig-"):
		return true
	case name == "amd.com/gpu", strings.HasPrefix(name, "gpu.intel.com/"), strings.HasPrefix(name, "habana.ai/"):
		return true
	}
	return false
}

// Add is r + o, resource by resource.
func (r Resources) Add(o Resources) Resources { return r.combine(o, 1) }

// Sub is r - o, resource by resource; parts may be negative (headroom of an exceeded quota).
func (r Resources) Sub(o Resources) Resources { return r.combine(o, -1) }

func (r Resources) combine(o Resources, sign int64) Resources {
	sum := Resources{MilliCPU: r.MilliCPU + sign*o.MilliCPU, Memory: r.Memory + sign*o.Memory}
	ext := slices.Clone(r.Extended)
	for _, e := range o.Extended {
		ext = append(ext, Extended{e.Name, sign * e.Count})
	}
	sum.Extended = SortExtended(ext)
	return sum
}

// Times is n copies of r.
func (r Resources) Times(n int64) Resources {
	ext := make([]Extended, 0, len(r.Extended))
	for _, e := range r.Extended {
		ext = append(ext, Extended{e.Name, e.Count * n})
	}
	return Resources{MilliCPU: r.MilliCPU * n, Memory: r.Memory * n, Extended: SortExtended(ext)}
}

// Max is the larger of r and o, resource by resource.
func (r Resources) Max(o Resources) Resources {
	m := Resources{MilliCPU: max(r.MilliCPU, o.MilliCPU), Memory: max(r.Memory, o.Memory)}
	for _, e := range r.Add(o).Extended {
		m.Extended = append(m.Extended, Extended{e.Name, max(r.Of(e.Name), o.Of(e.Name))})
	}
	m.Extended = SortExtended(m.Extended)
	return m
}

// Equal tells whether every part is the same.
func (r Resources) Equal(o Resources) bool {
	return r.MilliCPU == o.MilliCPU && r.Memory == o.Memory && slices.Equal(r.Extended, o.Extended)
}

// Fits tells whether r is within room in every part.
func (r Resources) Fits(room Resources) bool {
	if r.MilliCPU > room.MilliCPU || r.Memory > room.Memory {
		return false
	}
	for _, e := range r.Extended {
		if e.Count > room.Of(e.Name) {
			return false
		}
	}
	return true
}

// SortExtended merges entries of the same name, drops zero counts and sorts by name;
// it is the only way an Extended slice should be built. Nothing left is nil.
func SortExtended(in []Extended) []Extended {
	s := slices.Clone(in)
	slices.SortStableFunc(s, func(a, b Extended) int { return cmp.Compare(a.Name, b.Name) })
	var out []Extended
	for _, e := range s {
		if n := len(out); n > 0 && out[n-1].Name == e.Name {
			out[n-1].Count += e.Count
			continue
		}
		out = append(out, e)
	}
	out = slices.DeleteFunc(out, func(e Extended) bool { return e.Count == 0 })
	if len(out) == 0 {
		return nil
	}
	return out
}
