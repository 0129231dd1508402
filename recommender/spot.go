package recommender

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// spot moves a batch workload from on-demand to spot capacity. Where the capacity under its pods is
// mixed or not known, the rule holds: part of it may be there already, and a move from nowhere has
// no saving to show.
func (c *judge) spot() ruling {
	if !c.o.MoveToSpot || c.o.Class != fleet.Batch || c.w.Capacity == fleet.Spot {
		return ruling{}
	}
	if c.o.SpotNodes <= 0 {
		return holding(fleet.HoldNoSpotNode, "no ready spot node that its nodeSelector and affinity allow has room for one of its pods; add a spot node group")
	}
	if c.w.Capacity != fleet.OnDemand {
		return holding(fleet.HoldCapacity,
			"its nodes are of more than one capacity type, or do not say theirs; label them karpenter.sh/capacity-type")
	}
	return recommending(Recommendation{
		Ref: c.w.Ref, Reason: fleet.BatchOnDemand, Target: fleet.Target{Capacity: fleet.Spot}, Confidence: days(c.spent()),
		Evidence: fmt.Sprintf("class batch on on-demand capacity; one of its pods would fit on %s", fleet.Count(c.o.SpotNodes, "ready spot node")),
		Steps: []Step{
			{"capacity", "class", string(c.o.Class)},
			{"capacity", "now", string(c.w.Capacity)},
			{"capacity", "spot nodes", fmt.Sprint(c.o.SpotNodes)},
			{"capacity", "target", string(fleet.Spot)},
		},
	})
}
