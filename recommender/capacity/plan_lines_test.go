package capacity

import (
	"testing"

	"trimtab.dev/trimtab/policies"
)

// TestPolicyLines: a document with the lines in it asks for the candidate's setting.
func TestPolicyLines(t *testing.T) {
	const head = `apiVersion: trimtab.dev/v1alpha1
kind: InferenceServer
metadata: {name: scorer}
`
	const rest = `  namespace: ml
  image: registry.example.com/server:v1
  model: m
  version: v1
  class: online
`
	for _, at := range []Setting{
		{Batch: 16, Delay: 12500 * ms / 1000, Replicas: 3, CPU: 430, Limit: 2000, Memory: 74 << 20},
		{Batch: 1, Replicas: 1, CPU: 1500, Limit: 1500, Memory: 2 << 30},
		{Batch: 64, Delay: ms / 4, Replicas: 10, CPU: 85, Memory: 100_000_256},
	} {
		lines := PolicyLines(Candidate{Setting: at})
		documents, faults := policies.Parse(policies.Raw{Source: "test.yaml", Data: []byte(head + lines + rest)}, policies.Checks{})
		if len(faults) > 0 || len(documents.Servers) != 1 {
			t.Fatalf("%v\n%s", faults, lines)
		}
		s := documents.Servers[0]
		if s.Batch.Size != at.Batch || s.Batch.MaxDelay != at.Delay || int(s.Replicas) != at.Replicas ||
			s.Requests.MilliCPU != at.CPU || s.Requests.Memory != at.Memory || s.Limits.MilliCPU != 0 && s.Limits.MilliCPU != at.Limit {
			t.Errorf("%+v became %+v by\n%s", at, s, lines)
		}
	}
}
