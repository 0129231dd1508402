package capacity

import "cmp"

// AutoscaleTarget is the share of its CPU request, in percent, at which a replica is to be kept by an autoscaler: what
// it uses at the most load that it answers within the SLO with the probability asked for. It is above 100 where a
// replica may use more than it requests. With Room.Redundancy, k, it is what a replica uses at (n-k)/n of that load, so
// that those which are left carry what comes when k of n are lost; n is Least, the fewest there ever are, for with more
// it is a larger part. 0: not known, or no more run than may be lost.
//
//	739m of a request of 800m at the most    n 1, k 0: 92 %    n 2, k 1: 46 %    n 4, k 1: 69 %
//	739m of a request of 100m                n 1, k 0: 739 %
func (q Question) AutoscaleTarget() int { return q.autoscaleTarget(ours()) }

func (q Question) autoscaleTarget(o advice) int {
	share := q.carried()
	if !q.Service.Curve.Known() || q.Now.CPU <= 0 || q.Load.Rate <= 0 || share <= 0 {
		return 0
	}
	most := q.mostOfOne(o)
	if most <= 0 {
		return 0
	}
	return int(100 * q.ofOne(most*share, o).Prediction.Cores * 1000 / float64(q.Now.CPU))
}

// carried is the part of the most load of a replica that each carries while none is lost.
func (q Question) carried() float64 {
	k := q.Room.Redundancy
	switch {
	case k <= 0:
		return 1
	case q.Least <= k:
		return 0
	}
	return float64(q.Least-k) / float64(q.Least)
}

// mostOfOne is the highest rate at which one replica keeps the SLO; 0: none. It is halved down between none and what
// a replica answers at all.
func (q Question) mostOfOne(o advice) float64 {
	keeps := func(rate float64) bool {
		c := q.ofOne(rate, o)
		return !c.Prediction.Full && c.Chance >= cmp.Or(q.Probability, planProbability)
	}
	low, high := 0.0, q.Load.Rate
	for range 12 {
		if !keeps(high) {
			break
		}
		low, high = high, 2*high
	}
	for range 8 {
		if middle := (low + high) / 2; keeps(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// ofOne is what was asked as one replica under a rate of its own, whatever the room: of that only what a pod without
// a limit may use counts.
func (q Question) ofOne(rate float64, o advice) Candidate {
	at := q.Now
	at.Replicas = 1
	q.Load.Peak = scaled(q.Load.Peak, rate, q.Load.Rate)
	q.Load.Rate, q.Load.Mean, q.Room = rate, rate, Room{Cores: q.Room.Cores}
	return o.try(q, at)
}
