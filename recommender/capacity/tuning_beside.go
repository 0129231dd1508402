package capacity

import (
	"math"
	"slices"
)

// Beside is what a pod used beside its model in a window.
type Beside struct {
	Rate    float64 `json:"rate"`              // requests a second that came to it
	Batches float64 `json:"batches,omitempty"` // batches a second that it computed; 0: their usual share is not in Cores
	Woken   float64 `json:"woken,omitempty"`   // of them, that a timer began, as far as was predicted
	Cores   float64 `json:"cores"`             // used by it, without what its batches took in the model
	Memory  int64   `json:"memory,omitempty"`  // bytes that it held, the most of what was seen; 0: not known
}

// What is believed of a server before it has shown how its CPU beside the model goes with its requests and batches: the
// middle and how far off it may be. A window is believed within a tenth.
const (
	pathUsual, pathOff   = 200e-6, 300e-6  // CPU seconds of a request
	batchUsual, batchOff = PerBatch, 60e-6 // CPU seconds of a batch
	wakeUsual, wakeOff   = 50e-6, 60e-6    // CPU seconds that one takes more which a timer begins
	idleUsual, idleOff   = 0.005, 0.03     // cores of a pod
	windowOff            = 0.1             // of what it shows
	leastPerBatch        = 1e-6
	keptBesides          = 16
)

// beside is what a window shows; false: nothing came, or the pods are not known.
func (e Evidence) beside() (Beside, bool) {
	w := e.Window
	pods := float64(w.Replicas)
	if pods < 1 || w.Elapsed <= 0 || w.Requests() == 0 {
		return Beside{}, false
	}
	return Beside{
		Rate: w.Rate() / pods, Batches: perSecond(float64(w.Batches), w.Elapsed) / pods,
		Cores: perSecond(max(0, w.CPUSeconds-w.Compute), w.Elapsed) / pods, Memory: w.Memory / int64(w.Replicas),
	}, true
}

// noted is a list with one more, the newest last.
func noted(all []Beside, b Beside) []Beside {
	return last(append(slices.Clone(all), b), keptBesides)
}

// Costs is what a pod uses beside its model.
type Costs struct {
	Path  float64 // CPU seconds of a request
	Batch float64 // of a batch
	Wake  float64 // that one takes more which a timer begins: threads sleep then, and caches are cold
	Idle  float64 // cores that it uses anyway: probes, scrapes, looking at files
}

// CostsOf tells what of the CPU beside the model goes with the requests, with the batches, with waiting for others, and
// with nothing. One window cannot tell them apart, so that what is usual decides; windows of other rates and sizes of
// batches do. It is least squares with the beliefs as more windows, and no number is below 0. Where no timer begins a batch:
//
//	windows                                      path     batch   idle
//	none                                         200 us   30 us   5m
//	25 a second use 37.5m                        263 us   30 us   30m: 1.5 ms of each would be unusual
//	50 a second use 15m, and 200 a second 30m    102 us   30 us   9.8m: nearly 100 us of each and 10m
//	200 a second in 200 batches use 50m, and     142 us   93 us   2.1m: one rate does not tell path from idle
//	in 20 batches 32m, both four times
//
// And where timers begin what is not a row alone:
//
//	1,000 a second in as many batches use 0.195, path 167 us, batch 25 us, wake 65 us, idle 4.7m
//	480 of them woken 0.221, 130 woken 0.182
func CostsOf(all []Beside) Costs {
	usual, off := unknowns{pathUsual, batchUsual, wakeUsual, idleUsual}, unknowns{pathOff, batchOff, wakeOff, idleOff}
	var n normal
	for k := range usual {
		var row unknowns
		row[k] = 1
		n.add(row, usual[k], off[k])
	}
	for _, w := range all {
		n.add(unknowns{w.Rate, w.Batches, w.Woken, 1}, w.Cores, windowOff*w.Cores+1e-3)
	}
	x := n.atLeastZero(off)
	if math.IsNaN(x[0] + x[1] + x[2] + x[3]) {
		x = usual
	}
	return Costs{x[0], x[1], x[2], x[3]}
}

// unknowns are a request's path, a batch, a wake and what is idle.
type unknowns [4]float64

// normal are the normal equations of their least squares.
type normal struct {
	a [4]unknowns
	b unknowns
}

// add adds one equation, which is believed within off.
func (n *normal) add(row unknowns, sum, off float64) {
	weight := 1 / (off * off)
	for i := range row {
		for j := range row {
			n.a[i][j] += weight * row[i] * row[j]
		}
		n.b[i] += weight * row[i] * sum
	}
}

// atLeastZero is the solution; what would be below 0 is 0, that first which is lowest in units of off, and the others are
// solved anew.
func (n *normal) atLeastZero(off unknowns) unknowns {
	free := *n
	for {
		x := free.solve()
		k := 0
		for i := range x {
			if x[i]/off[i] < x[k]/off[k] {
				k = i
			}
		}
		if !(x[k] < 0) {
			return x
		}
		for i := range x {
			free.a[i][k], free.a[k][i] = 0, 0
		}
		free.a[k][k], free.b[k] = 1, 0
	}
}

// solve eliminates without exchanging rows, which a matrix of squares does not need.
func (n normal) solve() (x unknowns) {
	for i := range x {
		for j := i + 1; j < len(x); j++ {
			by := n.a[j][i] / n.a[i][i]
			for k := i; k < len(x); k++ {
				n.a[j][k] -= by * n.a[i][k]
			}
			n.b[j] -= by * n.b[i]
		}
	}
	for i := len(x) - 1; i >= 0; i-- {
		x[i] = n.b[i]
		for k := i + 1; k < len(x); k++ {
			x[i] -= n.a[i][k] * x[k]
		}
		x[i] /= n.a[i][i]
	}
	return x
}

// service is what answering costs, by the curve as it is now and what windows have shown. Memory is the most that a pod was
// seen to hold in any of them: one that is asked for less is killed.
func (s State) service(e Evidence) Service {
	out := Service{MaxBatch: e.MaxBatch, Processors: e.Processors}.Follows(e.Curve)
	if e.Window.Replicas > 0 {
		out.Memory = e.Window.Memory / int64(e.Window.Replicas)
	}
	for _, b := range s.Beside {
		out.Memory = max(out.Memory, b.Memory)
	}
	c := CostsOf(s.Beside)
	out.Path, out.PerWake, out.Idle = c.Path, c.Wake, c.Idle
	out.PerBatch = max(c.Batch, leastPerBatch) // 0 says that it is not known
	return out
}
