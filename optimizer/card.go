package optimizer

import (
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sharing"
)

// card is the model of GPU under all of w's pods. It is not known where a node does not say it, where two
// differ, and where what a node hands out as a GPU is a part of one: such a pod would be told to share what
// it shares already.
func (j judge) card(w fleet.Workload) sharing.Card {
	var one sharing.Card
	for _, p := range w.Pods {
		if p.Node == "" {
			continue // not placed yet
		}
		n, _ := j.Node(p.Node)
		c, known := sharing.CardOf(n.GPUProduct)
		if !known || divided(n.GPUProduct) || one.Name != "" && one.Name != c.Name {
			return sharing.Card{}
		}
		one = c
	}
	return one
}

// divided tells whether the node label says that the node's nvidia.com/gpu are MIG instances (strategy
// single: "A100-SXM4-40GB-MIG-1g.5gb") or turns on a card ("Tesla-T4-SHARED"). It is NVIDIA's
// gpu-feature-discovery that writes so.
func divided(product string) bool {
	return strings.Contains(product, "-MIG-") || strings.HasSuffix(product, "-SHARED")
}
