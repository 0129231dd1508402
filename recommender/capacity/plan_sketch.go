package capacity

import (
	"cmp"
	"math"
)

// sketch is a rough idea of what a setting does, by a formula: it only says in which order settings are
// worth predicting. What was predicted of settings near by corrects it.
type sketch struct {
	cores float64 // of all pods
	tail  float64 // seconds, with the replicas lost that may be lost
	slow  float64 // the same at a slower pace
}

// sketch draws a setting: the tail where replicas may be lost is that of the rest.
func (p *planner) sketch(at Setting) sketch {
	at.Limit = cmp.Or(at.Limit, p.Room.Cores)
	s, less := rough(p.Service, p.Load, at), p.without(at)
	s.tail = rough(p.Service, p.Load, less).tail
	s.slow = rough(p.Service.Slower(slowBy(p.pace)), p.Load, less).tail
	return s
}

// bears is what a promise must, latencies being so many times as long. What is slow is nearer to what a pod can do at most,
// and is drawn worse.
func (s sketch) bears(times float64) borne {
	return borne{seconds(s.tail * times), seconds(s.slow * times * times)}
}

// rough takes every batch for the mean batch: as many rows as come while the first waits, or while the batch
// before computes. A request in the tail waits out the delay or until the batch is full, then stands behind
// what a queue of full batches makes of the load, and computes in a large batch.
func rough(s Service, l Load, at Setting) sketch {
	rows, most := max(1, l.Rows), float64(max(1, at.Batch))
	if s.MaxBatch > 0 {
		most = min(most, float64(s.MaxBatch))
	}
	rate, instances, slower := l.Rate*rows/float64(at.Replicas), float64(instancesOf(at)), 1.0
	if at.Limit > 0 && at.Limit < 1000 {
		slower = 1000 / float64(at.Limit)
	}
	wall := func(batch float64) float64 { return (s.Curve.Wall.At(batch) + s.perBatch()) * slower }
	wait := at.Delay.Seconds()
	if most <= 1 {
		wait = 0
	}
	mean := 1.0
	for range 20 {
		mean = min(most, max(1, 1+rate*wait, rate/instances*wall(mean)))
	}
	bursts := (1 + l.Burst*l.Burst) / 2
	used := min(0.93, rate/instances*wall(most)/most)
	queue := math.Log(100) * bursts * wall(mean) / instances * used * used / (1 - used)
	large := min(most, mean+2*math.Sqrt(2*bursts*mean))
	filled := min(wait, (most-1)/rate)
	return sketch{
		cores: l.Rate*s.Path + l.Rate*rows/mean*(s.Curve.CPU.At(mean)+s.perBatch()) + s.Idle*float64(at.Replicas),
		tail:  s.Reach + filled + wall(large) + queue,
	}
}

// instancesOf is how many batches a pod of a setting runs at once.
func instancesOf(at Setting) int {
	if at.Instances > 0 {
		return at.Instances
	}
	return max(1, int(at.Limit/1000))
}
