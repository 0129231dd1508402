package main

import (
	"maps"
	"math"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// knowledge is what is known of a sweep's servers before the windows of a repeat.
type knowledge struct {
	usual    standard
	services [][]capacity.Service   // of each scenario, by each look at it, on a core of the usual pace
	records  []capacity.Calibration // of each scenario: how the looks' own windows were predicted, at the usual pace
}

// known is what the looks from one on say, to before another, and of all windows before the last of these the core's pace alone.
func (s survey) known(from, to int) knowledge {
	k := knowledge{s.usual(to), make([][]capacity.Service, len(s.Sweep)), make([]capacity.Calibration, len(s.Sweep))}
	for _, r := range s.Rounds[from:to] {
		for i, of := range s.Sweep {
			one := s.service(of, r.Looks[i], k.usual)
			k.services[i] = append(k.services[i], one)
			for j, p := range s.Places {
				w, load := r.Looks[i].Windows[j], p.of(of)
				said := capacity.Predict(onCore(one), load.load(), p.setting(), of.promise())
				if said.Full {
					continue // its latency is a matter of how long the window is
				}
				k.records[i] = k.records[i].Add(capacity.Pair{
					Setting: p.setting(), Rate: load.Rate, Predicted: said.P99.Value, Realised: time.Duration(1e9 * w.P99),
					Cores: [2]float64{said.Cores, w.CPU / w.Seconds},
					Steep: steep(said, onCore(one), load.load(), p.setting()),
				})
			}
		}
	}
	return k
}

// steep is by how many percent a predicted p99 rises where computing takes 1 % longer.
func steep(said capacity.Prediction, s capacity.Service, l capacity.Load, at capacity.Setting) float64 {
	return capacity.SlowedBy(1.05, s, l, at, fleet.SLO{Percentile: 0.99}).Steep(said.P99.Value)
}

// usual is the core's usual pace by so many looks and the windows before the last of them.
func (s survey) usual(looks int) standard {
	all := []pace{s.Rest.Air.During}
	for _, model := range slices.Sorted(maps.Keys(s.Classes)) {
		all = append(all, s.Classes[model].Light.Air.During)
	}
	for i, r := range s.Rounds[:looks] {
		for _, l := range r.Looks {
			all = append(all, pacesOf(l.Windows)...)
		}
		if i < looks-1 {
			all = append(all, pacesOf(r.Windows)...)
		}
	}
	return standardOf(all)
}

// of is what is known of a scenario, on a core so many times as slow as usual.
func (k knowledge) of(scenario int, slow float64) capacity.Service {
	return onCore(learnt(k.services[scenario]).Slower(slow))
}

// learnt is what all calibrations until now say together: the curve of the one whose curve is in the middle, and the
// medians of all other numbers.
func learnt(all []capacity.Service) capacity.Service {
	s := all[middleCurve(all)]
	median := func(of func(capacity.Service) float64) float64 {
		var x []float64
		for _, one := range all {
			x = append(x, of(one))
		}
		m, _ := summary(x)
		return m
	}
	s.Published = all[len(all)-1].Published // by the server that runs now
	s.Path = median(func(s capacity.Service) float64 { return s.Path })
	s.PerBatch = median(func(s capacity.Service) float64 { return s.PerBatch })
	s.Reach = median(func(s capacity.Service) float64 { return s.Reach })
	s.Curve.Error = median(func(s capacity.Service) float64 { return s.Curve.Error })
	s.Curve.Spread.P10 = median(func(s capacity.Service) float64 { return s.Curve.Spread.P10 })
	s.Curve.Spread.P50 = median(func(s capacity.Service) float64 { return s.Curve.Spread.P50 })
	s.Curve.Spread.P90 = median(func(s capacity.Service) float64 { return s.Curve.Spread.P90 })
	s.Curve.Spread.P99 = median(func(s capacity.Service) float64 { return s.Curve.Spread.P99 })
	return s
}

// middleCurve is the place of the service whose wall curve is nearest to all others', the newest of equals.
func middleCurve(all []capacity.Service) int {
	best, least := 0, math.Inf(1)
	for i := range all {
		sum := 0.0
		for j := range all {
			for _, rows := range []float64{1, 2, 4, 8, 16} {
				sum += math.Abs(math.Log(all[i].Curve.Wall.At(rows) / all[j].Curve.Wall.At(rows)))
			}
		}
		if sum <= least {
			best, least = i, sum
		}
	}
	return best
}

// onCore is a service on a core of its own: no more than one of its threads runs at once.
func onCore(s capacity.Service) capacity.Service {
	s.Processors = 1
	return s
}
