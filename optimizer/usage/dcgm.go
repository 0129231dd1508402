package usage

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What dcgm-exporter calls how busy a GPU is: the share of time in which anything ran on it, 0 to 1, also of a
// MIG slice; or, where the profiling module does not tell that, the driver's figure in percent, which it has
// of whole GPUs only. Neither tells how full the GPU was meanwhile. And what it calls the memory in use, MiB.
const (
	dcgmActive = "DCGM_FI_PROF_GR_ENGINE_ACTIVE"
	dcgmUtil   = "DCGM_FI_DEV_GPU_UTIL"
	dcgmUsed   = "DCGM_FI_DEV_FB_USED"
)

const (
	mebi    = 1 << 20
	maxUsed = 1 << 20 // MiB that no GPU has; what DCGM writes for "not known" is far above
)

// isDCGM tells the families that say which GPUs there are. All of them do, so that a GPU whose busy share is
// blank for a moment keeps its place among those of its pod.
func isDCGM(family string) bool { return strings.HasPrefix(family, "DCGM_FI_") }

// attributions are the labels in which an exporter names the pod that holds a GPU, by version and setting.
var attributions = []struct{ namespace, pod, container model.LabelName }{
	{"exported_namespace", "exported_pod", "exported_container"}, // relabelled on the way
	{"namespace", "pod", "container"},
	{"pod_namespace", "pod_name", "container_name"}, // its old namespace of labels
}

// told are the labels of a GPU that its series keeps, for people.
var told = []model.LabelName{"gpu", "UUID", "modelName", "GPU_I_ID", "GPU_I_PROFILE", "vgpu"}

// gpu is one device that a pod holds: a card, a MIG slice of one, or a replica of a shared one.
type gpu struct {
	index string // of the card on the node
	card  string // its UUID
	slice string // GPU_I_ID; empty: the whole card
	share string // vgpu, of a card that several pods share; empty: not shared, or the exporter does not say
}

// compare is the order of the node's devices: by index, then slice, then share.
func (g gpu) compare(o gpu) int {
	return cmp.Or(compareCounts(g.index, o.index), cmp.Compare(g.card, o.card),
		compareCounts(g.slice, o.slice), compareCounts(g.share, o.share))
}

// compareCounts puts "2" before "10".
func compareCounts(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// busy is what one scrape tells of one GPU.
type busy struct {
	metric    model.Metric // one of its series, for the labels that are told
	container string       // that holds it
	active    float64      // share of time; below zero: not told
	util      float64      // share of time by the driver; below zero: not told
	used      float64      // bytes of memory in use; below zero: not told
}

// parseGPUs makes readings of every GPU that a known pod holds; GPUs of nobody, and of pods that are not
// measured, are left out. Each gives one series of its busy share, whichever of the two families tells of it,
// and one of its memory in use, named by its place among the GPUs of its pod (fleet.GPUName), so that nothing
// can be counted twice: not the two families, not a card beside its MIG slices. Either comes without the other
// where only that is told.
//
// The pods that share one card (time-slicing, MPS) are each given all of the card's busy time and memory,
// because nothing tells them apart: too much for each, which errs on the side of not calling it idle. A page
// that DRA fills with claims instead of pods says nothing here.
func (s *Scraper) parseGPUs(body []byte, held map[podName]Pod, at int64) ([]reading, error) {
	samples, err := exposed(body, isDCGM)
	if err != nil {
		return nil, err
	}
	byPod := gpusHeld(samples, held)
	var out []reading
	for _, name := range slices.SortedFunc(maps.Keys(byPod), podName.compare) {
		for i, g := range devices(byPod[name]) {
			b, o := byPod[name][g], origin{ref: held[name].Ref, pod: name.name, container: fleet.GPUName(int64(i))}
			if share, ok := b.share(); ok {
				out = append(out, reading{series: b.series(seriesGPU, o), at: at, value: share})
			} else {
				s.o.Store.skipped.WithLabelValues(skipInvalid).Inc()
			}
			if b.used >= 0 { // an exporter may be set up without it
				out = append(out, reading{series: b.series(seriesGPUMemory, o), at: at, value: b.used})
			}
		}
	}
	return out, nil
}

// gpusHeld is what a page tells of the GPUs of the pods that are known.
func gpusHeld(page model.Vector, held map[podName]Pod) map[podName]map[gpu]busy {
	out := map[podName]map[gpu]busy{}
	for _, m := range page {
		name, container := holder(m.Metric)
		if _, known := held[name]; !known {
			continue
		}
		if out[name] == nil {
			out[name] = map[gpu]busy{}
		}
		g := deviceOf(m.Metric)
		b, seen := out[name][g]
		if !seen {
			b = busy{metric: m.Metric, container: container, active: -1, util: -1, used: -1}
		}
		out[name][g] = b.with(m)
	}
	return out
}

// holder is the pod that a series of the exporter is about, and which of its containers.
func holder(m model.Metric) (podName, string) {
	for _, a := range attributions {
		if m[a.namespace] != "" && m[a.pod] != "" {
			return podName{string(m[a.namespace]), string(m[a.pod])}, string(m[a.container])
		}
	}
	return podName{}, ""
}

func deviceOf(m model.Metric) gpu {
	return gpu{index: string(m["gpu"]), card: string(m["UUID"]), slice: string(m["GPU_I_ID"]), share: string(m["vgpu"])}
}

// devices is the GPUs of one pod in the order of the node. A card of which the pod holds slices is left out.
func devices(of map[gpu]busy) []gpu {
	all := slices.SortedFunc(maps.Keys(of), gpu.compare)
	return slices.DeleteFunc(slices.Clone(all), func(g gpu) bool {
		return g.slice == "" && slices.ContainsFunc(all, func(o gpu) bool { return o.card == g.card && o.index == g.index && o.slice != "" })
	})
}

// with takes in one sample. DCGM writes what it does not know as a number beyond all sense, such as
// 9223372036854775794 or 140737488355328: that is not told, as is anything else that is no share or no memory.
func (b busy) with(m *model.Sample) busy {
	v := float64(m.Value)
	switch m.Metric[model.MetricNameLabel] {
	case dcgmActive:
		if v >= 0 && v <= 1 {
			b.active = v
		}
	case dcgmUtil:
		if v >= 0 && v <= 100 {
			b.util = v / 100
		}
	case dcgmUsed:
		if v >= 0 && v < maxUsed {
			b.used = v * mebi
		}
	}
	return b
}

func (b busy) share() (float64, bool) {
	if b.active >= 0 {
		return b.active, true
	}
	return b.util, b.util >= 0
}

// series is one series of the GPU, with what the exporter calls it.
func (b busy) series(name string, o origin) labels.Labels {
	l := labels.NewBuilder(labels.EmptyLabels())
	for _, label := range told {
		l.Set(string(label), string(b.metric[label])) // an empty label is none
	}
	l.Set("exported_"+labelContainer, b.container)
	l.Set(model.MetricNameLabel, name)
	o.label(l)
	return l.Labels()
}
