package managed

import (
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// TestWhatIfKnowsTheNodes: the node's 2 cores hold 40 pods of 50m. A standby, which never asks the pods, says so too,
// though the node takes none but such as are there; what is written down and what a list shows has no nodes.
func TestWhatIfKnowsTheNodes(t *testing.T) {
	r, _ := inService(t)
	r.until(capacity.Settled)
	asked := func(who string) {
		t.Helper()
		s, _ := r.keeper.Standing("a", "quotes")
		got, err := s.WhatIfs([]string{"replicas=50"})
		if err != nil || !strings.Contains(got[0].Candidate.Why, "40 of 50 replicas fit on the nodes") {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
		if s.Brief().Question.Room.Nodes != nil {
			t.Errorf("%s: a list shows the nodes", who)
		}
	}
	asked("the leader")
	if nodes := r.state().Question.Room.Nodes; nodes != nil {
		t.Errorf("nodes are written down: %+v", nodes)
	}
	r.restart()
	seen := r.snapshot()
	seen.Nodes[0].Taints = []fleet.Taint{{Key: "for", Value: "quotes", Effect: "NoSchedule"}}
	seen.Workloads[0].Pods = []fleet.Pod{{Name: "quotes-1", Node: "od-1"}}
	if _, err := r.keeper.Keep(t.Context(), r.set, seen, false, r.now); err != nil {
		t.Fatal(err)
	}
	asked("a standby")
}
