package simulator

import (
	"math"
	"time"
)

// curve is a quantity over time: a base, a daily peak with soft shoulders, another level at weekends,
// noise and growth. The zero curve is always 0.
type curve struct {
	base, peak float64
	from, to   float64 // hours of the day, UTC; to may be past 24
	weekend    float64 // share of a working day's level
	noise      float64 // standard deviation as a share of the level
	growth     float64 // a week, as a share
	bursts     float64 // share of windows that are bursts
	times      float64 // how many times the level a burst is
}

// level is the curve without noise and bursts, at t, for a fleet that began at start.
//
//	base 10, peak 30, hours 8-16:   06:00 10   09:00 20   10:00 30   14:00 30   15:00 20   16:00 10
func (c curve) level(t, start time.Time) float64 {
	v := c.base + (c.peak-c.base)*c.shape(t)
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		v *= c.weekend
	}
	return v * (1 + c.growth*t.Sub(start).Hours()/(7*24))
}

// shape is 0 outside the peak hours and 1 in their middle half; a quarter on each side is a
// raised cosine between them.
func (c curve) shape(t time.Time) float64 {
	long := c.to - c.from
	if long <= 0 {
		return 0
	}
	hour := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
	at := math.Mod(hour-c.from+24, 24) / long // share of the peak hours gone by
	switch {
	case at >= 1:
		return 0
	case at < 0.25:
		return (1 - math.Cos(at*4*math.Pi)) / 2
	case at > 0.75:
		return (1 - math.Cos((1-at)*4*math.Pi)) / 2
	}
	return 1
}

// value is the level with its noise and bursts, never negative.
func (c curve) value(t, start time.Time, d dice) float64 {
	v := c.level(t, start)
	if c.noise > 0 {
		v *= 1 + c.noise*d.normal(t, 1)
	}
	if c.bursts > 0 && d.uniform(t, 2) < c.bursts {
		v *= c.times
	}
	return max(v, 0)
}

// dice gives numbers that look random and depend only on the seed, on whom they are for and on when.
type dice uint64

func (d dice) of(name string) dice {
	h := uint64(d) ^ 0xcbf29ce484222325
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return dice(mix(h))
}

func (d dice) roll(t time.Time, salt uint64) uint64 {
	return mix(uint64(d) ^ mix(uint64(t.Unix())*8+salt))
}

// uniform is in [0, 1).
func (d dice) uniform(t time.Time, salt uint64) float64 {
	return float64(d.roll(t, salt)>>11) / (1 << 53)
}

// normal has mean 0 and standard deviation 1, and is never beyond 3.47: it is the sum of four
// uniform numbers, moved and scaled.
func (d dice) normal(t time.Time, salt uint64) float64 {
	r, sum := d.roll(t, salt), 0.0
	for range 4 {
		sum += float64(r&0xffff) / 0xffff
		r >>= 16
	}
	return (sum - 2) * math.Sqrt(3)
}

// mix is the finalizer of splitmix64: every bit of x changes about half the bits of the result.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
