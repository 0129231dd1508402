package recommender

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// peakOf is the largest reading.
func peakOf(rs []reading) (peak float32) {
	for _, r := range rs {
		peak = max(peak, r.peak)
	}
	return peak
}

// summary is the bucket of one slot's readings without its histogram, and the readings of the hottest pod, of which
// that is made. It may reorder them.
func summary(in []reading, s slot) (b bucket, hot []reading) {
	slices.SortFunc(in, func(a, b reading) int {
		return cmp.Or(cmp.Compare(a.pod, b.pod), cmp.Compare(a.at, b.at))
	})
	b = bucket{span: uint32(s.length / int64(time.Second))}
	first, last, hottest := in[0].at-in[0].lasted(), in[0].at, math.Inf(-1)
	for i, j := 0, 0; i < len(in); i = j {
		for j = i; j < len(in) && in[j].pod == in[i].pod; j++ {
			first, last = min(first, in[j].at-in[j].lasted()), max(last, in[j].at)
			b.samples += uint32(in[j].n)
			b.peak = max(b.peak, in[j].peak)
		}
		mean := meanOf(in[i:j])
		b.pods++
		b.total += mean
		if mean > hottest {
			hottest, hot = mean, in[i:j]
		}
	}
	weight := float64(min(last-first, s.length)) / float64(time.Second)
	b.weight = float32(max(weight, 1))
	b.sum, b.total = hottest*float64(b.weight), b.total*float64(b.weight)
	b.even = b.total / float64(b.pods)
	b.from = uint32(first / int64(time.Second))
	b.to = uint32(s.end / int64(time.Second))
	return b, hot
}

// share is the reading's part in its pod's slot; an instant counts as a second.
func (r reading) share() float64 { return max(float64(r.window)/1000, 1) }

// meanOf is the mean of one pod's readings, each for as long as its window.
func meanOf(rs []reading) float64 {
	var sum, weight float64
	for _, r := range rs {
		sum += float64(r.mean) * r.share()
		weight += r.share()
	}
	return sum / weight
}

// cellsOf is the histogram of one pod's readings, with the given weight in all.
func cellsOf(rs []reading, weight, floor float64) histogram {
	var sum float64
	for _, r := range rs {
		sum += r.share()
	}
	cells := make([]cell, 0, len(rs))
	for _, r := range rs {
		cells = append(cells, cellOf(r.mean, float32(weight*r.share()/sum), floor))
	}
	return newHistogram(cells)
}
