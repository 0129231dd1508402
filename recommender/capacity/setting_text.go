package capacity

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What a written setting may ask for: what an InferenceServer document may say too.
const (
	mostBatch     = 1024
	mostDelay     = time.Second
	mostReplicas  = 1000
	mostInstances = 512
	mostCPU       = 512_000  // millicores
	leastMemory   = 1 << 20  // bytes
	mostMemory    = 16 << 40 //
)

// settingKey is one part of a written setting: how it is read and what it looks like.
type settingKey struct {
	name, want string
	set        func(text string, into *Setting) bool // false: text is not what is wanted
}

func settingKeys() []settingKey {
	return []settingKey{
		{"batch", "rows from 1 to 1024", func(s string, to *Setting) bool { return settingNumber(s, 1, mostBatch, &to.Batch) }},
		{"delay", "a time up to 1s, such as 5ms", setDelay},
		{"replicas", "pods from 1 to 1000", func(s string, to *Setting) bool { return settingNumber(s, 1, mostReplicas, &to.Replicas) }},
		{"cpu", "cores from 1m to 512, such as 500m", func(s string, to *Setting) bool { return settingQuantity(s, 1000, 1, mostCPU, &to.CPU) }},
		{"limit", "cores from 1m to 512, such as 1, or none", setLimit},
		{"memory", "bytes from 1Mi to 16Ti, such as 256Mi", func(s string, to *Setting) bool { return settingQuantity(s, 1, leastMemory, mostMemory, &to.Memory) }},
		{"instances", "batches at once from 1 to 512, or auto", setInstances},
		{"spot", "true or false", setSpot},
	}
}

// ParseSetting is from with what text says: "replicas=2,batch=16". The keys are batch, delay, replicas,
// cpu, limit, memory, instances and spot; quantities are as Kubernetes writes them, the delay as Go does.
// A limit that is as large as the request in from goes with it, unless it is named. The error names
// every fault, one a line.
func ParseSetting(text string, from Setting) (Setting, error) {
	to, keys, seen := from, settingKeys(), map[string]bool{}
	var faults []error
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		i := slices.IndexFunc(keys, func(k settingKey) bool { return k.name == name })
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("%q is not KEY=VALUE; write such as replicas=2,batch=16", part))
		case i < 0:
			faults = append(faults, fmt.Errorf("there is no %q to set; write one of %s", name, settingNames(keys)))
		case seen[name]:
			faults = append(faults, fmt.Errorf("%s is set twice; write it once", name))
		case !keys[i].set(value, &to):
			faults = append(faults, fmt.Errorf("%s=%s is not understood; write %s", name, value, keys[i].want))
		}
		seen[name] = true
	}
	if !seen["limit"] && from.Limit > 0 && from.Limit == from.CPU {
		to.Limit = to.CPU
	}
	if len(faults) == 0 && to.Limit > 0 && to.Limit < to.CPU {
		faults = append(faults, fmt.Errorf("limit %s is below cpu %s, which no pod may have; write a larger limit, or limit=none",
			fleet.FormatCPU(to.Limit), fleet.FormatCPU(to.CPU)))
	}
	if len(faults) > 0 {
		return from, errors.Join(faults...)
	}
	return to, nil
}

func settingNames(keys []settingKey) string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name)
	}
	return strings.Join(out, ", ")
}

func settingNumber(text string, least, most int, into *int) bool {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most || strings.HasPrefix(text, "+") {
		return false
	}
	*into = n
	return true
}

func setDelay(text string, into *Setting) bool {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > mostDelay {
		return false
	}
	into.Delay = d
	return true
}

func setLimit(text string, into *Setting) bool {
	if text == "none" {
		into.Limit = 0
		return true
	}
	return settingQuantity(text, 1000, 1, mostCPU, &into.Limit)
}

func setInstances(text string, into *Setting) bool {
	if text == "auto" {
		into.Instances = 0
		return true
	}
	return settingNumber(text, 1, mostInstances, &into.Instances)
}

func setSpot(text string, into *Setting) bool {
	into.Spot = text == "true"
	return into.Spot || text == "false"
}

// limit is the limit of a pod in words.
func (s Setting) limit() string {
	if s.Limit == 0 {
		return "no limit"
	}
	return "limit " + fleet.FormatCPU(s.Limit)
}

// Changes is what is different in another setting: "batch 8 -> 16, cpu 500m -> 300m". Nothing is "no change".
func (s Setting) Changes(to Setting) string {
	var out []string
	add := func(name, from, to string) {
		if from != to {
			out = append(out, name+" "+from+" -> "+to)
		}
	}
	add("batch", strconv.Itoa(s.Batch), strconv.Itoa(to.Batch))
	add("delay", s.Delay.String(), to.Delay.String())
	add("replicas", strconv.Itoa(s.Replicas), strconv.Itoa(to.Replicas))
	add("cpu", fleet.FormatCPU(s.CPU), fleet.FormatCPU(to.CPU))
	add("limit", limitOr(s.Limit), limitOr(to.Limit))
	add("memory", fleet.FormatMemory(s.Memory), fleet.FormatMemory(to.Memory))
	add("instances", instancesOr(s.Instances), instancesOr(to.Instances))
	add("capacity", string(s.capacity()), string(to.capacity()))
	if len(out) == 0 {
		return "no change"
	}
	return strings.Join(out, ", ")
}

func limitOr(milli int64) string {
	if milli == 0 {
		return "none"
	}
	return fleet.FormatCPU(milli)
}

func instancesOr(n int) string {
	if n == 0 {
		return "auto"
	}
	return strconv.Itoa(n)
}

func (s Setting) capacity() fleet.Capacity {
	if s.Spot {
		return fleet.Spot
	}
	return fleet.OnDemand
}
