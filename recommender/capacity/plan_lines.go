package capacity

import (
	"fmt"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// PolicyLines is what to write under spec in the InferenceServer document to begin from a candidate, as YAML.
// A limit is written where it is the request, and an unset request is left out.
func PolicyLines(c Candidate) string {
	at := c.Setting
	var requests []string
	if at.CPU > 0 {
		requests = append(requests, "cpu: "+fleet.FormatCPU(at.CPU))
	}
	if at.Memory > 0 {
		requests = append(requests, "memory: "+exactMemory(at.Memory))
	}
	out := []string{"spec:", fmt.Sprintf("  replicas: %d", at.Replicas)}
	if len(requests) > 0 {
		out = append(out, "  requests: {"+strings.Join(requests, ", ")+"}")
	}
	if at.Limit > 0 && at.Limit == at.CPU {
		out = append(out, "  limits: {cpu: "+fleet.FormatCPU(at.Limit)+"}")
	}
	out = append(out, fmt.Sprintf("  batch: {size: %d, maxDelay: %s}", at.Batch, at.Delay))
	return strings.Join(out, "\n") + "\n"
}

// exactMemory is bytes as a document reads them: in the largest binary unit of which they are a whole number.
func exactMemory(bytes int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if bytes%unit.size == 0 {
			return fmt.Sprintf("%d%s", bytes/unit.size, unit.name)
		}
	}
	return fmt.Sprint(bytes)
}
