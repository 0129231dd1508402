package capacity

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"trimtab.dev/trimtab/optimizer/fleet"
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
		lines := PolicyLines(Candidate{Setting: at}, Room{})
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

// documented lets everything be chosen, and has keys beside each that a plan replaces.
const documented = `apiVersion: trimtab.dev/v1alpha1
kind: InferenceServer
metadata: {name: scorer}
spec:
  namespace: ml
  image: registry.example.com/server:v1
  model: m
  version: v1
  class: online
  slo: {latency: 50ms}
  replicas: 3
  requests: {cpu: "1", memory: 256Mi}
  limits: {cpu: "1", memory: 512Mi}
  batch: {size: 8, maxDelay: 5ms, sizes: [4, 8, 16], trial: 30s}
  tune:
    maxDelay: 20ms
    replicas: {min: 2, max: 6}
    cpu: {min: 50m, max: "1"}
    memory: {min: 32Mi, max: 512Mi}
    redundancy: 1
`

// TestPolicyLinesMerge: copied key by key into a document that tunes, the lines leave it one that is accepted, and
// what they do not name as it was.
func TestPolicyLinesMerge(t *testing.T) {
	was := parsedServer(t, documented)
	for _, tt := range []struct {
		name string
		at   Setting
		size int    // in the document after it
		says string // in the lines
	}{
		{"a limit that goes with the request", Setting{Batch: 16, Delay: 8 * ms, Replicas: 2, CPU: 90, Limit: 90, Memory: 74 << 20}, 16, "# limits.cpu stays: the plan's, 90m, would be below tune.cpu.max, which is refused\n"},
		{"a limit of its own", Setting{Batch: 4, Replicas: 6, CPU: 90, Limit: 1000, Memory: 74 << 20}, 4, "    cpu: 90m\n    memory: 74Mi\n"},
		{"all that may be requested", Setting{Batch: 4, Replicas: 6, CPU: 1000, Limit: 1000, Memory: 74 << 20}, 4, "    cpu: 1\n"},
		{"a model that takes one row", Setting{Batch: 1, Replicas: 2, CPU: 90, Limit: 90, Memory: 74 << 20}, 8, "# size stays: 1 is not one of batch.sizes\n"},
	} {
		lines := PolicyLines(Candidate{Setting: tt.at}, Room{Batches: was.Batch.Sizes, CPU: was.Tune.CPU})
		is, want := parsedServer(t, merged(t, documented, lines)), was
		want.Replicas, want.Requests = int32(tt.at.Replicas), fleet.Resources{MilliCPU: tt.at.CPU, Memory: tt.at.Memory}
		want.Batch.Size, want.Batch.MaxDelay = tt.size, tt.at.Delay
		if !reflect.DeepEqual(is, want) || !strings.Contains(lines, tt.says) || is.Batch.Trial != 30*time.Second {
			t.Errorf("%s: the document is\n%+v, want\n%+v and %q in\n%s", tt.name, is, want, tt.says, lines)
		}
	}
}

// parsedServer is a document that has no faults.
func parsedServer(t *testing.T, text string) policies.Server {
	t.Helper()
	documents, faults := policies.Parse(policies.Raw{Source: "test.yaml", Data: []byte(text)}, policies.Checks{})
	if len(faults) > 0 || len(documents.Servers) != 1 {
		t.Fatalf("%v in\n%s", faults, text)
	}
	return documents.Servers[0]
}

// merged is a document with lines in it, as a person copies them.
func merged(t *testing.T, document, lines string) string {
	t.Helper()
	var into, from yaml.Node
	if err := yaml.Unmarshal([]byte(document), &into); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(lines), &from); err != nil {
		t.Fatal(err)
	}
	mergeKeys(into.Content[0], from.Content[0])
	out, err := yaml.Marshal(&into)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// mergeKeys lets each key replace the one of its name: where its value is on its own line, in braces, with all that is
// in there.
func mergeKeys(into, from *yaml.Node) {
	for i := 0; i < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		at := slices.IndexFunc(into.Content, func(n *yaml.Node) bool { return n.Value == key.Value }) + 1
		switch whole := value.Kind != yaml.MappingNode || value.Style&yaml.FlowStyle != 0; {
		case at == 0:
			into.Content = append(into.Content, key, value)
		case whole:
			into.Content[at] = value
		default:
			mergeKeys(into.Content[at], value)
		}
	}
}
