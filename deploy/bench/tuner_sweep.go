package main

import (
	"fmt"
	"runtime"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// scenario is one load on one model, with its promise. Every setting of the grid is run under it.
type scenario struct {
	Model string        `json:"model"`
	JSON  bool          `json:"json"`  // bodies
	Rate  float64       `json:"rate"`  // requests a second
	Burst float64       `json:"burst"` // coefficient of variation of the gaps: 0 even, 1 Poisson
	SLO   time.Duration `json:"slo"`   // at p99
}

// place is one point of the grid. Batches of one row wait for nobody: they are run with one delay only.
type place struct {
	Batch int           `json:"batch"`
	Delay time.Duration `json:"delay"`
	Cores int           `json:"cores"`
}

// scenarios are what the sweep runs: a dense model, one whose curve is a hinge, trees, and a convolutional
// one that saves little by batching; from a tenth to three quarters of what one core answers unbatched.
func scenarios(quick bool) []scenario {
	const ms = time.Millisecond
	all := []scenario{
		{Model: "mlp-large", Rate: 300, Burst: 1, SLO: 20 * ms},
		{Model: "mlp-mid", Rate: 1200, Burst: 2, SLO: 10 * ms},
		{Model: "trees-500x6", JSON: true, Rate: 1000, Burst: 1, SLO: 5 * ms},
		{Model: "cnn-small", Rate: 1500, Burst: 1, SLO: 10 * ms},
		{Model: "mlp-large", Rate: 450, Burst: 0, SLO: 10 * ms},
	}
	if quick {
		return all[:2]
	}
	return all
}

// grid is every setting that is run, batches before delays before cores.
func grid() []place {
	const ms = time.Millisecond
	var all []place
	for _, batch := range []int{1, 8, 64} {
		for _, delay := range []time.Duration{1 * ms, 4 * ms, 12 * ms} {
			if batch == 1 && delay > 1*ms {
				continue
			}
			for _, cores := range []int{1, 2} {
				all = append(all, place{batch, delay, cores})
			}
		}
	}
	return all
}

// setting is the place as the capacity model calls it.
func (p place) setting() capacity.Setting {
	return capacity.Setting{Batch: p.Batch, Delay: p.Delay, Replicas: 1, CPU: 1000 * int64(p.Cores), Instances: p.Cores}
}

// on is a service on as many cores as a place has: servers are bound to them, so that no more of it runs at once.
// Where that is every core of the machine the client computes there too, for each request as long as client says.
func (p place) on(s capacity.Service, client float64) capacity.Service {
	s.Processors = p.Cores
	s.Path += p.shared(client)
	return s
}

// shared is what the client takes of the server's cores for each request.
func (p place) shared(client float64) float64 {
	if p.Cores < runtime.NumCPU() {
		return 0
	}
	return client
}

// own is a prediction without the cores that the client takes of the place.
func (p place) own(said capacity.Prediction, rate, client float64) capacity.Prediction {
	said.Cores -= rate * p.shared(client)
	return said
}

func (s scenario) load() capacity.Load {
	return capacity.Load{Rate: s.Rate, Mean: s.Rate, Burst: s.Burst, Rows: 1}
}

func (s scenario) promise() fleet.SLO { return fleet.SLO{Latency: s.SLO, Percentile: 0.99} }

// outcome is what one combination did: the medians of its windows.
type outcome struct {
	scenario
	place
	P50        float64   `json:"p50_s"`
	P99        float64   `json:"p99_s"`
	Used       float64   `json:"used_cores"`
	Memory     float64   `json:"memory_bytes"`  // that the server held after a window
	MeanBatch  float64   `json:"mean_batch"`    // rows
	PerBatch   float64   `json:"model_cpu_s"`   // CPU of the model for each batch
	PerRequest float64   `json:"beside_cpu_s"`  // CPU beside the model for each request
	Late       float64   `json:"late_s"`        // p99 of how late the client sent
	Bad        float64   `json:"bad_share"`     // of requests, without an answer
	P99s       []float64 `json:"window_p99s_s"` // of each window
}

// combination is one setting under one load that is to be run.
type combination struct {
	scenario
	place
	of    int // index of its scenario
	index int // of its outcome
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

// run runs every combination, in turns, repeats times. Predictions are made before.
func (t *tuner) run() error {
	if t.outcomes != nil {
		return nil
	}
	if err := t.build(); err != nil {
		return err
	}
	t.say("%s", t.setting())
	t.say("%d combinations, %d repeats in turns, windows of %s after %s, of which the median counts; the client has CPUs of its own where the server leaves any",
		len(t.sweep)*len(grid()), t.repeats, t.window, t.warm)
	for _, s := range t.sweep {
		if err := t.start(s); err != nil {
			return err
		}
		known, client, err := t.calibrate(s)
		if err != nil {
			return err
		}
		t.services, t.clients = append(t.services, known), append(t.clients, client)
	}
	t.foresee()
	windows := make([][]seen, len(t.combinations()))
	for repeat := range t.repeats {
		t.say("  repeat %d of %d", repeat+1, t.repeats)
		for _, c := range turned(t.combinations(), 7*repeat) {
			saw, err := t.combine(c, repeat)
			if err != nil {
				return err
			}
			windows[c.index] = append(windows[c.index], saw)
		}
	}
	t.stopAll()
	t.outcomes = make([]outcome, len(windows))
	for _, c := range t.combinations() {
		t.outcomes[c.index] = outcomeOf(c, windows[c.index])
	}
	return t.disturbed()
}

// combine runs one window of a combination.
func (t *tuner) combine(c combination, repeat int) (seen, error) {
	s := t.classes[c.Model].servers[c.place.Cores]
	if err := t.change(s, c.place); err != nil {
		return seen{}, err
	}
	o := order{JSON: c.JSON, Rate: c.Rate, Burst: c.Burst, SLO: c.SLO, Seed: uint64(repeat + 1), Window: t.window}
	saw, err := t.observe(s, c.place.Cores, o, c.String())
	if err != nil {
		return saw, err
	}
	mb, err := s.memory()
	saw.Memory = mb * 1e6
	return saw, err
}

// observe does an order, again where others disturbed it.
func (t *tuner) observe(s *server, cores int, o order, what string) (saw seen, err error) {
	err = t.calm(what, func() (own float64, err error) {
		before, err := exactCPU(s.pids()[0])
		if err != nil {
			return 0, err
		}
		var client float64
		if saw, client, err = t.ask(s, cores, o); err != nil {
			return 0, err
		}
		after, err := exactCPU(s.pids()[0])
		return after - before + client, err
	})
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
		return fmt.Sprintf("unbatched, %d cores", p.Cores)
	}
	return fmt.Sprintf("batch %d, %s, %d cores", p.Batch, p.Delay, p.Cores)
}

// outcomeOf is the medians of a combination's windows.
func outcomeOf(c combination, windows []seen) outcome {
	of := func(get func(seen) float64) float64 {
		var x []float64
		for _, w := range windows {
			x = append(x, get(w))
		}
		m, _ := summary(x)
		return m
	}
	out := outcome{
		scenario: c.scenario, place: c.place,
		P50: of(func(s seen) float64 { return s.P50 }), P99: of(func(s seen) float64 { return s.P99 }),
		Used:       of(func(s seen) float64 { return s.CPU / s.Seconds }),
		Memory:     of(func(s seen) float64 { return s.Memory }),
		PerBatch:   of(func(s seen) float64 { return s.Compute / max(1, s.Batches) }),
		PerRequest: of(func(s seen) float64 { return (s.CPU - s.Compute) / max(1, s.Rows) }),
		MeanBatch:  of(func(s seen) float64 { return s.Rows / max(1, s.Batches) }),
		Late:       of(func(s seen) float64 { return s.Late }),
		Bad:        of(func(s seen) float64 { return float64(s.Bad) / float64(max(1, s.Requests)) }),
	}
	for _, w := range windows {
		out.P99s = append(out.P99s, w.P99)
	}
	return out
}
