package policies

import (
	"slices"
	"strings"
)

// systemNamespace holds what the cluster itself runs on.
const systemNamespace = "kube-system"

func readGovernance(w *walk, doc document, into *Documents) {
	g := Governance{Name: doc.name, Source: w.source, Mode: Recommend, QuotaName: doc.name, LimitName: doc.name}
	read(w, doc.spec, governanceFields(), &g)
	checkGovernance(w, g)
	if len(g.Quota) == 0 {
		g.QuotaName = ""
	}
	if len(g.Limits) == 0 {
		g.LimitName = ""
	}
	into.Governances = []Governance{g}
}

// governanceFields is the spec of a Governance.
func governanceFields() []field[Governance] {
	return []field[Governance]{
		choice("mode", "How far Trimtab may go: recommend only shows what differs; enforce makes and keeps the objects, where the daemon is started with enforcement too.",
			func(g *Governance) *Mode { return &g.Mode }, Recommend, Enforce),
		must("a list such as [ml-production]",
			words("namespaces", "Exact names of the namespaces that it is for.", "a list such as [ml-production]", wrongGoverned,
				func(g *Governance) *[]string { return &g.Namespaces })),
		toggle("mustState", "Whether pods are meant to be refused whose containers state no request or limit of what is counted; otherwise limitRange gives one.",
			func(g *Governance) *bool { return &g.MustState }),
		group("resourceQuota", "The ResourceQuota that each of the namespaces has.",
			word("name", "Its name; left out: the document's.", wrongObject, func(g *Governance) *string { return &g.QuotaName }),
			must("lines such as {requests.cpu: 50, pods: 100}",
				amounts("hard", "The most of each thing, by the names that Kubernetes counts and enforces.", quotaLine,
					func(g *Governance) *[]Amount { return &g.Quota })),
			toggle("allowBelowUsed", "Whether a line may be lowered below what is in use, which blocks new pods.",
				func(g *Governance) *bool { return &g.AllowBelowUsed })),
		group("limitRange", "The LimitRange that each of the namespaces has.",
			word("name", "Its name; left out: the document's.", wrongObject, func(g *Governance) *string { return &g.LimitName }),
			must("a list of items, such as one of type Container with default and defaultRequest", field[Governance]{
				name: "limits", typ: "list of items", meaning: "At most one item of each type.",
				set:  func(w *walk, p place, into *Governance) { into.Limits = readLimits(w, p) },
				show: func(of *Governance) string { return showLimits(of.Limits) },
			})),
	}
}

// limitFields is one item of a LimitRange.
func limitFields() []field[LimitItem] {
	part := func(name, meaning string, at func(*LimitItem) *[]Amount) field[LimitItem] {
		return amounts(name, meaning, limitName, at)
	}
	return []field[LimitItem]{
		must("Container or Pod", choice("type", "What it judges: each container, or the sum of a pod's.",
			func(i *LimitItem) *string { return &i.Type }, perContainer, perPod)),
		part("default", "The limit of a container that states none.", func(i *LimitItem) *[]Amount { return &i.Default }),
		part("defaultRequest", "The request of a container that states none; left out: its limit.",
			func(i *LimitItem) *[]Amount { return &i.DefaultRequest }),
		part("min", "The least request.", func(i *LimitItem) *[]Amount { return &i.Min }),
		part("max", "The highest limit; of containers also the default where none is given.",
			func(i *LimitItem) *[]Amount { return &i.Max }),
		amounts("maxLimitRequestRatio", "The most that limit divided by request may be.", ratioName,
			func(i *LimitItem) *[]Amount { return &i.MaxLimitRequestRatio }),
	}
}

func readLimits(w *walk, p place) []LimitItem {
	var all []LimitItem
	for _, e := range w.items(p, "items, each with its type") {
		var item LimitItem
		read(w, e, limitFields(), &item)
		if slices.ContainsFunc(all, func(o LimitItem) bool { return o.Type == item.Type && item.Type != "" }) {
			w.fault(e, "is a second item of type %s; keep one", item.Type)
			continue
		}
		all = append(all, item)
	}
	return all
}

// showLimits is items as a document would write them.
func showLimits(items []LimitItem) string {
	if len(items) == 0 {
		return ""
	}
	var all []string
	for _, i := range items {
		var parts []string
		for _, f := range limitFields() {
			if v := f.show(&i); v != "" {
				parts = append(parts, f.name+": "+v)
			}
		}
		all = append(all, "{"+strings.Join(parts, ", ")+"}")
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// wrongGoverned is wrongNamespace for one that gets a quota.
func wrongGoverned(s string) string {
	if s == systemNamespace {
		return "holds what the cluster runs on, which a quota could stop; remove it"
	}
	return wrongNamespace(s)
}

// wrongDocument says what is wrong with a document's name that becomes the value of a label, or nothing.
func wrongDocument(name string) string {
	if len(name) > 63 {
		return "is longer than the 63 characters of a label's value, which it becomes on each object; shorten it"
	}
	return ""
}

// checkGovernance is what no single field can tell.
func checkGovernance(w *walk, g Governance) {
	if text := wrongDocument(g.Name); text != "" {
		w.fault(w.at("metadata.name"), "%q %s", g.Name, text)
	}
	if len(g.Quota)+len(g.Limits) == 0 && !w.faulty("spec.resourceQuota") && !w.faulty("spec.limitRange") {
		w.fault(w.at("spec"), "keeps nothing; write resourceQuota, limitRange or both")
	}
	if w.faulty("spec.limitRange") {
		return
	}
	if !w.faulty("spec.resourceQuota") {
		lintTraps(w, g)
	}
	limitTraps(w, g)
}

// plainLines are the lines of a quota that have a meaning of their own.
func plainLines() []string {
	return strings.Fields(`cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage requests.storage
		limits.cpu limits.memory limits.ephemeral-storage pods services services.loadbalancers services.nodeports
		replicationcontrollers resourcequotas secrets configmaps persistentvolumeclaims`)
}

// quotaLine judges the name of a line in a quota. A line that the API server takes and never enforces is
// found later, where its neighbours are known.
func quotaLine(name string) (inThousandths bool, wrong string) {
	bare := strings.TrimPrefix(strings.TrimPrefix(name, "requests."), "limits.")
	known := plainLines()
	switch {
	case slices.Contains(known, name):
		return bare == "cpu", ""
	case strings.HasPrefix(strings.TrimPrefix(name, "requests."), "hugepages-"):
		return false, ""
	case strings.Contains(name, "/"):
		return false, wrongQualified(name)
	}
	if strings.Contains(strings.ToLower(name), "gpu") {
		return false, "is not a line of a quota; write requests.nvidia.com/gpu, or as its device plugin is named"
	}
	if near, ok := nearest(name, known); ok {
		return false, "is not a line of a quota; did you mean " + near + "?"
	}
	return false, "is not a line of a quota; write one such as requests.cpu, pods or requests.nvidia.com/gpu"
}

// limitName judges the name of a resource in a LimitRange.
func limitName(name string) (inThousandths bool, wrong string) {
	bare := strings.TrimPrefix(strings.TrimPrefix(name, "requests."), "limits.")
	switch {
	case bare != name:
		return false, "is a line of a quota; a LimitRange names the resource itself: " + bare
	case slices.Contains([]string{"cpu", "memory", "ephemeral-storage"}, name):
		return name == "cpu", ""
	case strings.HasPrefix(name, "hugepages-"):
		return false, ""
	case strings.Contains(name, "/"):
		return false, wrongQualified(name)
	}
	return false, "is not a resource; write one such as cpu, memory or nvidia.com/gpu"
}

// ratioName is limitName for ratios, which are counted in thousandths whatever they are of.
func ratioName(name string) (inThousandths bool, wrong string) {
	_, wrong = limitName(name)
	return true, wrong
}

// wrongQualified says what is wrong with a name that has a domain, or nothing.
func wrongQualified(name string) string {
	if wrongLabel(name, "") != "" {
		return "is not a name in Kubernetes; write domain/name such as requests.nvidia.com/gpu"
	}
	return ""
}
