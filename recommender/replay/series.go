package replay

import (
	"slices"
	"time"
)

// The units of a Series.
const (
	Cores = "cores"
	Bytes = "bytes"
)

// MiB is the bytes of one mebibyte.
const MiB = 1 << 20

// The least requests that any rule gives: KRR's, 10 m and 100 MB (robusta-dev/krr, strategy settings).
const (
	CoresFloor = 0.010
	BytesFloor = 95.4 * MiB
)

// day is in seconds, as every time here.
const day = 86400

// Series is the use of one container, or of one machine that stands in for it, over time.
type Series struct {
	ID, Class string
	Unit      string    // Cores or Bytes
	Granted   float64   // what it was provisioned with, in Unit; 0: unknown
	Floor     float64   // the least request any rule may give, in Unit
	At        []int64   // unix seconds, strictly ascending
	Used      []float64 // of the same length, in Unit; finite and not negative
}

// Step is the usual time between two samples: the median of the gaps, 0 with fewer than two samples.
func (s Series) Step() time.Duration {
	if len(s.At) < 2 {
		return 0
	}
	gaps := make([]int64, len(s.At)-1)
	for i := range gaps {
		gaps[i] = s.At[i+1] - s.At[i]
	}
	slices.Sort(gaps)
	return time.Duration(gaps[len(gaps)/2]) * time.Second
}

// Mean is the mean use, in Unit; 0 without samples.
func (s Series) Mean() float64 {
	if len(s.Used) == 0 {
		return 0
	}
	sum := 0.0
	for _, u := range s.Used {
		sum += u
	}
	return sum / float64(len(s.Used))
}
