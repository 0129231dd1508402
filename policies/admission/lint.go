package admission

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Lint finds what a namespace's quotas and LimitRanges say and Kubernetes does not do, or does where
// nobody meant it. The findings are sorted by object and item.
func Lint(b fleet.Bounds) []Finding {
	var all []Finding
	for _, q := range b.Quotas {
		all = append(all, deadLines(b.Namespace, q)...)
		all = append(all, undefaulted(b, q)...)
	}
	for _, r := range b.LimitRanges {
		all = append(all, handouts(b.Namespace, r)...)
	}
	all = append(all, rivals(b)...)
	slices.SortStableFunc(all, func(x, y Finding) int {
		return cmp.Or(strings.Compare(x.Object, y.Object), strings.Compare(x.Item, y.Item))
	})
	return all
}

// deadLines finds lines of a quota that the API server accepts and never enforces.
func deadLines(namespace string, q fleet.Quota) []Finding {
	var all []Finding
	for _, item := range q.Items {
		add := func(format string, args ...any) {
			all = append(all, Finding{namespace, "ResourceQuota " + q.Name, item.Name, fmt.Sprintf(format, args...)})
		}
		ext := strings.TrimPrefix(strings.TrimPrefix(item.Name, "requests."), "limits.")
		switch {
		case !strings.Contains(ext, "/") || elsewhere(item.Name):
		case "requests."+ext != item.Name && hasLine(q, "requests."+ext):
			add("is accepted by the API and never enforced; remove it: requests.%s beside it is the line that counts", ext)
		case "requests."+ext != item.Name:
			add("is accepted by the API and never enforced; write requests.%s", ext)
		default:
			if meant, ok := misspelt(ext); ok {
				add("is enforced for a resource that no device plugin has, so it limits nothing; write requests.%s", meant)
			}
		}
	}
	return all
}

// elsewhere tells whether a line counts something other than pods by a rule of its own.
func elsewhere(line string) bool {
	return strings.HasPrefix(line, "count/") ||
		strings.Contains(line, ".storageclass.storage.k8s.io/") ||
		strings.Contains(line, "deviceclass.resource.k")
}

func hasLine(q fleet.Quota, name string) bool {
	return slices.ContainsFunc(q.Items, func(i fleet.QuotaItem) bool { return i.Name == name })
}

// misspelt finds a GPU whose name is one or two letters from a usual one. Longer names are left alone:
// nvidia.com/gpu.shared and nvidia.com/gpumem exist.
func misspelt(ext string) (meant string, ok bool) {
	for _, known := range []string{"nvidia.com/gpu", "amd.com/gpu"} {
		if d := apart(ext, known); d == 1 || d == 2 {
			return known, true
		}
	}
	return "", false
}

// apart counts the letters between the first and the last that differ, up to 3.
func apart(a, b string) int {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return min(max(len(a), len(b)), 3)
}

// undefaulted finds lines of a quota that refuse every pod whose containers do not state a value, where
// no LimitRange states it for them.
func undefaulted(b fleet.Bounds, q fleet.Quota) []Finding {
	var all []Finding
	for _, item := range q.Items {
		limits, name, ok := asks(item.Name)
		if !ok || defaulted(b, limits, name) {
			continue
		}
		key, what := "defaultRequest", "request"
		if limits {
			key, what = "default", "limit"
		}
		all = append(all, Finding{b.Namespace, "ResourceQuota " + q.Name, item.Name, fmt.Sprintf(
			"refuses every pod with a container without a %s of %s, and no LimitRange gives one; add a LimitRange with %s: {%s: ...}",
			what, name, key, name)})
	}
	return all
}

func defaulted(b fleet.Bounds, limits bool, name string) bool {
	return slices.ContainsFunc(b.LimitRanges, func(r fleet.LimitRange) bool {
		l, req := defaults(r)
		if limits {
			req = l
		}
		return r.Type == perContainer && of(req, name) > 0
	})
}

// handouts finds LimitRanges that give GPUs to containers that ask for none, or refuse their pods.
func handouts(namespace string, r fleet.LimitRange) []Finding {
	var all []Finding
	add := func(part, name, text string) {
		all = append(all, Finding{namespace, "LimitRange " + r.Name, part + " " + name, text})
	}
	limits, requests := defaults(r)
	for _, name := range named(limits, requests, r.Max) {
		n := max(of(limits, name), of(requests, name))
		switch {
		case !fleet.IsGPU(name):
		case r.Type == perPod && of(r.Max, name) > 0:
			add("max", name, "refuses every pod without a limit of "+name+"; set it in the item of type Container, with default: {"+name+": 0}")
		case r.Type == perContainer && n > 0:
			add("default", name, fmt.Sprintf("gives %d %s to every container that asks for none (a max or min is its own default); add default: {%s: 0}", n, name, name))
		}
	}
	return all
}

// rivals finds LimitRanges that give different defaults for one resource: which one a container gets
// depends on the order in which the API server happens to list them.
func rivals(b fleet.Bounds) []Finding {
	var all []Finding
	for i, r := range b.LimitRanges {
		for _, o := range b.LimitRanges[:i] {
			if r.Type != perContainer || o.Type != perContainer {
				continue
			}
			l, req := defaults(r)
			ol, oreq := defaults(o)
			all = append(all, rival(b.Namespace, r.Name, o.Name, "default", l, ol)...)
			all = append(all, rival(b.Namespace, r.Name, o.Name, "defaultRequest", req, oreq)...)
		}
	}
	return all
}

func rival(namespace, name, other, part string, a, b fleet.Resources) []Finding {
	var all []Finding
	for _, n := range named(a, b) {
		x, y := of(a, n), of(b, n)
		if x > 0 && y > 0 && x != y {
			all = append(all, Finding{namespace, "LimitRange " + name, part + " " + n, fmt.Sprintf(
				"is %s here and %s in LimitRange %s, and which one a container gets is not defined; keep one", format(n, x), format(n, y), other)})
		}
	}
	return all
}
