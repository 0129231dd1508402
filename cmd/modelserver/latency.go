package main

import (
	"math"
	"math/bits"
	"time"
)

// latencies counts durations in buckets of at most 1/32 of their value, from 1 µs to hours, so that
// a quantile is at most that much too high. (The layout is HdrHistogram's.)
type latencies struct {
	count [34 * 32]int
	n     int
	max   time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.count[bucketOf(d)]++
	l.n++
	l.max = max(l.max, d)
}

// bucketOf: below 32 µs a bucket a microsecond; then 32 buckets for each doubling.
//
//	31 µs  31        64 µs  64    128 µs  96
//	32 µs  32        65 µs  64    131 µs  96
//	63 µs  63        66 µs  65    132 µs  97
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	us = min(us, 1<<37-1)
	if us < 32 {
		return int(us)
	}
	shift := bits.Len64(us) - 6
	return shift*32 + int(us>>shift)
}

// top is the greatest duration of bucket b.
func top(b int) time.Duration {
	if b < 64 {
		return time.Duration(b+1)*time.Microsecond - 1
	}
	shift := b/32 - 1
	return time.Duration((b-shift*32+1)<<shift)*time.Microsecond - 1
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
