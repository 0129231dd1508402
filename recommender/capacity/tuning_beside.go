package capacity

import (
	"math"
	"slices"
)

// Beside is what a pod used beside its model in a window.
type Beside struct {
	Rate  float64 `json:"rate"`  // requests a second that came to it
	Cores float64 `json:"cores"` // used by it, without its batches
}

// What is believed of a server before it has shown how its CPU beside the model goes with its rate: the middle
// and how far off it may be. A window is believed within a tenth.
const (
	pathUsual, pathOff = 200e-6, 300e-6 // CPU seconds of a request
	idleUsual, idleOff = 0.005, 0.03    // cores of a pod
	windowOff          = 0.1            // of what it shows
	keptBesides        = 16
)

// beside is what a window shows; false: nothing came, or the pods are not known.
func (e Evidence) beside() (Beside, bool) {
	w := e.Window
	pods := float64(w.Replicas)
	if pods < 1 || w.Elapsed <= 0 || w.Requests() == 0 {
		return Beside{}, false
	}
	cpu := max(0, w.CPUSeconds-w.Compute-PerBatch*float64(w.Batches))
	return Beside{w.Rate() / pods, perSecond(cpu, w.Elapsed) / pods}, true
}

// noted is a list with one more, the newest last.
func noted(all []Beside, b Beside) []Beside {
	return last(append(slices.Clone(all), b), keptBesides)
}

// split tells what of the CPU beside the model goes with the requests and what a pod uses anyway: probes,
// scrapes, looking at files. One window cannot tell them apart, so that what is usual decides; windows of other
// rates do. It is least squares with both beliefs as two more windows, and neither number is below 0.
//
//	windows                                    path     idle
//	none                                       200 us   5m
//	25 a second use 37.5m                      263 us   30m: 1.5 ms of each would be unusual
//	50 a second use 15m, and 200 a second 30m  102 us   9.8m: nearly 100 us of each and 10m
//	20 a second use 60m, and 40 a second 120m  700 us   54m
//	and the same again, and 80 a second 240m   1.46 ms  40m: it comes to be believed
func split(all []Beside) (path, idle float64) {
	a := [3]float64{1 / (pathOff * pathOff), 0, 1 / (idleOff * idleOff)} // of path², path·idle, idle²
	b := [2]float64{pathUsual * a[0], idleUsual * a[2]}
	for _, w := range all {
		off := windowOff*w.Cores + 1e-3
		weight := 1 / (off * off)
		a[0] += weight * w.Rate * w.Rate
		a[1] += weight * w.Rate
		a[2] += weight
		b[0] += weight * w.Rate * w.Cores
		b[1] += weight * w.Cores
	}
	determinant := a[0]*a[2] - a[1]*a[1]
	path = (b[0]*a[2] - b[1]*a[1]) / determinant
	idle = (b[1]*a[0] - b[0]*a[1]) / determinant
	switch {
	case math.IsNaN(path) || math.IsNaN(idle):
		return pathUsual, idleUsual
	case idle < 0:
		return max(0, b[0]/a[0]), 0
	case path < 0:
		return 0, max(0, b[1]/a[2])
	}
	return path, idle
}

// service is what answering costs, by the curve as it is now and what windows have shown.
func (s State) service(e Evidence) Service {
	out := Service{Curve: e.Curve, MaxBatch: e.MaxBatch, Processors: e.Processors}
	if e.Window.Replicas > 0 {
		out.Memory = e.Window.Memory / int64(e.Window.Replicas)
	}
	out.Path, out.Idle = split(s.Beside)
	return out
}
