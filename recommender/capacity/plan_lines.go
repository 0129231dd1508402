package capacity

import (
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// PolicyLines is what to write under spec in the InferenceServer document to begin from a candidate, as YAML with one
// key a line, so that each takes the place of the document's own and what stands beside it stays. An unset request is
// left out, and so is what the document would be refused for in a room.
func PolicyLines(c Candidate, r Room) string {
	at := c.Setting
	out := []string{"spec:", fmt.Sprintf("  replicas: %d", at.Replicas)}
	out = append(out, requestLines(at)...)
	out = append(out, limitLines(at, r)...)
	out = append(out, "  batch:")
	if len(r.Batches) == 0 || slices.Contains(r.Batches, at.Batch) {
		out = append(out, fmt.Sprintf("    size: %d", at.Batch))
	} else {
		out = append(out, fmt.Sprintf("    # size stays: %d is not one of batch.sizes", at.Batch))
	}
	return strings.Join(append(out, "    maxDelay: "+at.Delay.String()), "\n") + "\n"
}

func requestLines(at Setting) []string {
	var out []string
	if at.CPU > 0 {
		out = append(out, "    cpu: "+fleet.FormatCPU(at.CPU))
	}
	if at.Memory > 0 {
		out = append(out, "    memory: "+exactMemory(at.Memory))
	}
	if len(out) == 0 {
		return nil
	}
	return append([]string{"  requests:"}, out...)
}

// limitLines says that a limit goes with the request. A document may not follow it there while the tuner may request
// more: then its own limit, which is no lower, is the one to begin from.
func limitLines(at Setting, r Room) []string {
	if at.Limit == 0 || at.Limit != at.CPU || r.CPU[1] <= at.Limit {
		return nil
	}
	return []string{fmt.Sprintf("  # limits.cpu stays: the plan's, %s, would be below tune.cpu.max, which is refused", fleet.FormatCPU(at.Limit))}
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
