package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

// class is what was seen of a model before any load was judged.
type class struct {
	Profile capacity.Service `json:"profile"` // by its curve alone, as it was published when the server had started
	Light   seen             `json:"light"`   // a window of light load, each request by itself
}

// config is the file of a server's settings.
func (t *tuner) config(s *server) string { return filepath.Join(t.dir, s.name+".json") }

// start starts a class's server and looks at it for the first time.
func (t *tuner) start(s scenario) error {
	if t.servers[s.Model] != nil {
		return nil
	}
	if err := t.boot(s.Model); err != nil {
		return err
	}
	c, err := t.first(s)
	t.survey.Classes[s.Model] = c
	return err
}

// boot starts a class's server. The others sleep, so that it profiles itself alone.
func (t *tuner) boot(model string) error {
	file, err := t.model(model)
	if err != nil {
		return err
	}
	before, _, err := pinned(runtime.NumCPU())
	if err != nil {
		return err
	}
	config := t.config(&server{name: model})
	if err := os.WriteFile(config, settingsText(place{Batch: largest}), 0o644); err != nil {
		return err
	}
	if err := errors.Join(t.wake(&server{}), t.groups[0].free()); err != nil {
		return err
	}
	t.servers[model], err = t.serve(model, file, append(t.groups[0].enter(), before...), "--config", config, "--slo", "0s")
	return err
}

// anew starts all servers again: what a repeat's calibration learns from them they have not learnt from windows that
// were judged.
func (t *tuner) anew() error {
	t.stopAll()
	booted := map[string]bool{}
	for _, s := range t.sweep {
		if booted[s.Model] {
			continue
		}
		booted[s.Model] = true
		if err := t.boot(s.Model); err != nil {
			return err
		}
	}
	return nil
}

// largest is the batch limit with which servers start: their self-profile goes as far.
const largest = 64

func settingsText(p place) []byte {
	return fmt.Appendf(nil, `{"batch_size": %d, "max_delay": %q, "instances": 1}`, p.Batch, p.Delay)
}

// known is what a server publishes of a model.
type known struct {
	Curve     curve.Curve `json:"curve"`
	Limit     int         `json:"batch_limit_rows"`
	Delay     float64     `json:"max_delay_seconds"`
	Instances int         `json:"instances"`
	MaxBatch  int         `json:"max_batch_rows"`
}

func about(s *server) (k known, err error) {
	text, err := fetch(s.url + "/v2/models/" + s.model + "/curve")
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(text, &k)
}

// first looks at a class: the curve of its self-profile, and a window of light load, about a seventh of what one core
// answers unbatched. The first class is looked at without load too: what a server does then does not depend on its model.
func (t *tuner) first(s scenario) (c class, err error) {
	server := t.servers[s.Model]
	if err := t.change(server, place{Batch: 1, Cores: 1}); err != nil {
		return c, err
	}
	k, err := about(server)
	if err != nil {
		return c, err
	}
	if !k.Curve.Known() {
		return c, fmt.Errorf("%s published no curve; is the machine very busy?", s.Model)
	}
	c.Profile = capacity.Service{Curve: k.Curve, MaxBatch: k.MaxBatch}
	rate := 0.15 / (k.Curve.Wall.At(1) + 150e-6)
	o := order{JSON: s.JSON, Rate: rate, Seed: 99, Window: calibrationWindow}
	if c.Light, err = t.observe(server, o, s.Model+", light load", true); err != nil || t.survey.Rest.Seconds > 0 {
		return c, err
	}
	// Not before: a server that has just loaded a model still tidies its memory.
	t.survey.Rest, err = t.observe(server, order{Window: calibrationWindow}, s.Model+", no load", true)
	return c, err
}

// calibrationWindow is the length of the windows that the tuner learns from.
const calibrationWindow = 2500 * time.Millisecond

// look looks at every scenario once more.
func (t *tuner) look(repeat int) (all []lesson, err error) {
	t.usual = nil
	if repeat > 0 {
		if err := t.anew(); err != nil {
			return nil, err
		}
	}
	for _, s := range t.sweep {
		one, err := t.calibrate(s, repeat)
		if err != nil {
			return nil, err
		}
		t.say("  %s: %s", s, aboutService(t.survey.service(s, []lesson{one}, standard{}, byServer)))
		all = append(all, one)
	}
	return all, nil
}

// lessonPlace is how a scenario is looked at: under a setting, at a part of its rate.
type lessonPlace struct {
	place
	Part float64 `json:"part"`
}

// of is a scenario at that part of its rate.
func (p lessonPlace) of(s scenario) scenario {
	s.Rate *= p.Part
	return s
}

// lessonPlaces make no batches, small ones, middling and large ones. None is a combination of the sweep: no batches are on
// its grid, but at the whole rate.
func lessonPlaces() []lessonPlace {
	const ms = time.Millisecond
	return []lessonPlace{{place{1, ms, 1}, 0.9}, {place{2, ms, 1}, 1}, {place{16, 5 * ms, 1}, 1}, {place{32, 10 * ms, 1}, 1}}
}

// lesson is what a look at a scenario shows.
type lesson struct {
	Windows []seen      `json:"windows"` // at each place of the survey
	Curve   curve.Curve `json:"curve"`   // that the server publishes then
	Memory  float64     `json:"memory"`  // bytes that it holds
}

// calibrate looks at a scenario, and takes the curve that the server publishes then.
func (t *tuner) calibrate(s scenario, repeat int) (one lesson, err error) {
	server := t.servers[s.Model]
	for _, p := range lessonPlaces() {
		if err := t.change(server, p.place); err != nil {
			return one, err
		}
		o := order{JSON: s.JSON, Rate: p.of(s).Rate, Burst: s.Burst, SLO: s.SLO, Seed: uint64(98 + repeat), Window: calibrationWindow}
		w, err := t.observe(server, o, s.String()+", calibration", true)
		if err != nil {
			return one, err
		}
		one.Windows = append(one.Windows, w)
	}
	k, err := about(server)
	if err != nil {
		return one, err
	}
	memory, err := server.memory()
	one.Curve, one.Memory = k.Curve, memory*1e6
	return one, err
}

// service is what looks at a scenario say together of its server, on a core of the usual pace. What the server publishes,
// and holds, is as in the last of them.
func (s survey) service(of scenario, looks []lesson, usual standard, by source) capacity.Service {
	c := s.Classes[of.Model]
	var batches []capacity.Batches
	var windows []seen
	for _, l := range looks {
		for _, w := range l.Windows {
			w = usual.even(w)
			windows = append(windows, w)
			batches = append(batches, capacity.Batches{Count: w.Batches, Rows: w.Rows, CPU: w.Compute})
		}
	}
	last := looks[len(looks)-1]
	plain := last.Curve
	plain.Loaded = curve.Loaded{}
	slow := 1 / usual.slowness(last.pace())
	known, its, published := c.Profile, c.Profile.Follows(last.Curve).Slower(slow), capacity.Service{Curve: plain}.Slower(slow).Curve
	known.Curve, known.Published, known.Memory = its.Curve, published, int64(last.Memory)
	if by == byWindows {
		known.Curve = capacity.Under(published, batches)
	}
	return calibrated(known, of, s.Places, usual.even(s.Rest), usual.even(c.Light), windows)
}

// pace is that of the core in the windows of a look.
func (l lesson) pace() pace { return meanPace(pacesOf(l.Windows)) }

// aboutService is what is known of a service, for people.
func aboutService(s capacity.Service) string {
	c := s.Curve
	return fmt.Sprintf("wall %s, CPU %s, error %.1f %%, spread %.2f to %.2f; CPU beside the model %.0f us a request, %.0f us a batch and %.0f us one that a timer begins; %.0f us of latency; idle %.4f cores",
		lineText(c.Wall), lineText(c.CPU), 100*c.Error, c.Spread.P10, c.Spread.P99, 1e6*s.Path, 1e6*s.PerBatch, 1e6*s.PerWake, 1e6*s.Reach, s.Idle)
}

// calibrated is the service as windows tell it: without load, of light load, and of the load itself with batches of
// several sizes. These say what a request and a batch cost beside the model there, in the daemon's own way: under light load
// it is more, for threads have to be woken. The light one says how much longer an answer takes than what is computed for it.
func calibrated(s capacity.Service, of scenario, places []lessonPlace, rest, light seen, load []seen) capacity.Service {
	idle := rest.CPU / rest.Seconds
	besides := []capacity.Beside{{Cores: idle}}
	for i, w := range load {
		p := places[i%len(places)]
		said := capacity.Predict(onCore(s), p.of(of).load(), p.setting(), of.promise())
		besides = append(besides, capacity.Beside{
			Rate: w.Rows / w.Seconds, Batches: w.Batches / w.Seconds, Woken: min(said.Woken, w.Batches/w.Seconds), Cores: max(0, w.CPU-w.Compute) / w.Seconds,
		})
	}
	c := capacity.CostsOf(besides)
	s.Path, s.PerBatch, s.PerWake, s.Idle = c.Path, c.Batch, c.Wake, c.Idle
	waits := light.P50 - light.Compute/max(1, light.Batches) - light.beside(s.Idle)
	s.Reach = s.Path + max(0, waits)
	return s
}

// beside is the CPU seconds of a request that are not the model's, with its share of its batch's.
func (w seen) beside(idle float64) float64 {
	return max(0, w.CPU-w.Compute-idle*w.Seconds) / max(1, w.Rows)
}

func lineText(l curve.Line) string {
	return fmt.Sprintf("%s %.1f us, %.2f us a row", l.Form, 1e6*l.Fixed, 1e6*l.PerRow)
}

// change gives a server its settings and its limit while it sleeps and waits until it says that they are in force.
func (t *tuner) change(s *server, p place) error {
	limit := t.groups[0].free
	if p.limited() {
		limit = func() error { return t.groups[0].limit(p.Cores) }
	}
	next := t.config(s) + ".next"
	if err := errors.Join(os.WriteFile(next, settingsText(p), 0o644), os.Rename(next, t.config(s)), limit(), t.wake(s)); err != nil {
		return err
	}
	for range 300 {
		k, err := about(s)
		if err != nil {
			return err
		}
		if k.Limit == p.Batch && math.Abs(k.Delay-p.Delay.Seconds()) < 1e-9 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s has not taken over %s after 3 s", s.name, settingsText(p))
}
