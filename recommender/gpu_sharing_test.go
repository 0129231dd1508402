package recommender

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sharing"
)

// on is what is advised for pods of the resource whose GPUs are each busy for that share, on the card and
// with so many GiB of its memory in use; no memory: not measured.
func on(t *testing.T, product, resource string, busy []float64, gibs ...float64) Advice {
	t.Helper()
	w := server(2)
	edit(&w, func(k *fleet.Container) {
		k.Limits.Extended = []fleet.Extended{{Name: resource, Count: int64(len(busy))}}
	})
	h := measured(t, w, 0.015, 100*mib, 50)
	for i, v := range busy {
		feedGPU(t, h, w, int64(i), v)
	}
	c := newJudge(w, h, options(), noon)
	u, hold := c.gpuUse()
	if hold != nil {
		t.Fatal(hold)
	}
	var memory []float64
	for _, g := range gibs {
		memory = append(memory, g*1024*mib)
	}
	card, _ := sharing.CardOf(product)
	u.know(card, device(w.Current()), memory)
	return u.advice()
}

// TestSharingAdvice. Margins are 10 % of duty and of memory, of 79 GiB. A duty of 0.10 is 0.77 of one
// slice of seven, and seven such pods fill a card to 0.77 too: the slice is better, it keeps memory apart.
func TestSharingAdvice(t *testing.T) {
	const a100, gpu = "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu"
	for _, c := range []struct {
		product, resource string
		busy, gibs        []float64
		text              string
		freed             int64
		before            string
	}{
		{a100, gpu, []float64{0.10}, []float64{8}, "its GPU busy 10 %, 8Gi of its A100-80GB in use at most: ask for nvidia.com/mig-1g.10gb, of which a card holds 7", 857, gpuSlices},
		{a100, gpu, []float64{0.08}, []float64{7}, "its GPU busy 8 %, 7Gi of its A100-80GB in use at most: let 8 pods like it share a card by turns (time-slicing)", 875, gpuTurns},
		{a100, gpu, []float64{0.08}, []float64{30}, "its GPU busy 8 %, 30Gi of its A100-80GB in use at most: ask for nvidia.com/mig-3g.40gb, of which a card holds 2", 500, gpuSlices},
		{a100, gpu, []float64{0.08}, []float64{60}, "its GPU busy 8 %, 60Gi of its A100-80GB in use at most: keep it whole: neither a smaller MIG profile nor half of a card holds it", 0, gpuFit},
		{"Tesla T4", gpu, []float64{0.2}, []float64{4}, "its GPU busy 20 %, 4Gi of its T4 in use at most: let 3 pods like it share a card by turns (time-slicing)", 666, gpuTurns},
		{a100, "nvidia.com/mig-3g.40gb", []float64{0.2}, []float64{8}, "its GPU busy 20 %, 8Gi of its A100-80GB in use at most: ask for nvidia.com/mig-1g.10gb, of which a card holds 7", 714, gpuSlices},
		{a100, "nvidia.com/mig-1g.10gb", []float64{0.2}, []float64{8}, "its GPU busy 20 %, 8Gi of its A100-80GB in use at most: keep the slice: no smaller one holds it", 0, gpuFit},
		{a100, "nvidia.com/gpu.shared", []float64{0.2}, []float64{9}, "its GPU busy 20 %: ask for less of the card (a smaller slice, or more pods by turns)", 0, gpuFit},
		{a100, gpu, []float64{0.01}, []float64{60}, "its GPU idle: remove it, or the workload", 1000, gpuFit},
		{a100, gpu, []float64{0.2}, nil, "its GPU busy 20 %: share with a second pod like it (time-slicing or MIG)", 500, gpuCaveat},
		{"NVIDIA Future", gpu, []float64{0.2}, []float64{9}, "its GPU busy 20 %: share with a second pod like it (time-slicing or MIG)", 500, gpuNoCard},
		{a100, gpu, []float64{0.08, 0.08}, []float64{10, 10}, "both GPUs busy 8 %: share (time-slicing or MIG) or remove one", 1000, gpuFit},
		{a100, gpu, []float64{0.08, 0.08}, []float64{60, 60}, "both GPUs busy 8 %, up to 60Gi in use of each A100-80GB: keep them for the memory", 0, gpuFit},
		{a100, gpu, []float64{0.5, 0.01}, []float64{30, 20}, "gpu 1 of 2 idle: remove it", 1000, gpuFit},
		{a100, gpu, []float64{0.48, 0.02}, []float64{60, 60}, "both GPUs busy 25 %, up to 60Gi in use of each A100-80GB: keep them for the memory, though gpu 1 idle", 0, gpuFit},
	} {
		got := on(t, c.product, c.resource, c.busy, c.gibs...)
		if got.Text != c.text || got.MilliGPU != c.freed || got.Before != c.before {
			t.Errorf("%v, %v GiB: got %q, %d, %q\nwant %q, %d", c.busy, c.gibs, got.Text, got.MilliGPU, got.Before, c.text, c.freed)
		}
	}
}

// TestSharingSteps: what each choice takes is said, the cheapest first.
func TestSharingSteps(t *testing.T) {
	a := on(t, "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu", []float64{0.10}, 8)
	want := []Step{{"sharing", "mig-1g.10gb", "0.14 of the GPU each"}, {"sharing", "time-slice, 7 pods", "0.14 of the GPU each"}, {"sharing", "keep", "1 of the GPU each"}}
	if got := a.Steps[len(a.Steps)-3:]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestMoreMemoryNeverFreesMore, and what is freed is there.
func TestMoreMemoryNeverFreesMore(t *testing.T) {
	for _, product := range []string{"NVIDIA-A100-SXM4-80GB", "NVIDIA-A100-SXM4-40GB", "NVIDIA H200", "NVIDIA-A30", "Tesla-T4"} {
		for _, n := range []int{1, 2, 4} {
			last := int64(1000 * n)
			for g := 1.0; g < 150; g += 7 {
				busy, memory := make([]float64, n), make([]float64, n)
				for i := range n {
					busy[i], memory[i] = 0.06, g
				}
				a := on(t, product, "nvidia.com/gpu", busy, memory...)
				if a.MilliGPU < 0 || a.MilliGPU > last || a.Text == "" || strings.Contains(a.Text, "%!") {
					t.Fatalf("%s, %d GPUs, %v GiB: %+v after %d", product, n, g, a, last)
				}
				last = a.MilliGPU
			}
		}
	}
}

// TestMemoryIsMeasured: Advise takes the memory from the history, the most of any pod, and only where every ready
// pod's is known. Of twelve readings eleven are 7 GiB, so the histogram tells 7 from 30: its ranges are those of bytes.
func TestMemoryIsMeasured(t *testing.T) {
	card, _ := sharing.CardOf("NVIDIA-A100-SXM4-80GB")
	for _, c := range []struct {
		name string
		pods int // that are measured, of two
		want string
	}{
		{"of both pods", 2, "its GPU busy 8 %, 30Gi of its A100-80GB in use at most: ask for nvidia.com/mig-3g.40gb, of which a card holds 2"},
		{"of one", 1, "its GPU busy 8 %: share with a second pod like it (time-slicing or MIG)"},
		{"of none", 0, "its GPU busy 8 %: share with a second pod like it (time-slicing or MIG)"},
	} {
		w, h := vision(t, 1)
		feedGPU(t, h, w, 0, 0.08)
		var used [][]fleet.Sample
		for _, p := range w.Pods[:c.pods] {
			s := steady(fleet.GPUMemory, p.Name, noon, 3*time.Minute, 7*1024*mib)
			for i := range s {
				s[i].Container = fleet.GPUName(0)
			}
			s[5].Mean, s[5].Max = 30*1024*mib, 30*1024*mib
			used = append(used, s)
		}
		feed(t, h, merged(used...)...)
		if got := Advise(w, h, options(), Device{Card: card}, noon); len(got) != 1 || got[0].Text != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
		if d, ok := h.Distribution(w.Ref, fleet.GPUName(0), fleet.GPUMemory, time.Hour, noon); ok && d.Percentile(0.5) != 7*1024*mib {
			t.Errorf("%s: p50 %v", c.name, d.Percentile(0.5))
		}
	}
}
