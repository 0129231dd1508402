package main

import (
	"math"

	"trimtab.dev/trimtab/recommender/replay"
)

// The series below are made by formula, so that the comparison needs no data of
// others: 6 weeks of 5-minute samples in whole millicores or whole MiB, the
// amounts that the autoscaler itself keeps.
const (
	start   = 1_700_000_000
	step    = 300
	samples = 6 * 7 * 86400 / step
)

// ripple is a number in [0, 1) that depends on its arguments alone.
func ripple(i, seed int) float64 {
	x := uint64(i)*0x9E3779B97F4A7C15 + uint64(seed)*0xBF58476D1CE4E5B9
	x ^= x >> 30
	x *= 0xBF58476D1CE4E5B9
	x ^= x >> 27
	x *= 0x94D049BB133111EB
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

// businessHours says whether sample i lies in nine hours of a weekday.
func businessHours(i int) bool {
	hour := i * step / 3600 % 168
	return hour < 120 && hour%24 >= 8 && hour%24 < 17
}

// shapes are the use of each synthetic series at sample i, in cores of CPU; for
// memory the same shapes are taken as GiB.
func shapes() map[string]func(i int) float64 {
	return map[string]func(i int) float64{
		"flat": func(i int) float64 { return 0.4 + 0.05*ripple(i, 1) },
		"business-hours": func(i int) float64 {
			if businessHours(i) {
				return 1.8 + 0.3*ripple(i, 2)
			}
			return 0.1 + 0.02*ripple(i, 3)
		},
		"spikes": func(i int) float64 {
			if ripple(i, 4) < 0.02 {
				return 2 + 3*ripple(i, 5)
			}
			return 0.2 + 0.1*ripple(i, 6)
		},
		"level-shift": func(i int) float64 {
			if i > samples/2 {
				return 1.5 + 0.4*ripple(i, 7)
			}
			return 0.3 + 0.1*ripple(i, 8)
		},
		"two-hour-peak": func(i int) float64 {
			if i*step/3600%24 < 2 {
				return 2
			}
			return 0.2
		},
		"growth": func(i int) float64 { return 0.2 + 1.2*float64(i)/samples + 0.3*ripple(i, 9) },
		"tiny":   func(i int) float64 { return 0.001 + 0.004*ripple(i, 10) },
		"wave":   func(i int) float64 { return 1 + 0.8*math.Sin(2*math.Pi*float64(i)*step/86400) + 0.2*ripple(i, 11) },
	}
}

// synthetic is the named shape as a series of a unit. Every 97th sample is left
// out, and one whole day, as real series have gaps.
func synthetic(name, unit string) replay.Series {
	s := replay.Series{ID: name, Class: "synthetic", Unit: unit, Floor: replay.CoresFloor}
	if unit == replay.Bytes {
		s.Floor = replay.BytesFloor
	}
	at := shapes()[name]
	for i := range samples {
		if i%97 == 96 || (i >= 20*288 && i < 21*288) {
			continue
		}
		s.At = append(s.At, start+int64(i)*step)
		s.Used = append(s.Used, whole(at(i), unit))
	}
	return s
}

// whole rounds cores to millicores, and GiB to bytes in whole MiB.
func whole(v float64, unit string) float64 {
	if unit == replay.Bytes {
		return math.Round(v*1024) * replay.MiB
	}
	return math.Round(v*1000) / 1000
}
