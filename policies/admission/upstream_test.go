package admission

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// upstreamCase is a line of testdata/upstream.jsonl: a question and what Kubernetes 1.36.3 answers.
// The file is written by deploy/upstream, which asks both sides many more.
type upstreamCase struct {
	Bounds       fleet.Bounds
	Pod          fleet.PodShape
	Resize       fleet.Resources   // new requests of the first container; zero: a pod more
	Filled       []fleet.Container // the containers with their defaults; none where a quota was asked
	Refused      string            // in its words; empty: let through
	TakesNothing bool              // a resize that needs no more of any quota
}

// known is the one difference: the API server refuses every resize before a quota that is not counted
// yet, ours only one that takes something.
func (c upstreamCase) known() bool {
	return c.Resize.MilliCPU > 0 && c.TakesNothing && strings.Contains(c.Refused, "status unknown for quota")
}

// ask gives the defaults and the holds of ours.
func (c upstreamCase) ask() ([]fleet.Container, []fleet.Hold) {
	w := fleet.Workload{Template: c.Pod, Replicas: 1, Pods: []fleet.Pod{{Shape: c.Pod}}}
	target := fleet.Target{Replicas: 2}
	if c.Resize.MilliCPU > 0 {
		target = fleet.Target{Requests: []fleet.ContainerRequests{{Container: c.Pod.Containers[0].Name, Requests: c.Resize}}}
	}
	_, _, holds := Judge(w, target, c.Bounds)
	return Default(c.Pod, c.Bounds).Containers, holds
}

// TestUpstream replays the recorded answers of Kubernetes.
func TestUpstream(t *testing.T) {
	ranged, refused, known := 0, 0, 0
	cases := upstreamCases(t)
	for i, c := range cases {
		filled, holds := c.ask()
		want := c.Refused != ""
		if want {
			refused++
		}
		if c.known() {
			known++
			want = false
		}
		if want != (len(holds) > 0) {
			t.Errorf("line %d: ours %v, upstream %q", i+1, holds, c.Refused)
		}
		if len(c.Filled) == 0 {
			continue
		}
		ranged++
		for j, f := range c.Filled {
			if !f.Requests.Equal(filled[j].Requests) || !f.Limits.Equal(filled[j].Limits) {
				t.Errorf("line %d: container %s: ours %+v, upstream %+v", i+1, f.Name, filled[j], f)
			}
		}
	}
	if len(cases) != 225 || ranged != 109 || refused != 109 || known != 5 {
		t.Errorf("%d cases, %d of them of LimitRanges, %d refused, %d of the known difference: the file is not as it should be", len(cases), ranged, refused, known)
	}
}

func upstreamCases(t *testing.T) []upstreamCase {
	t.Helper()
	text, err := os.ReadFile("testdata/upstream.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []upstreamCase
	lines := json.NewDecoder(bytes.NewReader(text))
	lines.DisallowUnknownFields()
	for lines.More() {
		var c upstreamCase
		if err := lines.Decode(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}
