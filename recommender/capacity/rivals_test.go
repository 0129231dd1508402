package capacity

import "math"

// mdOneP99 is the p99 of the latency where each request is computed alone by one server to which they come at
// random (M/D/1), as planners have it that know no batches: what a batch of one takes, and a wait with the mean
// load/(2(1-load)) services, exponential where there is one. Beyond a load of 1 it is without end.
func mdOneP99(p pod) float64 {
	rate := p.stream.rate / float64(p.instances) * p.stream.rows
	takes := p.wall(1)
	load := rate * takes
	if load >= 1 {
		return math.Inf(1)
	}
	wait := load / (2 * (1 - load)) * takes
	if load <= 0.01 {
		return takes + p.beside()
	}
	return takes + p.beside() + wait/load*math.Log(load/0.01)
}

// meanValueP99 is the p99 from means, as planners of batched servers have it: the mean batch is what comes while a
// batch is awaited and computed, up to the limit; the queue before it is one of exponential times (M/M/1) at the
// rate of batches of that size; and the wait, as if it were exponential, has a 99th percentile of its mean times ln 100.
func meanValueP99(p pod) float64 {
	rate := p.stream.rate * p.stream.rows / float64(p.instances)
	size := 1.0
	for range 200 {
		next := min(float64(p.batch), max(1, rate*(p.delay.Seconds()+p.service.Curve.Wall.At(size)*p.spread+PerBatch)))
		size = (size + next) / 2
	}
	takes := p.service.Curve.Wall.At(size)*p.spread + PerBatch
	load := rate / size * takes
	if load >= 1 {
		return math.Inf(1)
	}
	fill := min(p.delay.Seconds(), (size-1)/max(rate, 1e-9)) / 2
	return takes + (fill+load/(1-load)*takes)*math.Log(100) + p.beside()
}
