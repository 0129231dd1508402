package recommender

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// gpus is the most GPUs that any pod of the workload, or its template, asks for.
func gpus(w fleet.Workload) int64 {
	n := max(w.Template.Requests().GPUs(), w.Template.Limits().GPUs())
	for _, p := range w.Pods {
		n = max(n, p.Shape.Requests().GPUs(), p.Shape.Limits().GPUs())
	}
	return n
}

// gpuHold is why a GPU workload is not right-sized. A serving pod can sit at a tenth of its CPU while
// it keeps its GPU busy, so its CPU says nothing.
func (c judge) gpuHold() fleet.Hold {
	n := gpus(c.w)
	what := "1 GPU a pod"
	if n != 1 {
		what = fmt.Sprintf("%d GPUs a pod", n)
	}
	d, ok := c.h.Distribution(c.w.Ref, "", fleet.GPU, c.o.Window, c.now)
	if !ok {
		return held(fleet.HoldGPU, what+": not judged by CPU; connect dcgm-exporter to see whether they are busy")
	}
	return held(fleet.HoldGPU, fmt.Sprintf("%s: not judged by CPU; they were busy %s of the last %s in the hottest replica",
		what, percent(d.Mean), spell(d.To.Sub(d.From))))
}
