package main

import (
	"math"
	"math/bits"
	"time"
)

// steps is how many buckets latencies has for each doubling of a duration.
const steps = 128

// latencies counts durations in buckets of at most 1/128 of their value, from 1 µs to hours, so that
// a quantile is at most that much too high. (The layout is HdrHistogram's.)
type latencies struct {
	count [31 * steps]int
	n     int
	max   time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.count[bucketOf(d)]++
	l.n++
	l.max = max(l.max, d)
}

// bucketOf: below 128 µs a bucket a microsecond; then 128 buckets for each doubling.
//
//	127 µs  127        256 µs  256    512 µs  384
//	128 µs  128        257 µs  256    515 µs  384
//	255 µs  255        258 µs  257    516 µs  385
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	us = min(us, 1<<37-1)
	if us < steps {
		return int(us)
	}
	shift := bits.Len64(us/steps) - 1
	return shift*steps + int(us>>shift)
}

// top is the greatest duration of bucket b.
func top(b int) time.Duration {
	if b < 2*steps {
		return time.Duration(b+1)*time.Microsecond - 1
	}
	shift := b/steps - 1
	return time.Duration((b-shift*steps+1)<<shift)*time.Microsecond - 1
}

// quantile is the duration that share q of all are not above; false when there are none.
func (l *latencies) quantile(q float64) (time.Duration, bool) {
	if l.n == 0 {
		return 0, false
	}
	rank, seen := int(math.Ceil(q*float64(l.n))), 0
	for b, c := range l.count {
		if seen += c; seen >= rank && seen > 0 {
			return min(top(b), l.max), true
		}
	}
	return l.max, true
}
