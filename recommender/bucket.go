package recommender

import "time"

// bucket is what was measured in a stretch of time: one slot, or the slots of up to a day.
type bucket struct {
	from, to uint32  // unix seconds: start of the first sample, end of the last slot
	span     uint32  // seconds of the slots that hold anything, whole slots
	samples  uint32  // readings, of all pods
	pods     uint32  // the most pods in one slot
	weight   float32 // seconds that the sums below stand for
	peak     float32 // largest reading of any pod
	sum      float64 // hottest replica's mean × weight
	total    float64 // sum over pods of their means × weight
	hist     histogram
}

// followed is b and the later o as one.
func (b bucket) followed(o bucket, floor float64) bucket {
	sum := b.plus(o)
	sum.hist = b.hist.join(o.hist, floor)
	return sum
}

// plus is b and the later o as one, without a histogram.
func (b bucket) plus(o bucket) bucket {
	return bucket{
		from: min(b.from, o.from), to: max(b.to, o.to),
		span: b.span + o.span, samples: b.samples + o.samples, pods: max(b.pods, o.pods),
		weight: b.weight + o.weight, peak: max(b.peak, o.peak),
		sum: b.sum + o.sum, total: b.total + o.total,
	}
}

// Retention is how long a History keeps anything, counted back from the newest sample of each series.
const Retention = 35 * 24 * time.Hour

// unitAt is how finely the past is told apart, in seconds:
//
//	up to 30 min ago  minutes       up to 7 days ago   6 hours
//	up to 3 h ago     10 minutes    up to 35 days ago  days
//	up to 24 h ago    hours
func unitAt(age int64) int64 {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case age <= 30*minute:
		return minute
	case age <= 3*hour:
		return 10 * minute
	case age <= day:
		return hour
	case age <= 7*day:
		return 6 * hour
	}
	return day
}

// compact joins neighbours of the same unit (in UTC) and drops what is older than Retention. It
// reuses bs.
func compact(bs []bucket, newest int64, floor float64) []bucket {
	out := bs[:0]
	for _, b := range bs {
		age := newest - int64(b.to)
		if age > int64(Retention/time.Second) {
			continue
		}
		unit, last := unitAt(age), len(out)-1
		if last >= 0 && int64(out[last].to-1)/unit == int64(b.to-1)/unit {
			out[last] = out[last].followed(b, floor)
			continue
		}
		out = append(out, b)
	}
	clear(bs[len(out):])
	return out
}
