package recommender

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/sharing"
)

// Advice is what a person should do about a workload and Trimtab does not do itself.
type Advice struct {
	Reason        fleet.Reason `json:"reason"`
	Text          string       `json:"text"`                    // what to do
	Before        string       `json:"before"`                  // what to look at first, a sentence
	MilliGPU      int64        `json:"milliGPU"`                // thousandths of a GPU that each pod would free; 0: it is not known how much
	MilliReplicas int64        `json:"milliReplicas,omitempty"` // thousandths of a replica fewer that run on average; 0: it is not known
	Evidence      string       `json:"evidence"`                // one sentence with the numbers
	Steps         []Step       `json:"steps"`
	Confidence    float64      `json:"confidence"` // days of data behind it
}

// The thresholds of the GPU rule, shares of time.
const (
	gpuIdle = 0.05 // a GPU that was never busier than this did nothing: drivers and probes cause a little
	gpuLow  = 0.3  // a mean below it is too little for whole GPUs; the same share as the CPU rule's
	gpuFull = 0.7  // as busy as a GPU should be at the policy's percentile when it does the work of several
)

// gpus is the most GPUs that any pod of the workload, or its template, asks for.
func gpus(w *fleet.Workload) int64 {
	n := gpusOf(&w.Template)
	for i := range w.Pods {
		n = max(n, gpusOf(&w.Pods[i].Shape))
	}
	return n
}

// gpusOf is how many a pod of a shape asks for. Most ask for nothing but CPU and memory: those are not summed up.
func gpusOf(s *fleet.PodShape) int64 {
	extended := len(s.Overhead.Extended)
	for i := range s.Containers {
		extended += len(s.Containers[i].Requests.Extended) + len(s.Containers[i].Limits.Extended)
	}
	if extended == 0 {
		return 0
	}
	return max(s.Requests().GPUs(), s.Limits().GPUs())
}

// gpuUse is how busy the GPUs of a workload's pods were, each by the pod's own count of them.
type gpuUse struct {
	names  []string
	each   []Distribution
	high   []float64 // of each, at the policy's percentile
	at     string    // that percentile for people, "p95"
	busy   float64   // mean of all
	idle   []string  // the names of those that did nothing
	enough int64     // GPUs that would do at the percentile, at least one
	parts  bool      // what the pods ask for are slices or shares of a GPU already
	asks   string    // the resource that they ask for

	part   bool         // the node hands parts out as if they were GPUs
	card   sharing.Card // empty: not known
	memory []float64    // bytes, the most in use of each GPU; nil: not known
}

// gpuUse measures the GPUs, or says why they are not known; neither where there is nothing to judge. A serving pod
// can sit at a tenth of its CPU while it keeps its GPU busy, so its CPU says nothing, and without measurements of
// every GPU nothing else does.
func (c *judge) gpuUse() (*gpuUse, *fleet.Hold) {
	n := c.gpus
	if n == 0 || !c.o.RightSize {
		return nil, nil
	}
	u := &gpuUse{at: "p" + decimal(c.o.Percentile*100), parts: parts(c.w.Current())}
	var wanted float64
	for i := range n {
		name := fleet.GPUName(i)
		d, hold := c.measured(name, fleet.GPU, "busy share of ")
		if hold != nil {
			return nil, c.gpuUnknown(n, *hold)
		}
		high := d.Percentile(c.o.Percentile)
		u.names, u.each, u.high = append(u.names, name), append(u.each, d), append(u.high, high)
		u.busy, wanted = u.busy+d.Mean/float64(n), wanted+high
		if below(d.Peak, gpuIdle) {
			u.idle = append(u.idle, name)
		}
	}
	u.enough = max(1, int64(math.Ceil(wanted/gpuFull*(1-tolerance))))
	return u, nil
}

// gpuUnknown is the one hold of GPUs that were not measured, or not well enough.
func (c *judge) gpuUnknown(n int64, why fleet.Hold) *fleet.Hold {
	detail := "connect dcgm-exporter to see whether they are busy"
	if slices.ContainsFunc(c.all, func(s series) bool { return s.signal() == fleet.GPU }) {
		detail = "whether they are busy is not known well enough: " + why.Detail
	}
	hold := held(fleet.HoldGPU, fleet.Count(n, "GPU")+" a pod: not judged by CPU; "+detail)
	return &hold
}

// parts tells whether a pod asks for MIG slices or for replicas of a shared GPU.
func parts(p fleet.PodShape) bool {
	return slices.ContainsFunc(p.Requests().Max(p.Limits()).Extended, func(e fleet.Extended) bool {
		return strings.HasPrefix(e.Name, "nvidia.com/mig-") || strings.HasSuffix(e.Name, ".shared")
	})
}

// fine tells that nothing is to be said against the GPUs.
func (u *gpuUse) fine() bool { return len(u.idle) == 0 && !below(u.busy, gpuLow) }

// gpuCaveat is what the busy share does not tell.
const gpuCaveat = "look at the GPU memory in use first (DCGM_FI_DEV_FB_USED): busy is the share of time in which anything ran, " +
	"so a model that needs the memory of every GPU may look idle, and 100 % would not mean saturated"

func (u *gpuUse) advice() Advice {
	do, freed := u.remedy()
	return Advice{
		Reason: fleet.GPUUnderused, Text: do, Before: u.before(), MilliGPU: freed,
		Evidence: u.evidence(), Steps: u.steps(), Confidence: days(u.spent()),
	}
}

// remedy is what to do, and the thousandths of a GPU that each pod then frees.
func (u *gpuUse) remedy() (string, int64) {
	if do, freed, ok := u.precise(); ok {
		return do, freed
	}
	n, idle, most := int64(len(u.each)), int64(len(u.idle)), slices.Max(u.high)
	busy := all(n) + " busy " + percent(u.busy)
	switch spare := n - u.enough; {
	case idle == n:
		return fmt.Sprintf("%s idle: remove %s, or the workload", all(n), them(n)), n * 1000
	case idle > 0:
		return fmt.Sprintf("%s of %d idle: remove %s", strings.Join(u.idle, ", "), n, them(idle)), idle * 1000
	case spare > 0 && u.parts:
		return fmt.Sprintf("%s: remove %s, or %s", busy, some(spare), u.smaller()), spare * 1000
	case spare > 0:
		return fmt.Sprintf("%s: share (time-slicing or MIG) or remove %s", busy, some(spare)), spare * 1000
	case u.parts:
		return busy + ": " + u.smaller(), 0
	case !below(gpuFull, 2*most):
		return busy + ": share with a second pod like it (time-slicing or MIG)", n * 500
	}
	return fmt.Sprintf("%s, but up to %s (%s): share (time-slicing or MIG) only with work that is busy at other times", busy, percent(most), u.at), 0
}

// evidence is how busy each GPU was, in one sentence.
func (u *gpuUse) evidence() string {
	said := make([]string, len(u.each))
	for i, d := range u.each {
		said[i] = fmt.Sprintf("%s busy %s on average, %s %s, %s at most", u.names[i], percent(d.Mean), u.at, percent(u.high[i]), percent(d.Peak))
	}
	d := u.each[0]
	return fmt.Sprintf("%s; in the hottest of %s over %s; not judged by CPU", strings.Join(said, "; "), fleet.Count(max(d.Pods, 1), "replica"), spell(d.To.Sub(d.From)))
}

func (u *gpuUse) steps() []Step {
	var out []Step
	for i, d := range u.each {
		out = append(out, Step{u.names[i], "mean", percent(d.Mean)}, Step{u.names[i], u.at, percent(u.high[i])}, Step{u.names[i], "peak", percent(d.Peak)})
	}
	out = append(out, Step{"gpus", "asked for", fmt.Sprint(len(u.each))}, Step{"gpus", "enough to " + percent(gpuFull), fmt.Sprint(u.enough)})
	return append(out, u.sharingSteps()...)
}

// spent is the measured time behind the GPU that was measured least.
func (u *gpuUse) spent() time.Duration {
	least := u.each[0].Spent
	for _, d := range u.each {
		least = min(least, d.Spent)
	}
	return least
}

// all is "its GPU", "both GPUs", "all 4 GPUs".
func all(n int64) string {
	switch n {
	case 1:
		return "its GPU"
	case 2:
		return "both GPUs"
	}
	return fmt.Sprintf("all %d GPUs", n)
}

func them(n int64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func some(n int64) string {
	if n == 1 {
		return "one"
	}
	return fmt.Sprint(n)
}
