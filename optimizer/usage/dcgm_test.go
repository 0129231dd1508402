package usage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// vision holds two GPUs a pod.
var vision = fleet.Deployment("ml-production", "image-analysis-model")

// dcgmPage is a page of dcgm-exporter 4: HELP and TYPE of each family, then a line a GPU, with the labels that
// it writes itself. GPU 2 and 3 are vision-a's, 0 is nobody's, 1 a stranger's. The memory temperature is blank.
const dcgmPage = `# HELP DCGM_FI_DEV_SM_CLOCK SM clock frequency (in MHz).
# TYPE DCGM_FI_DEV_SM_CLOCK gauge
DCGM_FI_DEV_SM_CLOCK{gpu="0",UUID="GPU-604ac76c",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="Tesla T4",Hostname="ip-10-0-1-7",DCGM_FI_DRIVER_VERSION="580.105.08"} 300
DCGM_FI_DEV_SM_CLOCK{gpu="2",UUID="GPU-9c2d8b10",pci_bus_id="00000000:00:1D.0",device="nvidia2",modelName="Tesla T4",Hostname="ip-10-0-1-7",DCGM_FI_DRIVER_VERSION="580.105.08",container="model-server",namespace="ml-production",pod="vision-a"} 1590
# HELP DCGM_FI_DEV_MEMORY_TEMP Memory temperature (in C).
# TYPE DCGM_FI_DEV_MEMORY_TEMP gauge
DCGM_FI_DEV_MEMORY_TEMP{gpu="2",UUID="GPU-9c2d8b10",device="nvidia2",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 9223372036854775794
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-604ac76c",device="nvidia0",modelName="Tesla T4",Hostname="ip-10-0-1-7"} 0
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-11aa22bb",device="nvidia1",modelName="Tesla T4",container="main",namespace="other",pod="stranger"} 99
DCGM_FI_DEV_GPU_UTIL{gpu="2",UUID="GPU-9c2d8b10",device="nvidia2",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 12
DCGM_FI_DEV_GPU_UTIL{gpu="3",UUID="GPU-0d5e6f70",device="nvidia3",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 0
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-604ac76c",device="nvidia0",modelName="Tesla T4",Hostname="ip-10-0-1-7"} 0.000000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="2",UUID="GPU-9c2d8b10",device="nvidia2",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 0.083000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="3",UUID="GPU-0d5e6f70",device="nvidia3",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 0.001000
# HELP DCGM_FI_DEV_FB_USED Framebuffer memory used (in MiB).
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-604ac76c",device="nvidia0",modelName="Tesla T4",Hostname="ip-10-0-1-7"} 0
DCGM_FI_DEV_FB_USED{gpu="2",UUID="GPU-9c2d8b10",device="nvidia2",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 5204
DCGM_FI_DEV_FB_USED{gpu="3",UUID="GPU-0d5e6f70",device="nvidia3",modelName="Tesla T4",container="model-server",namespace="ml-production",pod="vision-a"} 3
`

func visionPods(names ...string) map[podName]Pod {
	out := map[podName]Pod{}
	for _, n := range names {
		out[podName{vision.Namespace, n}] = Pod{Ref: vision, Name: n}
	}
	return out
}

// parsedGPUs is the readings of a page as "pod/gpu N=share" and, of memory, "pod/gpu N=MiB".
func parsedGPUs(t *testing.T, page string, pods ...string) []string {
	t.Helper()
	b := newScraperBench(t, ScraperOptions{})
	got, err := b.parseGPUs([]byte(page), visionPods(pods...), 7)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range got {
		value := fmt.Sprint(r.value)
		if r.series.Get(model.MetricNameLabel) == seriesGPUMemory {
			value = fmt.Sprint(r.value/mebi, "MiB")
		}
		out = append(out, fmt.Sprintf("%s/%s=%s", r.series.Get(labelPod), r.series.Get(labelContainer), value))
	}
	return out
}

// on is one line of family for GPU index i, held by pod of our namespace; more labels follow.
func on(family string, i int, pod, more string, value any) string {
	return fmt.Sprintf("%s{gpu=\"%d\",UUID=\"GPU-%d\",namespace=\"ml-production\",pod=%q,container=\"c\"%s} %v\n", family, i, i, pod, more, value)
}

func TestParseGPUs(t *testing.T) {
	for _, c := range []struct {
		name, page string
		want       string
	}{
		{"the documented page", dcgmPage, "vision-a/gpu 0=0.083 vision-a/gpu 0=5204MiB vision-a/gpu 1=0.001 vision-a/gpu 1=3MiB"},
		{"the README's page, without pods", "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n# TYPE DCGM_FI_DEV_MEMORY_TEMP gauge\n" +
			"DCGM_FI_DEV_GPU_UTIL{gpu=\"0\", UUID=\"GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52\",container=\"\",namespace=\"\",pod=\"\"} 39\n" +
			"DCGM_FI_DEV_MEMORY_TEMP{gpu=\"0\", UUID=\"GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52\"} 9223372036854775794\n", ""},
		{"percent alone", on(dcgmUtil, 0, "vision-a", "", 42), "vision-a/gpu 0=0.42"},
		{"both bounds", on(dcgmUtil, 0, "vision-a", "", 100) + on(dcgmActive, 1, "vision-a", "", 0), "vision-a/gpu 0=1 vision-a/gpu 1=0"},
		{"blank activity: the percentage counts", on(dcgmActive, 0, "vision-a", "", 140737488355328.0) + on(dcgmUtil, 0, "vision-a", "", 8), "vision-a/gpu 0=0.08"},
		{"blank both: no sample, and the other keeps its place", on(dcgmActive, 0, "vision-a", "", 140737488355330.0) + on(dcgmUtil, 0, "vision-a", "", 9223372036854775794.) +
			on(dcgmActive, 1, "vision-a", "", .5), "vision-a/gpu 1=0.5"},
		{"blank both in 32 bits", on(dcgmUtil, 0, "vision-a", "", 2147483632), ""},
		{"NaN and below zero", on(dcgmActive, 0, "vision-a", "", "NaN") + on(dcgmUtil, 0, "vision-a", "", -1), ""},
		{"absent, but the card is there", "DCGM_FI_DEV_GPU_TEMP" + on("", 0, "vision-a", "", 40) + on(dcgmActive, 1, "vision-a", "", .5), "vision-a/gpu 1=0.5"},
		{"memory alone, and the other keeps its place", on(dcgmUsed, 0, "vision-a", "", 5204) + on(dcgmActive, 1, "vision-a", "", .5), "vision-a/gpu 0=5204MiB vision-a/gpu 1=0.5"},
		{"blank memory", on(dcgmUtil, 0, "vision-a", "", 8) + on(dcgmUsed, 0, "vision-a", "", 9223372036854775794.), "vision-a/gpu 0=0.08"},
		{"blank memory in 32 bits", on(dcgmUtil, 0, "vision-a", "", 8) + on(dcgmUsed, 0, "vision-a", "", 2147483632), "vision-a/gpu 0=0.08"},
		{"memory of NaN, below zero, of a tebibyte", on(dcgmUsed, 0, "vision-a", "", "NaN") + on(dcgmUsed, 1, "vision-a", "", -1) + on(dcgmUsed, 2, "vision-a", "", 1<<20), ""},
		{"no memory in use is a reading", on(dcgmUsed, 0, "vision-a", "", 0), "vision-a/gpu 0=0MiB"},
		{"memory of MIG slices, and not of their card", on(dcgmUsed, 0, "vision-a", `,GPU_I_ID="9",GPU_I_PROFILE="1g.5gb"`, 12) + on(dcgmUsed, 0, "vision-a", "", 4000), "vision-a/gpu 0=12MiB"},
		{"memory of a shared card", on(dcgmUsed, 0, "vision-a", `,vgpu="0"`, 70) + on(dcgmUsed, 0, "vision-b", `,vgpu="1"`, 70), "vision-a/gpu 0=70MiB vision-b/gpu 0=70MiB"},
		{"ten comes after two", on(dcgmActive, 10, "vision-a", "", .9) + on(dcgmActive, 2, "vision-a", "", .1), "vision-a/gpu 0=0.1 vision-a/gpu 1=0.9"},
		{"two pods count their own", on(dcgmActive, 2, "vision-b", "", .2) + on(dcgmActive, 1, "vision-a", "", .1), "vision-a/gpu 0=0.1 vision-b/gpu 0=0.2"},
		{"MIG slices, and not their card too", on(dcgmActive, 0, "vision-a", `,GPU_I_ID="9",GPU_I_PROFILE="1g.5gb"`, .3) + on(dcgmActive, 0, "vision-a", `,GPU_I_ID="11",GPU_I_PROFILE="1g.5gb"`, .4) +
			on(dcgmActive, 0, "vision-a", "", .9), "vision-a/gpu 0=0.3 vision-a/gpu 1=0.4"},
		{"time slices of one card", on(dcgmActive, 0, "vision-a", `,vgpu="0"`, .3) + on(dcgmActive, 0, "vision-b", `,vgpu="1"`, .3), "vision-a/gpu 0=0.3 vision-b/gpu 0=0.3"},
		{"relabelled", `DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="u",namespace="monitoring",pod="dcgm-x",exported_namespace="ml-production",exported_pod="vision-a"} 7` + "\n", "vision-a/gpu 0=0.07"},
		{"old labels", `DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="u",pod_namespace="ml-production",pod_name="vision-a",container_name="c"} 7` + "\n", "vision-a/gpu 0=0.07"},
		{"a pod of another namespace", `DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="u",namespace="other",pod="vision-a"} 7` + "\n", ""},
		{"nothing of DCGM", exposition, ""},
		{"empty", "", ""},
	} {
		if got := strings.Join(parsedGPUs(t, c.page, "vision-a", "vision-b"), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	b := newScraperBench(t, ScraperOptions{})
	if got, err := b.parseGPUs([]byte("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\" 7\n"), nil, 7); err == nil || got != nil {
		t.Errorf("a broken page gave %v, %v", got, err)
	}
}

// TestGPUsAreRead goes all the way: exporter pages over HTTP, the store, the named query. Windows of a
// minute hold the readings of seconds 15 to 60: GPU 0 (0.08+0.12+0.08+0.08)/4 = 0.09, GPU 1 idle. Of the memory
// of GPU 0 they hold 1024, 3072, 2048 and 2048 MiB: 2 GiB on average, 3 at most; of GPU 1's nothing is told.
func TestGPUsAreRead(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.pods.list = []Pod{{Ref: vision, Name: "vision-a"}} // on a simulated node: not scraped, never ready
	b.pods.exporters = []Exporter{{Namespace: "gpu-operator", Name: "dcgm-x", Ready: true, ScrapeURL: b.url}, {Namespace: "gpu-operator", Name: "no-address"}}
	for i, v := range []float64{.08, .12, .08, .08, .5} {
		used := on(dcgmUsed, 4, "vision-a", "", []int{1024, 3072, 2048, 2048, 512}[i])
		b.scrape(t, 15*(i+1), on(dcgmActive, 4, "vision-a", "", v)+on(dcgmActive, 5, "vision-a", "", 0.)+on(dcgmUtil, 4, "vision-a", "", 99)+used)
	}
	got := samples(t, NewReader(b.store, now), t0, t0.Add(time.Hour))
	want := []string{"60 vision-a/gpu 0 gpu 0.09 0.12 4", "60 vision-a/gpu 0 gpu-memory 2.14748e+09 3.22123e+09 4", "60 vision-a/gpu 1 gpu 0 0 4",
		"120 vision-a/gpu 0 gpu 0.5 0.5 1", "120 vision-a/gpu 0 gpu-memory 5.36871e+08 5.36871e+08 1", "120 vision-a/gpu 1 gpu 0 0 1"}
	if !slices.Equal(lines(got), want) {
		t.Errorf("got  %q\nwant %q", lines(got), want)
	}
	if got[0].Ref != vision || got[0].Signal != fleet.GPU || got[0].Container != fleet.GPUName(0) || got[0].Image != "" {
		t.Errorf("got %+v", got[0])
	}
	wantRaw(t, b.store, seriesGPU+`{namespace="ml-production",workload="image-analysis-model",gpu="4",UUID="GPU-4",exported_container="c"}`,
		"vision-a/gpu 0 15=0.08", "vision-a/gpu 0 30=0.12", "vision-a/gpu 0 45=0.08", "vision-a/gpu 0 60=0.08", "vision-a/gpu 0 75=0.5")
	wantRaw(t, b.store, `{__name__=~"DCGM_.*"}`)
	wantRaw(t, b.store, seriesScrapeUp+`{namespace="gpu-operator",pod="dcgm-x"}`, "dcgm-x/ 15=1", "dcgm-x/ 30=1", "dcgm-x/ 45=1", "dcgm-x/ 60=1", "dcgm-x/ 75=1")
	if n := testutil.ToFloat64(b.store.targets); n != 1 {
		t.Errorf("%v targets", n)
	}
}

// TestTwoExportersOfOneNode tell of the same GPU: the larger counts, and nothing is added.
func TestTwoExportersOfOneNode(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	a := origin{ref: vision, pod: "vision-a", container: fleet.GPUName(0)}
	for i, v := range []float64{.2, .4} {
		g := busy{metric: nil, container: fmt.Sprint("seen by ", i)}
		if err := b.store.write(t.Context(), []reading{{series: g.series(seriesGPU, a), at: sec(30), value: v}, {series: g.series(seriesGPUMemory, a), at: sec(30), value: 10 * v}}); err != nil {
			t.Fatal(err)
		}
	}
	got := lines(samples(t, NewReader(b.store, now), t0, t0.Add(time.Hour)))
	if want := []string{"60 vision-a/gpu 0 gpu 0.4 0.4 1", "60 vision-a/gpu 0 gpu-memory 4 4 1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestGPUsThatGo: a GPU that the exporter does not list any more, a pod that has gone, an exporter that does
// not answer and one that has gone each end their series; none of it is a zero.
func TestGPUsThatGo(t *testing.T) {
	b := newScraperBench(t, ScraperOptions{})
	b.pods.list = []Pod{{Ref: vision, Name: "vision-a"}, {Ref: vision, Name: "vision-b"}}
	b.pods.exporters = []Exporter{{Namespace: "gpu-operator", Name: "dcgm-x", Ready: true, ScrapeURL: b.url}}
	only := on(dcgmActive, 0, "vision-a", "", .5) + on(dcgmUsed, 0, "vision-a", "", 700)
	both := only + on(dcgmActive, 1, "vision-b", "", .5) + on(dcgmUsed, 1, "vision-b", "", 700)
	check := func(when string, second float64, want int) {
		t.Helper()
		for _, series := range []string{seriesGPU, seriesGPUMemory} {
			if n := live(t, b.store, series, second); n != want {
				t.Errorf("%s: %d live series of %s, want %d", when, n, series, want)
			}
		}
	}
	b.scrape(t, 15, both)
	check("both", 15, 2)
	b.scrape(t, 30, only)
	check("vision-b holds none", 30, 1)
	b.page.code = 500
	b.scrape(t, 45, both)
	check("it does not answer", 45, 0)
	b.page.code = 0
	b.scrape(t, 60, both)
	check("again", 60, 2)
	b.pods.list = b.pods.list[:1]
	b.scrape(t, 75, both)
	check("vision-b has gone", 75, 1)
	b.pods.exporters = nil
	b.scrape(t, 90, both)
	check("the exporter has gone", 90, 0)
}

// FuzzParseGPUs: whatever a page says, every reading is a share, or memory that a GPU could have, of a pod that is
// held, under its own labels, and no series comes twice.
func FuzzParseGPUs(f *testing.F) {
	f.Add(dcgmPage)
	f.Add(on(dcgmUsed, 0, "vision-a", "", 1<<19) + on(dcgmUsed, 1, "vision-a", "", "-0") + on(dcgmUsed, 2, "vision-a", "", "+Inf"))
	f.Add(on(dcgmActive, 0, "vision-a", `,GPU_I_ID="9"`, .3) + on(dcgmUtil, 0, "vision-a", `,workload="liar"`, "1e99"))
	s := &Scraper{o: ScraperOptions{Store: &Store{counters: newCounters()}}}
	f.Fuzz(func(t *testing.T, page string) {
		got, err := s.parseGPUs([]byte(page), visionPods("vision-a"), 7)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range got {
			o := originOf(r.series)
			key, most := string(r.series.Bytes(nil)), 1.0
			if r.series.Get(model.MetricNameLabel) == seriesGPUMemory {
				most = 1 << 40
			}
			if seen[key] || o.ref != vision || o.pod != "vision-a" || !strings.HasPrefix(o.container, "gpu ") || !(r.value >= 0 && r.value <= most) || r.at != 7 {
				t.Fatalf("%v = %v of %q", r.series, r.value, page)
			}
			seen[key] = true
		}
	})
}
