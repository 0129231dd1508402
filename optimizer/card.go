package optimizer

import (
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/sharing"
)

// device is what w's pods get for a GPU. The card under them is not known where a node does not say it, where two
// differ, and where what some node hands out as a GPU is a part of one.
func (j judge) device(w fleet.Workload) recommender.Device {
	var on recommender.Device
	known := true
	for _, p := range w.Pods {
		if p.Node == "" {
			continue // not placed yet
		}
		n, _ := j.Node(p.Node)
		c, ok := sharing.CardOf(n.GPUProduct)
		known = known && ok && (on.Card.Name == "" || on.Card.Name == c.Name)
		on.Card, on.Part = c, on.Part || divided(n.GPUProduct)
	}
	if !known || on.Part {
		on.Card = sharing.Card{}
	}
	return on
}

// divided tells whether the node label says that the node's nvidia.com/gpu are MIG instances (strategy
// single: "A100-SXM4-40GB-MIG-1g.5gb") or turns on a card ("Tesla-T4-SHARED"). It is NVIDIA's
// gpu-feature-discovery that writes so.
func divided(product string) bool {
	return strings.Contains(product, "-MIG-") || strings.HasSuffix(product, "-SHARED")
}
