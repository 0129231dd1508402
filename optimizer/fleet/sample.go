package fleet

import (
	"strconv"
	"time"
)

// Signal is what a Sample measures.
type Signal string

// The signals and their units. They are the named queries of the usage layer.
const (
	CPU        Signal = "cpu"        // cores used, a container's
	Memory     Signal = "memory"     // working set in bytes, a container's
	Requests   Signal = "requests"   // requests per second answered by a pod
	Latency    Signal = "latency"    // seconds, mean over the window, of the requests a pod answered
	Throttling Signal = "throttling" // share of CPU periods in which a container was throttled, 0 to 1
	OOM        Signal = "oom"        // out-of-memory kills of a container in the window
	GPU        Signal = "gpu"        // share of time in which anything ran on one GPU of a pod, 0 to 1
	GPUMemory  Signal = "gpu-memory" // bytes in use of one GPU of a pod, DCGM_FI_DEV_FB_USED
)

// Sample is one measurement over a window that ends at At. Window and statistic belong to it, so
// that minutes and hours can live in one history.
type Sample struct {
	Ref       Ref           `json:"ref"`
	Pod       string        `json:"pod"`
	Container string        `json:"container,omitempty"` // empty for signals of a pod; for GPU and GPUMemory the device, see GPUName
	Image     string        `json:"image,omitempty"`
	Signal    Signal        `json:"signal"`
	At        time.Time     `json:"at"`
	Window    time.Duration `json:"window"`
	Mean      float64       `json:"mean"` // over the window, in the signal's unit
	Max       float64       `json:"max"`  // the largest reading in the window
	N         int           `json:"n"`    // readings in the window, at least 1
}

// GPUName is how the samples of a pod's i-th GPU, counted from 0 in the order of the node's devices, name
// it in Container: "gpu 0". Counted in the pod and not on the node it means the same in every replica and
// after every rollout, and no container can be called so.
func GPUName(i int64) string { return "gpu " + strconv.FormatInt(i, 10) }
