package main

import (
	"maps"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// source is where the curve of a service comes from.
type source uint8

const (
	byWindows source = iota // of its load: the line through their means
	byServer                // which published it in the last look, as the daemon reads it
)

// knowledge is what is known of a sweep's servers before the windows of a repeat.
type knowledge struct {
	usual    standard
	services []capacity.Service     // of each scenario, on a core of the usual pace
	records  []capacity.Calibration // of each scenario: how the looks' own windows were predicted, at the usual pace
}

// known is what the looks from one on say together, to before another, and of all windows before the last of these the
// core's pace alone.
func (s survey) known(from, to int, by source) knowledge {
	k := knowledge{s.usual(to), make([]capacity.Service, len(s.Sweep)), make([]capacity.Calibration, len(s.Sweep))}
	for i, of := range s.Sweep {
		var looks []lesson
		for _, r := range s.Rounds[from:to] {
			looks = append(looks, r.Looks[i])
		}
		k.services[i] = s.service(of, looks, k.usual, by)
		for _, l := range looks {
			k.records[i] = s.recorded(k.records[i], k.of(i, 1), of, l)
		}
	}
	return k
}

// recorded is a record with how a look's windows were predicted.
func (s survey) recorded(record capacity.Calibration, known capacity.Service, of scenario, look lesson) capacity.Calibration {
	for j, p := range s.Places {
		w, load, at := look.Windows[j], p.of(of), p.setting()
		said := capacity.Predict(known, load.load(), at, of.promise())
		if said.Full {
			continue // its latency is a matter of how long the window is
		}
		record = record.Add(capacity.Pair{
			Setting: at, Rate: load.Rate, Predicted: said.P99.Value, Realised: time.Duration(1e9 * w.P99),
			Cores: [2]float64{said.Cores, w.CPU / w.Seconds},
			Steep: steep(said, known, load.load(), at),
		})
	}
	return record
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
	return onCore(k.services[scenario].Slower(slow))
}

// onCore is a service on a core of its own: no more than one of its threads runs at once.
func onCore(s capacity.Service) capacity.Service {
	s.Processors = 1
	return s
}
