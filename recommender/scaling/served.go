package scaling

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

const (
	levels      = 16  // rates that are told apart, a quarter of a doubling each, the highest that were seen
	leastSeen   = 3   // windows that make a level known
	highStep    = .15 // of the latency, by which High moves
	highShare   = .95 // of the windows that are not slower than High
	oldestLevel = 28  // days after which a level without a new window is no evidence any more
)

// Served is how fast single replicas answered at how many requests per second. It holds the 16 highest levels of
// rate, 19 % each, and knows no promise: what is slow is said by whoever asks. The zero value has seen nothing.
type Served struct{ at [levels]level }

// level is the windows in which one replica answered about as many requests.
type level struct {
	Rate float32 // requests per second, the most of them
	High float32 // seconds: about 95 % of them were not slower
	N    uint32  // windows; 0: a free place
	Day  uint16  // of the newest, days since 1970
	Key  int16   // quarters of doublings of requests per second
}

// Add tells that one replica answered rate requests per second in a window at at (Unix seconds), in latency seconds
// on average. What are no amounts, and a window without requests, is left out.
func (s *Served) Add(at int64, rate, latency float64) {
	if !(rate > 0 && rate <= mostRate && latency >= 0 && latency <= 1e6) {
		return
	}
	l := s.level(int16(math.Round(4 * math.Log2(rate))))
	if l == nil {
		return
	}
	l.Rate = max(l.Rate, float32(rate))
	l.High = stepped(l.High, latency, l.N)
	l.N = min(l.N+1, math.MaxUint32-1)
	l.Day = uint16(min(max(at/86400, 0), math.MaxUint16))
}

// stepped is an estimate of a quantile after one more value, in steps of shares of itself, so that a short
// disturbance moves it little and a lasting one soon: up 14 % for a value above it, down 0.75 % for one that is not.
//
//	10 ms, then 500 ms for 5, 12, 30 windows: 19 ms, 49 ms, 500 ms
func stepped(high float32, value float64, n uint32) float32 {
	const least = 1e-6 // seconds, so that a share of it is not nothing
	switch h := max(float64(high), least); {
	case n == 0:
		return float32(max(value, least))
	case value > h:
		return float32(min(h*(1+highStep*highShare), value))
	default:
		return float32(max(h*(1-highStep*(1-highShare)), value, least))
	}
}

// level is the place for a key: its own, a free one, or that of the lowest where that is lower; nil: it is too low.
func (s *Served) level(key int16) *level {
	lowest := &s.at[0]
	for i := range s.at {
		l := &s.at[i]
		if l.N > 0 && l.Key == key {
			return l
		}
		if l.N == 0 && lowest.N > 0 || l.N > 0 && lowest.N > 0 && l.Key < lowest.Key {
			lowest = l
		}
	}
	if lowest.N > 0 && lowest.Key > key {
		return nil
	}
	*lowest = level{Key: key}
	return lowest
}

// Capacity is what one replica is known to answer in time.
type Capacity struct {
	Rate    float64       // requests per second, the most that was seen to be answered in time
	Latency time.Duration // about 95 % of the windows at that rate were not slower
	Windows int           // at that rate
	// Broken is the lowest rate above Rate at which the promise was broken; 0: nothing above was seen to break it,
	// so that the capacity is at least Rate, and how much more is not known.
	Broken float64
}

// Within is the capacity at which no more than about one window in 20 was slower than latency, on average over its
// requests, as of now (Unix seconds); false where no rate was seen to keep that in three windows of the last 28 days. What was
// slower at a lower rate had other reasons than load.
func (s *Served) Within(latency time.Duration, now int64) (Capacity, bool) {
	var c Capacity
	known := slices.Clone(s.at[:])
	slices.SortFunc(known, func(a, b level) int { return cmp.Compare(a.Key, b.Key) })
	for _, l := range known {
		switch {
		case l.N < leastSeen || now/86400-int64(l.Day) > oldestLevel:
		case l.High <= float32(latency.Seconds()):
			c = Capacity{Rate: float64(l.Rate), Latency: time.Duration(float64(l.High) * float64(time.Second)), Windows: int(l.N)}
		case c.Rate > 0 && c.Broken == 0:
			c.Broken = float64(l.Rate)
		}
	}
	return c, c.Rate > 0
}

// AppendBinary appends all that was seen, always of the same length; it has no error.
func (s *Served) AppendBinary(b []byte) ([]byte, error) {
	return binary.Append(b, binary.LittleEndian, &s.at)
}

// UnmarshalBinary puts what AppendBinary wrote in the place of what was seen. On an error nothing is changed.
func (s *Served) UnmarshalBinary(data []byte) error {
	var at [levels]level
	if n, err := binary.Decode(data, binary.LittleEndian, &at); err != nil || n != len(data) {
		return errBroken
	}
	for i, l := range at {
		twice := slices.ContainsFunc(at[:i], func(o level) bool { return o.N > 0 && o.Key == l.Key })
		if !amount(l.Rate) || !amount(l.High) || l.N > 0 && (twice || l.Rate <= 0) {
			return errBroken
		}
	}
	s.at = at
	return nil
}
