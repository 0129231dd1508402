package cost

import "trimtab.dev/trimtab/optimizer/fleet"

// A machine's price is one number; CPU, memory and GPUs share it by OpenCost's published method
// (its specification, appendix A): the default rates below give the ratio, scaled so that the
// shares add up to the price.
//
//	a machine of 1 core, 1 GiB and 1 GPU at 0.985848 $/h: 0.031611 + 0.004237 + 0.95
//	the same at twice that price: 0.063222 + 0.008474 + 1.90
const (
	coreRate = 31_611  // millionths of a dollar per core and hour
	gibRate  = 4_237   // per GiB and hour
	gpuRate  = 950_000 // per GPU and hour
)

// Shares is the price of a node an hour, split by what it offers; the parts add up to it exactly.
type Shares struct {
	CPU    Money `json:"cpu"`
	Memory Money `json:"memory"`
	GPU    Money `json:"gpu"`
}

// Split is the node's price an hour in shares; false where it has no price.
func (p Prices) Split(n fleet.Node) (Shares, bool) {
	m, ok := p.machine(n)
	if !ok {
		return Shares{}, false
	}
	w := m.offer
	s := Shares{CPU: m.hourly.Times(w.cpu, w.sum()), GPU: m.hourly.Times(w.gpu, w.sum())}
	s.Memory = m.hourly - s.CPU - s.GPU
	return s, true
}

// machine is a node as a price list sees it.
type machine struct {
	hourly  Money
	offer   weights
	devices int64 // GPUs as the node counts them, which for slices and shared GPUs is more than it has
}

// weights is what default rates would charge, in 1000 × 2^20 parts of a millionth of a dollar an
// hour, so that whole thousandths of a core and whole KiB are exact. 192 cores, 2 TiB and 8 GPUs
// are 2.4e16 of the 9.2e18 that fit.
type weights struct{ cpu, memory, gpu int64 }

func (w weights) sum() int64 { return w.cpu + w.memory + w.gpu }

func weigh(milliCPU, memory, gpus int64) weights {
	return weights{
		cpu:    milliCPU * coreRate << 20,
		memory: memory >> 10 * gibRate * 1000,
		gpu:    gpus * gpuRate * 1000 << 20,
	}
}

// machine finds the node's price and size: the size in the row, or else what the node can hand out.
func (p Prices) machine(n fleet.Node) (machine, bool) {
	r, ok := p.Find(n.InstanceType, n.Region, n.Capacity)
	if !ok || n.InstanceType == "" {
		return machine{}, false
	}
	a := n.Allocatable
	m := machine{hourly: r.Hourly, offer: weigh(r.MilliCPU, r.Memory, r.GPUs), devices: max(a.GPUs(), r.GPUs)}
	if r.MilliCPU == 0 || r.Memory == 0 {
		m.offer, m.devices = weigh(a.MilliCPU, a.Memory, a.GPUs()), a.GPUs()
	}
	return m, m.offer.sum() > 0
}

// charge is what a pod that asks for r pays over a number of hours: its part of every share.
// One slice of a GPU pays for its part of the machine's GPUs, not for a whole one.
func (m machine) charge(r fleet.Resources, hours int64) Money {
	w := weigh(r.MilliCPU, r.Memory, 0)
	if m.devices > 0 {
		w.gpu = int64(Money(m.offer.gpu).Times(r.GPUs(), m.devices))
	}
	return (m.hourly * Money(hours)).Times(w.sum(), m.offer.sum())
}
