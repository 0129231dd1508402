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

// Device is what a workload's pods get for a GPU, as their nodes tell it.
type Device struct {
	Card sharing.Card // empty: it is not known, or not the same for all
	Part bool         // a MIG instance or turns on a card are handed out as if they were a GPU
}

// Advise says what the workload's GPUs should become. Trimtab takes no GPU away: it cannot be resized in
// place, and a model may need the memory of one that looks idle. So the answer is advice, and only where
// every GPU of every ready pod was measured for MinHistory:
//
//	when                                    then
//	some GPU of the pod never above 5 %,    remove it
//	in any pod
//	the mean of all is below 30 %           share; or remove those whose work the others could do as well:
//	                                        what is left is filled to 70 % at most by the percentiles of
//	                                        all, added up
//
// Where every GPU is needed by that count, sharing frees half of each if two such pods fill it to 70 % at
// most; otherwise it is not known what it frees. GPUs are told apart by the pod's own count (fleet.GPUName):
// pods that put their work on differently numbered GPUs are seen as using all of them.
//
// Where it is known on which card the pods run (sharing.CardOf), and the GPU memory was measured, the advice names what
// to ask for: a MIG profile, or how many pods like it share a card by turns, whichever takes less of the card; and no GPU
// is called spare whose memory the others could not hold. Without either it says to look at the memory first. Behind it
// comes what an autoscaler of the replicas should be set to, where they follow a forecast.
//
//	A100-80GB, busy 8 % (p99), 7 GiB at most     8 pods by turns, 1/8 of the card each
//	A100-80GB, busy 10 % (p99), 8 GiB at most    nvidia.com/mig-1g.10gb, 1/7 of the card
//	A100-80GB, busy 8 % (p99), 30 GiB at most    nvidia.com/mig-3g.40gb, 1/2 of the card
//	A100-80GB, busy 8 % (p99), 60 GiB at most    keep it whole
//
// Nobody is told to share what is shared already.
func Advise(w fleet.Workload, h *History, o Options, on Device, now time.Time) []Advice {
	c := newJudge(w, h, o, now)
	if _, held := c.gate(); held {
		return nil
	}
	var out []Advice
	if u, _ := c.gpuUse(); u != nil && !u.fine() {
		c.remember(u, on)
		out = append(out, u.advice())
	}
	return append(out, c.autoscalerAdvice()...)
}

// remember adds what is known of the card and of its memory in use; of several GPUs, only if all were measured.
func (c *judge) remember(u *gpuUse, on Device) {
	u.part, u.parts = on.Part, u.parts || on.Part
	var memory []float64
	for _, name := range u.names {
		d, hold := c.measured(name, fleet.GPUMemory, "memory of ")
		if hold != nil {
			memory = nil
			break
		}
		memory = append(memory, d.Peak)
	}
	u.know(on.Card, device(c.w.Current()), memory)
}

// smaller is what to ask for where a part of a card is more than is needed.
func (u *gpuUse) smaller() string {
	if strings.HasPrefix(u.asks, migPrefix) {
		return "ask for smaller slices"
	}
	return "ask for less of the card (a smaller slice, or more pods by turns)"
}

// know takes in the card, the resource that pods ask for and the memory in use. No GPU is spare whose memory
// the others could not hold.
func (u *gpuUse) know(card sharing.Card, asks string, memory []float64) {
	u.card, u.asks, u.memory = card, asks, memory
	if u.sized() && !u.parts {
		u.enough = max(u.enough, u.held())
	}
}

// device is the resource by which a pod asks for its GPUs, the first by name; empty: none.
func device(p fleet.PodShape) string {
	for _, e := range p.Requests().Max(p.Limits()).Extended {
		if fleet.IsGPU(e.Name) && e.Count > 0 {
			return e.Name
		}
	}
	return ""
}

// sized tells whether both card and memory are known.
func (u *gpuUse) sized() bool { return u.memory != nil && u.card.Memory > 0 }

// held is how many cards hold all the memory in use, with the margin for sharing; at most as many as there are.
func (u *gpuUse) held() int64 {
	var sum float64
	for _, m := range u.memory {
		sum += m
	}
	cards := math.Ceil(sum * (1 + sharing.DefaultOptions().MemoryMargin) / float64(u.card.Memory))
	return int64(max(1, min(cards, float64(len(u.each)))))
}

// choices is what a pod with one whole GPU, or one MIG instance, could be given; nil: it is not known.
func (u *gpuUse) choices() []sharing.Choice {
	if !u.sized() || len(u.each) != 1 || len(u.idle) > 0 {
		return nil
	}
	o := sharing.DefaultOptions()
	need := sharing.Need{Card: u.card, Duty: u.each[0].Percentile(o.Percentile), Memory: int64(math.Ceil(u.memory[0]))}
	if !u.parts {
		return need.Choices(o)
	}
	has, ok := u.card.Profile(strings.TrimPrefix(u.asks, migPrefix))
	if !ok {
		return nil
	}
	need.Duty *= float64(has.Compute) / float64(u.card.Compute) // busy of the whole card, not of the instance
	less := slices.DeleteFunc(need.Choices(o), func(c sharing.Choice) bool {
		return c.Way != sharing.MIG || c.Milli >= has.Share(u.card)
	})
	for i := range less {
		less[i].Milli = less[i].Milli * 1000 / has.Share(u.card) // of what it has
	}
	return append(less, sharing.Choice{Pods: 1, Milli: 1000})
}

const migPrefix = "nvidia.com/mig-"

// precise is what to do where card and memory are known, and the thousandths of its GPU that each pod then
// frees; false: remedy says it.
func (u *gpuUse) precise() (string, int64, bool) {
	if len(u.each) > 1 {
		return u.full()
	}
	all := u.choices()
	if all == nil {
		return "", 0, false
	}
	busy := fmt.Sprintf("its GPU busy %s, %s of its %s in use at most", percent(u.busy), fleet.FormatMemory(int64(u.memory[0])), u.card.Name)
	switch best := all[0]; best.Way {
	case sharing.MIG:
		return fmt.Sprintf("%s: ask for %s%s, of which a card holds %d", busy, migPrefix, best.Profile, best.Pods), 1000 - best.Milli, true
	case sharing.TimeSlice:
		return fmt.Sprintf("%s: let %d pods like it share a card by turns (time-slicing)", busy, best.Pods), 1000 - best.Milli, true
	}
	if u.parts {
		return busy + ": keep the slice: no smaller one holds it", 0, true
	}
	return busy + ": keep it whole: neither a smaller MIG profile nor half of a card holds it", 0, true
}

// full is why none of several GPUs can go, although they are hardly busy: their memory is in use.
func (u *gpuUse) full() (string, int64, bool) {
	n, idle := int64(len(u.each)), int64(len(u.idle))
	if !u.sized() || u.parts || idle == n {
		return "", 0, false
	}
	busy := fmt.Sprintf("%s busy %s, up to %s in use of each %s", all(n), percent(u.busy), fleet.FormatMemory(int64(slices.Max(u.memory))), u.card.Name)
	twice := 2 * slices.Max(u.memory) * (1 + sharing.DefaultOptions().MemoryMargin)
	switch {
	case idle > 0 && u.held() > n-idle:
		return fmt.Sprintf("%s: keep %s for the memory, though %s idle", busy, them(n), strings.Join(u.idle, ", ")), 0, true
	case idle == 0 && u.enough == n && twice > float64(u.card.Memory):
		return fmt.Sprintf("%s: keep %s for the memory", busy, them(n)), 0, true
	}
	return "", 0, false
}

// sharingSteps is the choices with what each takes, for people.
func (u *gpuUse) sharingSteps() []Step {
	var out []Step
	for _, c := range u.choices() {
		name := "keep"
		switch c.Way {
		case sharing.MIG:
			name = "mig-" + c.Profile
		case sharing.TimeSlice:
			name = fmt.Sprintf("time-slice, %d pods", c.Pods)
		}
		out = append(out, Step{"sharing", name, decimal(float64(c.Milli)/1000) + " of the GPU each"})
	}
	return out
}

// before is what to look at first: the memory, where it is not known; else what makes sharing unsafe.
func (u *gpuUse) before() string {
	all := u.choices()
	switch {
	case u.part:
		return gpuPart
	case u.memory != nil && u.card.Memory <= 0:
		return gpuNoCard
	case all == nil && !u.sized():
		return gpuCaveat
	case all != nil && all[0].Way == sharing.TimeSlice:
		return gpuTurns
	case all != nil && all[0].Way == sharing.MIG:
		return gpuSlices
	}
	return gpuFit
}

// What people should know before they act, by what is known.
const (
	gpuNoCard = "say which card it is (node label nvidia.com/gpu.product, or modelName of dcgm-exporter): without it nobody knows what its memory in use would fit into"
	gpuPart   = "it has a part of a card already: look at what the pods beside it use, whose work may be counted as its own"
	gpuTurns  = "set the server's own limit of GPU memory to its share first: time-slicing keeps nobody from taking all of it; and the pods wait for each other when busy at once"
	gpuSlices = "try it under load first: an instance has its part of the card's speed, and partitioning a card (nvidia-mig-manager) drains it"
	gpuFit    = "busy is the share of time in which anything ran on it: 100 % would not mean saturated"
)
