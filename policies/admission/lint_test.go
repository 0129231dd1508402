package admission

import (
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func quota(names ...string) fleet.Quota {
	q := fleet.Quota{Name: "q"}
	for _, n := range names {
		q.Items = append(q.Items, fleet.QuotaItem{Name: n, Hard: 10})
	}
	return q
}

func TestLint(t *testing.T) {
	none := fleet.Resources{Extended: []fleet.Extended{{Name: "nvidia.com/gpu"}}}
	withQuota := func(q fleet.Quota, rs ...fleet.LimitRange) fleet.Bounds {
		return fleet.Bounds{Namespace: "ml", LimitRanges: rs, Quotas: []fleet.Quota{q}}
	}
	container := func(r fleet.LimitRange) fleet.LimitRange {
		r.Name, r.Type = "lr", "Container"
		return r
	}
	for _, c := range []struct {
		name string
		b    fleet.Bounds
		want string
	}{
		{"the article's quota has one dead line", bounds(3),
			"ml-production: ResourceQuota ml-models-quota: limits.nvidia.com/gpu: is accepted by the API and never enforced; remove it: requests.nvidia.com/gpu beside it is the line that counts"},
		{"nothing", fleet.Bounds{}, ""},
		{"a limit of GPUs alone", withQuota(quota("limits.nvidia.com/gpu")),
			"ml: ResourceQuota q: limits.nvidia.com/gpu: is accepted by the API and never enforced; write requests.nvidia.com/gpu"},
		{"GPUs without a prefix", withQuota(quota("nvidia.com/gpu")),
			"ml: ResourceQuota q: nvidia.com/gpu: is accepted by the API and never enforced; write requests.nvidia.com/gpu"},
		{"names that count something else", withQuota(quota("count/deployments.apps", "gold.storageclass.storage.k8s.io/requests.storage", "pods", "services",
			"requests.nvidia.com/gpu", "requests.nvidia.com/gpu.shared", "requests.nvidia.com/mig-1g.5gb", "requests.amd.com/gpu", "requests.example.com/fpga")), ""},
		{"a typo", withQuota(quota("requests.nvidia.com/gpuuu", "requests.nvida.com/gpu")),
			"ml: ResourceQuota q: requests.nvida.com/gpu: is enforced for a resource that no device plugin has, so it limits nothing; write requests.nvidia.com/gpu\n" +
				"ml: ResourceQuota q: requests.nvidia.com/gpuuu: is enforced for a resource that no device plugin has, so it limits nothing; write requests.nvidia.com/gpu"},
		{"a quota without defaults", withQuota(quota("limits.cpu", "requests.memory")),
			"ml: ResourceQuota q: limits.cpu: refuses every pod with a container without a limit of cpu, and no LimitRange gives one; add a LimitRange with default: {cpu: ...}\n" +
				"ml: ResourceQuota q: requests.memory: refuses every pod with a container without a request of memory, and no LimitRange gives one; add a LimitRange with defaultRequest: {memory: ...}"},
		{"a default limit is a default request too", withQuota(quota("limits.cpu", "cpu"), container(fleet.LimitRange{Default: res(1000, 0)})), ""},
		{"max alone hands out GPUs", ranged(container(fleet.LimitRange{Max: gpus(8)})),
			"ml: LimitRange lr: default nvidia.com/gpu: gives 8 nvidia.com/gpu to every container that asks for none (a max or min is its own default); add default: {nvidia.com/gpu: 0}"},
		{"max with a default of none", ranged(container(fleet.LimitRange{Max: gpus(8), Default: none})), ""},
		{"max of GPUs for the pod", ranged(fleet.LimitRange{Name: "lr", Type: "Pod", Max: gpus(8)}),
			"ml: LimitRange lr: max nvidia.com/gpu: refuses every pod without a limit of nvidia.com/gpu; set it in the item of type Container, with default: {nvidia.com/gpu: 0}"},
		{"two defaults", ranged(fleet.LimitRange{Name: "a", Type: "Container", Default: res(1000, gi)}, fleet.LimitRange{Name: "b", Type: "Container", Default: res(2000, gi)}),
			"ml: LimitRange b: default cpu: is 2 here and 1 in LimitRange a, and which one a container gets is not defined; keep one\n" +
				"ml: LimitRange b: defaultRequest cpu: is 2 here and 1 in LimitRange a, and which one a container gets is not defined; keep one"},
	} {
		var got []string
		for _, f := range Lint(c.b) {
			got = append(got, f.String())
		}
		if s := strings.Join(got, "\n"); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}
