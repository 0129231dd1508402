package sizing

import (
	"math"
	"testing"
)

// hourly is a day's use with a peak in the morning.
func hourly(at int64) float64 {
	if h := at / 3600 % 24; h >= 9 && h < 11 {
		return 2 + 0.1*math.Sin(float64(at))
	}
	return 0.2 + 0.02*math.Sin(float64(at))
}

func BenchmarkDay(b *testing.B) {
	p := NewPlanner(Options{Floor: 0.01})
	var t Track
	at := int64(1_700_000_000)
	for range 28 * 1440 {
		p.Request(&t, at)
		p.Add(&t, at, hourly(at), false)
		at += 60
	}
	b.ResetTimer()
	for b.Loop() {
		for range 1440 {
			p.Request(&t, at)
			p.Add(&t, at, hourly(at), false)
			at += 60
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1440, "ns/minute")
}
