package main

import (
	"fmt"
	"os"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// scenario is one load on one model, with its promise. Every setting of the grid is run under it.
type scenario struct {
	Model  string        `json:"model"`
	JSON   bool          `json:"json"`   // bodies
	Rate   float64       `json:"rate"`   // requests a second
	Burst  float64       `json:"burst"`  // coefficient of variation of the gaps: 0 even, 1 Poisson
	SLO    time.Duration `json:"slo"`    // at p99
	Window time.Duration `json:"window"` // so long that about 10 requests or more are beyond p99, and 36 where they come in bursts
}

// place is one point of the grid. Batches of one row wait for nobody: they are run with one delay only.
type place struct {
	Batch int           `json:"batch"`
	Delay time.Duration `json:"delay"`
	Cores float64       `json:"cores"` // CPU limit, by quota; 1: none, it is all of the one core that a server runs on
}

// scenarios are what the sweep runs: a dense model, one whose curve is a hinge, trees, and a convolutional
// one that saves little by batching; from a tenth to three quarters of what one core answers unbatched. Those of
// the same model are no neighbours.
func scenarios(quick bool) []scenario {
	const ms = time.Millisecond
	all := []scenario{
		{Model: "mlp-large", Rate: 240, Burst: 1, SLO: 20 * ms, Window: 4500 * ms},
		{Model: "mlp-mid", Rate: 1200, Burst: 2, SLO: 10 * ms, Window: 3000 * ms},
		{Model: "mlp-large", Rate: 350, Burst: 0, SLO: 10 * ms, Window: 2500 * ms},
		{Model: "trees-500x6", JSON: true, Rate: 1000, Burst: 1, SLO: 5 * ms, Window: 2500 * ms},
		{Model: "cnn-small", Rate: 1500, Burst: 1, SLO: 10 * ms, Window: 2500 * ms},
	}
	if !quick {
		return all
	}
	for i := range all {
		all[i].Window = time.Second
	}
	return all[:2]
}

// grid is every setting that is run, batches before delays before cores. A server has one core of its own, of which
// it may use all, three quarters or a half; no core is shared with the client.
func grid() []place {
	const ms = time.Millisecond
	var all []place
	for _, batch := range []int{1, 8, 64} {
		for _, delay := range []time.Duration{1 * ms, 4 * ms, 12 * ms} {
			if batch == 1 && delay > 1*ms {
				continue
			}
			for _, cores := range []float64{0.5, 0.75, 1} {
				all = append(all, place{batch, delay, cores})
			}
		}
	}
	return all
}

// setting is the place as the capacity model calls it.
func (p place) setting() capacity.Setting {
	at := capacity.Setting{Batch: p.Batch, Delay: p.Delay, Replicas: 1, CPU: int64(1000 * p.Cores), Instances: 1}
	if p.limited() {
		at.Limit = at.CPU
	}
	return at
}

// limited tells whether the kernel's quota bounds the place, and not the core.
func (p place) limited() bool { return p.Cores < 1 }

func (s scenario) load() capacity.Load {
	return capacity.Load{Rate: s.Rate, Mean: s.Rate, Burst: s.Burst, Rows: 1}
}

func (s scenario) promise() fleet.SLO { return fleet.SLO{Latency: s.SLO, Percentile: 0.99} }

// outcome is what one combination did: the medians of its windows that count.
type outcome struct {
	scenario
	place
	P50        float64   `json:"p50_s"`
	P99        float64   `json:"p99_s"`
	Used       float64   `json:"used_cores"`          // on a core of the usual pace
	AsRun      float64   `json:"cores_as_run"`        // at the pace that the core had
	Memory     float64   `json:"memory_bytes"`        // that the server held after a window
	MeanBatch  float64   `json:"mean_batch"`          // rows
	PerBatch   float64   `json:"model_cpu_s"`         // CPU of the model for each batch
	PerRequest float64   `json:"beside_cpu_s"`        // CPU beside the model for each request
	Seconds    float64   `json:"seconds"`             // of a window
	Late       float64   `json:"late_s"`              // p99 of how late the client sent
	Bad        float64   `json:"bad_share"`           // of requests, without an answer
	P99s       []float64 `json:"window_p99s_s"`       // of each window
	Uses       []float64 `json:"window_cores"`        // as Used
	Runs       []float64 `json:"window_cores_as_run"` // as AsRun
	Counts     []bool    `json:"window_counts"`       // whether the medians are of it too; none: all are
}

// counts tells whether window k does.
func (o outcome) counts(k int) bool { return len(o.Counts) == 0 || o.Counts[k] }

// slowest is the highest p99 of a window that counts.
func (o outcome) slowest() (most float64) {
	for k, p99 := range o.P99s {
		if o.counts(k) {
			most = max(most, p99)
		}
	}
	return most
}

// ratios are what an outcome costs over another, as shares, in each turn of which both windows count.
func (o outcome) ratios(to outcome, of uses) (all []float64) {
	for k, used := range of(o) {
		if o.counts(k) && to.counts(k) {
			all = append(all, o.costing(used)/to.costing(of(to)[k])-1)
		}
	}
	return all
}

// combination is one setting under one load that is to be run.
type combination struct {
	scenario
	place
	of    int // index of its scenario
	index int // of its outcome; -1: not of the grid
}

// combinations are in the order in which they are run: neighbours are on different servers, so that a server
// has new settings when its turn comes. Their outcomes are by scenario.
func (t *tuner) combinations() []combination {
	var all []combination
	for i, p := range grid() {
		for j, s := range t.sweep {
			all = append(all, combination{s, p, j, j*len(grid()) + i})
		}
	}
	return all
}

// run measures what there is to measure, or reads what was measured before, and judges it.
func (t *tuner) run() (err error) {
	if t.outcomes != nil {
		return nil
	}
	if t.from != "" {
		err = t.resume()
	} else {
		err = t.measure()
	}
	if err != nil {
		t.finish()
		return err
	}
	t.judge()
	return t.disturbed()
}

// measure runs every combination, in turns, repeats times. Each repeat begins with the windows that the tuner learns
// from.
func (t *tuner) measure() error {
	if err := t.prepare(); err != nil {
		return err
	}
	t.say("%d combinations, %d repeats in turns, medians", len(t.sweep)*len(grid()), t.repeats)
	t.survey = survey{Machine: t.setting(), Sweep: t.sweep, Grid: grid(), Places: lessonPlaces(), Classes: map[string]class{}}
	for _, s := range t.sweep {
		if err := t.start(s); err != nil {
			return err
		}
	}
	for repeat := range t.repeats {
		t.say("  repeat %d of %d", repeat+1, t.repeats)
		looks, err := t.look(repeat)
		if err != nil {
			return err
		}
		if repeat == 0 {
			t.opening = t.survey.opening(looks)
		}
		windows := make([]seen, len(t.combinations()))
		for _, c := range turned(t.combinations(), 7*repeat) {
			if windows[c.index], err = t.combine(c, repeat); err != nil {
				return err
			}
		}
		t.survey.Rounds = append(t.survey.Rounds, round{looks, windows})
		if err := t.keep(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the control groups and the program that is measured.
func (t *tuner) prepare() error {
	if err := t.build(); err != nil {
		return err
	}
	for i, name := range []string{"server", "client"} {
		made, err := newGroup(fmt.Sprintf("trimtab-bench-%d-%s", os.Getpid(), name))
		if err != nil {
			return fmt.Errorf("make a control group for the %s: %w; run it as root where control groups can be written", name, err)
		}
		t.groups[i] = made
		if err := made.first(); err != nil {
			return err
		}
	}
	t.say("%s", t.setting())
	t.say("each server on core 0 alone, limits by CFS quota, its client on the others")
	t.say("%s", weatherRule)
	return nil
}

// finish stops the servers and takes the control groups away, if there are any.
func (t *tuner) finish() {
	t.stopAll()
	made := t.groups
	t.groups = [2]group{}
	for _, g := range made {
		if g == "" {
			continue
		}
		if err := g.remove(5 * time.Second); err != nil {
			t.say("%s", err)
		}
	}
}

// opening is what is known by the first look alone, before any window.
func (s survey) opening(looks []lesson) knowledge {
	s.Rounds = []round{{Looks: looks}}
	return s.known(0, 1, byWindows)
}

// tried is a setting under the load of a scenario.
type tried struct {
	of int // index of the scenario
	place
}

// share is the share of its limit that a combination will use by the first look, 1 where more comes than it can do.
func (t *tuner) share(c combination) float64 {
	key := tried{c.of, c.place}
	share, known := t.shares[key]
	if known {
		return share
	}
	does := capacity.Predict(t.opening.of(c.of, 1), c.load(), c.place.setting(), c.promise())
	if share = does.Cores / c.Cores; does.Full {
		share = 1
	}
	if t.shares == nil {
		t.shares = map[tried]float64{}
	}
	t.shares[key] = share
	return share
}

// span is the length of a combination's windows: twice the usual where queues will be long, which come to rest slowly, so
// that a p99 is more a matter of chance. Where more comes than can be done none will.
func (t *tuner) span(c combination) time.Duration {
	const long = 0.6
	if share := t.share(c); share > long && share < 1 {
		return 2 * c.Window
	}
	return c.Window
}

// combine runs one window of a combination.
func (t *tuner) combine(c combination, repeat int) (seen, error) {
	s := t.servers[c.Model]
	if err := t.change(s, c.place); err != nil {
		return seen{}, err
	}
	o := order{JSON: c.JSON, Rate: c.Rate, Burst: c.Burst, SLO: c.SLO, Seed: uint64(repeat + 1), Window: t.span(c)}
	saw, err := t.observe(s, o, c.String(), false)
	if err != nil {
		return saw, err
	}
	mb, err := s.memory()
	saw.Memory = mb * 1e6
	return saw, err
}

func (c combination) String() string { return c.scenario.String() + ", " + c.place.String() }

// String is the scenario for people.
func (s scenario) String() string {
	kind := map[float64]string{0: "even", 1: "Poisson"}[s.Burst]
	if kind == "" {
		kind = fmt.Sprintf("CV %g", s.Burst)
	}
	return fmt.Sprintf("%s %g/s %s", s.Model, s.Rate, kind)
}

// String is the place for people.
func (p place) String() string {
	if p.Batch == 1 {
		return fmt.Sprintf("unbatched, %g cores", p.Cores)
	}
	return fmt.Sprintf("batch %d, %s, %g cores", p.Batch, p.Delay, p.Cores)
}

// outcomeOf is the medians of a combination's windows that count.
func outcomeOf(c combination, windows []seen, usual standard) outcome {
	counts := counting(windows)
	of := func(get func(seen) float64) float64 {
		var x []float64
		for i, w := range windows {
			if counts[i] {
				x = append(x, get(w))
			}
		}
		m, _ := summary(x)
		return m
	}
	used := func(s seen) float64 { return usual.even(s).CPU / s.Seconds }
	out := outcome{
		scenario: c.scenario, place: c.place, Counts: counts,
		P50: of(func(s seen) float64 { return s.P50 }), P99: of(func(s seen) float64 { return s.P99 }),
		Used:       of(used),
		AsRun:      of(func(s seen) float64 { return s.CPU / s.Seconds }),
		Memory:     of(func(s seen) float64 { return s.Memory }),
		PerBatch:   of(func(s seen) float64 { return usual.even(s).Compute / max(1, s.Batches) }),
		PerRequest: of(func(s seen) float64 { s = usual.even(s); return (s.CPU - s.Compute) / max(1, s.Rows) }),
		MeanBatch:  of(func(s seen) float64 { return s.Rows / max(1, s.Batches) }),
		Seconds:    of(func(s seen) float64 { return s.Seconds }),
		Late:       of(func(s seen) float64 { return s.Late }),
		Bad:        of(func(s seen) float64 { return float64(s.Bad) / float64(max(1, s.Requests)) }),
	}
	for _, w := range windows {
		out.P99s, out.Uses, out.Runs = append(out.P99s, w.P99), append(out.Uses, used(w)), append(out.Runs, w.CPU/w.Seconds)
	}
	return out
}
