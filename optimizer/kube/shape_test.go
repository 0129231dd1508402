package kube

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// list builds a ResourceList from pairs of name and quantity.
func list(pairs ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		l[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return l
}

func TestRounding(t *testing.T) {
	for _, row := range []struct {
		quantity string
		scale    resource.Scale
		up, down int64
	}{
		{"500m", resource.Milli, 500, 500},
		{"2", resource.Milli, 2000, 2000},
		{"100u", resource.Milli, 1, 0}, // a tenth of a thousandth
		{"1500500u", resource.Milli, 1501, 1500},
		{"1Gi", 0, 1 << 30, 1 << 30},
		{"1500m", 0, 2, 1}, // the API server accepts 1500m of a GPU in a quota
		{"100Gi", 0, 100 << 30, 100 << 30},
		{"0", 0, 0, 0},
	} {
		q := resource.MustParse(row.quantity)
		if up, down := ceil(q, row.scale), floor(q, row.scale); up != row.up || down != row.down {
			t.Errorf("%s: up %d, down %d; want %d, %d", row.quantity, up, down, row.up, row.down)
		}
	}
}

func TestResources(t *testing.T) {
	got := resources(list("cpu", "1500m", "memory", "2Gi", "nvidia.com/gpu", "2", "amd.com/gpu", "0",
		"ephemeral-storage", "10Gi", "hugepages-2Mi", "4Mi", "pods", "110"), ceil)
	same(t, "resources", got, fleet.Resources{MilliCPU: 1500, Memory: 2 << 30, Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 2}}})
	same(t, "nothing", resources(nil, ceil), fleet.Resources{})
}

// sidecarPod has one container of every role, in the order proxy, download, server, logger.
func sidecarPod() *corev1.Pod {
	always, priority := corev1.ContainerRestartPolicyAlways, int32(7)
	asks := func(name, cpu string) corev1.Container {
		return corev1.Container{Name: name, Image: name + ":1", Resources: corev1.ResourceRequirements{Requests: list("cpu", cpu)}}
	}
	proxy := asks("proxy", "100m")
	proxy.RestartPolicy = &always
	server := asks("server", "1")
	server.Resources.Limits = list("cpu", "2", "memory", "4Gi", "nvidia.com/gpu", "1")
	server.ResizePolicy = []corev1.ContainerResizePolicy{
		{ResourceName: "cpu", RestartPolicy: corev1.NotRequired}, {ResourceName: "memory", RestartPolicy: corev1.RestartContainer}}
	return &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{proxy, asks("download", "3")},
		Containers:     []corev1.Container{server, asks("logger", "50m")},
		Overhead:       list("memory", "64Mi"),
		Priority:       &priority,
	}}
}

func TestShape(t *testing.T) {
	p := sidecarPod()
	gpu := []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1}}
	want := fleet.PodShape{
		Containers: []fleet.Container{
			{Name: "proxy", Image: "proxy:1", Role: fleet.Sidecar, Requests: fleet.Resources{MilliCPU: 100}},
			{Name: "download", Image: "download:1", Role: fleet.Init, Requests: fleet.Resources{MilliCPU: 3000}},
			{Name: "server", Image: "server:1", Role: fleet.Main, Requests: fleet.Resources{MilliCPU: 1000},
				Limits:       fleet.Resources{MilliCPU: 2000, Memory: 4 << 30, Extended: gpu},
				ResizePolicy: fleet.ResizePolicy{CPU: fleet.NotRequired, Memory: fleet.RestartContainer}},
			{Name: "logger", Image: "logger:1", Role: fleet.Main, Requests: fleet.Resources{MilliCPU: 50}},
		},
		Overhead: fleet.Resources{Memory: 64 << 20},
		Priority: 7,
	}
	same(t, "as asked", shape(&p.Spec), want)
	same(t, "without a status", liveShape(p), want)
	// download runs beside proxy: 3000m + 100m, more than 1000m + 50m + 100m
	if got := shape(&p.Spec).Requests().MilliCPU; got != 3100 {
		t.Errorf("charged for %dm, want 3100m", got)
	}

	p.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "proxy", Resources: &corev1.ResourceRequirements{Requests: list("cpu", "80m")}}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "logger"}, // in another order, and not told by an older kubelet
		{Name: "server", Resources: &corev1.ResourceRequirements{Requests: list("cpu", "700m", "memory", "1Gi"), Limits: list("cpu", "2", "memory", "3Gi")}}}
	want.Containers[0].Requests.MilliCPU = 80
	want.Containers[2].Requests = fleet.Resources{MilliCPU: 700, Memory: 1 << 30}
	want.Containers[2].Limits = fleet.Resources{MilliCPU: 2000, Memory: 3 << 30, Extended: gpu} // a GPU cannot be resized
	same(t, "as it is", liveShape(p), want)
}

func TestQuotaAndLimits(t *testing.T) {
	q := &corev1.ResourceQuota{}
	q.Name = "q"
	q.Spec.Hard = list("cpu", "1500u", "requests.nvidia.com/gpu", "1500m", "requests.storage", "1Ti", "count/deployments.apps", "5", "limits.nvidia.com/gpu", "10")
	q.Status.Used = list("cpu", "500u", "requests.nvidia.com/gpu", "1", "requests.storage", "0", "count/deployments.apps", "2")
	same(t, "quota", readQuota(q).seen, fleet.Quota{Name: "q", Items: []fleet.QuotaItem{
		{Name: "count/deployments.apps", Hard: 5, Used: 2, Tracked: true},
		{Name: "cpu", Hard: 1, Used: 1, Tracked: true}, // what is allowed rounds down, what is used up
		{Name: "limits.nvidia.com/gpu", Hard: 10},
		{Name: "requests.nvidia.com/gpu", Hard: 1, Used: 1, Tracked: true},
		{Name: "requests.storage", Hard: 1 << 40, Tracked: true},
	}})
	q.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}
	if !readQuota(q).seen.Scoped {
		t.Error("scopes are not seen")
	}
	q.Spec.Scopes, q.Spec.ScopeSelector = nil, &corev1.ScopeSelector{}
	if !readQuota(q).seen.Scoped {
		t.Error("a scope selector is not seen")
	}

	l := &corev1.LimitRange{}
	l.Name = "l"
	l.Spec.Limits = []corev1.LimitRangeItem{
		{Type: "Pod", Max: list("cpu", "8"), MaxLimitRequestRatio: list("cpu", "1500m", "memory", "2")},
		{Type: "Container", Min: list("memory", "32Mi"), Max: list("nvidia.com/gpu", "1")},
		{Type: "PersistentVolumeClaim", Max: list("storage", "1Ti")},
	}
	same(t, "limits", readLimitRange(l).items, []fleet.LimitRange{
		{Name: "l", Type: "Pod", Max: fleet.Resources{MilliCPU: 8000}, MaxLimitRequestRatio: fleet.Ratio{CPU: 1500, Memory: 2000}},
		{Name: "l", Type: "Container", Min: fleet.Resources{Memory: 32 << 20}, Max: fleet.Resources{Extended: []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1}}}},
	})
}

// TestDefaultOfNoGPU: beside max GPU 1, a default of 0 keeps containers that ask for none without one.
func TestDefaultOfNoGPU(t *testing.T) {
	gpus := func(n string) corev1.ResourceList {
		return corev1.ResourceList{"nvidia.com/gpu": resource.MustParse(n)}
	}
	l := &corev1.LimitRange{}
	l.Spec.Limits = []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: gpus("1"), Default: gpus("0")}}
	item := readLimitRange(l).items[0]
	if want := []fleet.Extended{{Name: "nvidia.com/gpu"}}; !slices.Equal(item.Default.Extended, want) || item.DefaultRequest.Extended != nil {
		t.Errorf("default %v, default request %v", item.Default, item.DefaultRequest)
	}
}
