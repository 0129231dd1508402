package usage

import (
	"context"
	"math"
	"testing"
)

// BenchmarkBytesPerSeriesDay tells what a day of one series, read every 15 s, takes on disk once it is
// in blocks: CPU as a server uses it (noisy, no two readings alike), and a counter of requests.
func BenchmarkBytesPerSeriesDay(b *testing.B) {
	const pods, readings = 20, 24 * 3600 / 15
	for name, value := range map[string]func(pod, i int) float64{
		"cpu": func(pod, i int) float64 {
			return math.Round(1e9*(0.3+0.2*math.Sin(float64(i)/900)+0.05*math.Sin(float64(i*i*(pod+1))))) / 1e9
		},
		"requests": func(pod, i int) float64 { return float64(40*i + i*i%(37+pod)) },
		"window":   func(_, _ int) float64 { return 15 },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := OpenStore(StoreOptions{Now: clock})
				if err != nil {
					b.Fatal(err)
				}
				for i := range readings {
					var batch []reading
					for p := range pods {
						o := origin{web, string(rune('a' + p)), "main", ""}
						batch = append(batch, reading{series: o.series(name), at: sec(15*i) + int64(1000*(i%3)), value: value(p, i)})
					}
					if err := s.write(context.Background(), batch); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.db.Compact(context.Background()); err != nil {
					b.Fatal(err)
				}
				var bytes, hours float64
				for _, k := range s.db.Blocks() {
					bytes += float64(k.Size())
					hours += float64(k.MaxTime()-k.MinTime()) / 3600e3
				}
				b.ReportMetric(bytes/pods/hours*24, "B/series-day")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
