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

// class is a model with its servers.
type class struct {
	servers map[int]*server  // by cores
	profile capacity.Service // by its curve alone, as it was published when the server had started
	rest    seen             // a window without load
	light   seen             // a window of light load, each request by itself
}

// config is the file of a server's settings.
func (t *tuner) config(s *server) string { return filepath.Join(t.dir, s.name+".json") }

// start starts a class's servers, one for each number of cores, and stops them until it is their turn.
func (t *tuner) start(s scenario) error {
	if t.classes[s.Model] != nil {
		return nil
	}
	c := &class{servers: map[int]*server{}}
	t.classes[s.Model] = c
	file, err := t.model(s.Model)
	if err != nil {
		return err
	}
	for cores := 1; cores <= 2; cores++ {
		before, _, err := places(cores, runtime.NumCPU())
		if err != nil {
			return err
		}
		one := &server{name: fmt.Sprintf("%s-%d", s.Model, cores)}
		if err := os.WriteFile(t.config(one), settingsText(place{largest, 0, cores}), 0o644); err != nil {
			return err
		}
		if err := t.wake(one); err != nil { // the others sleep: the self-profile is to be alone
			return err
		}
		if c.servers[cores], err = t.serve(one.name, file, before, "--config", t.config(one), "--slo", "0s"); err != nil {
			return err
		}
	}
	return t.first(s, c)
}

// largest is the batch limit with which servers start: their self-profile goes as far.
const largest = 64

func settingsText(p place) []byte {
	return fmt.Appendf(nil, `{"batch_size": %d, "max_delay": %q, "instances": %d}`, p.Batch, p.Delay, p.Cores)
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

// first looks at a class: the curve of its self-profile, a window without load, and one of light load, about a
// seventh of what one core answers unbatched.
func (t *tuner) first(s scenario, c *class) error {
	one := c.servers[1]
	if err := t.change(one, place{1, 0, 1}); err != nil {
		return err
	}
	k, err := about(one)
	if err != nil {
		return err
	}
	if !k.Curve.Known() {
		return fmt.Errorf("%s published no curve; is the machine very busy?", s.Model)
	}
	c.profile = capacity.Service{Curve: k.Curve, MaxBatch: k.MaxBatch}
	if c.rest, err = t.observe(one, 1, order{Window: time.Second}, s.Model+", no load"); err != nil {
		return err
	}
	rate := 0.15 / (k.Curve.Wall.At(1) + 150e-6)
	c.light, err = t.observe(one, 1, order{JSON: s.JSON, Rate: rate, Seed: 99, Window: t.window}, s.Model+", light load")
	return err
}

// calibrate learns what the tuner knows of a server before it plans: one window of the scenario's load at the
// server's own settings, which are not on the grid, and the curve that it publishes then. Nothing is taken
// from the windows that are judged.
func (t *tuner) calibrate(s scenario) (_ capacity.Service, client float64, _ error) {
	c := t.classes[s.Model]
	one, own := c.servers[1], place{32, 5 * time.Millisecond, 1}
	if err := t.change(one, own); err != nil {
		return c.profile, 0, err
	}
	o := order{JSON: s.JSON, Rate: s.Rate, Burst: s.Burst, SLO: s.SLO, Seed: 98, Window: t.window}
	base, err := t.observe(one, 1, o, s.String()+", before tuning")
	if err != nil {
		return c.profile, 0, err
	}
	k, err := about(one)
	if err != nil {
		return c.profile, 0, err
	}
	memory, err := one.memory()
	known := c.profile
	known.Curve, known.Memory = k.Curve, int64(memory*1e6)
	known = calibrated(known, c.rest, c.light, base)
	t.say("  %s: wall %s, CPU %s, error %.1f %%, spread %.2f to %.2f; beside the model %.0f us of CPU a request (%.0f under light load), %.0f us of latency; idle %.4f cores", s,
		lineText(k.Curve.Wall), lineText(k.Curve.CPU), 100*k.Curve.Error, k.Curve.Spread.P10, k.Curve.Spread.P99, 1e6*known.Path, 1e6*pathOf(c.light, known.Idle), 1e6*known.Reach, known.Idle)
	return known, base.Client, err
}

// calibrated is the service as three windows tell it: without load, of light load, and of the load itself. The
// last says what a request costs beside the model there: under light load it is more, for threads have to be
// woken. The light one says how much longer an answer takes than what is computed for it.
func calibrated(s capacity.Service, rest, light, base seen) capacity.Service {
	s.Idle = rest.CPU / rest.Seconds
	s.Path = pathOf(base, s.Idle)
	waits := light.P50 - light.Compute/max(1, light.Batches) - capacity.PerBatch - pathOf(light, s.Idle)
	s.Reach = s.Path + max(0, waits)
	return s
}

// pathOf is the CPU seconds of a request beside the model and its batch.
func pathOf(w seen, idle float64) float64 {
	return max(0, w.CPU-w.Compute-idle*w.Seconds-capacity.PerBatch*w.Batches) / max(1, w.Rows)
}

func lineText(l curve.Line) string {
	return fmt.Sprintf("%s %.1f us, %.2f us a row", l.Form, 1e6*l.Fixed, 1e6*l.PerRow)
}

// change gives a server its settings while it sleeps and waits until it says that they are in force.
func (t *tuner) change(s *server, p place) error {
	next := t.config(s) + ".next"
	if err := errors.Join(os.WriteFile(next, settingsText(p), 0o644), os.Rename(next, t.config(s)), t.wake(s)); err != nil {
		return err
	}
	for range 300 {
		k, err := about(s)
		if err != nil {
			return err
		}
		if k.Limit == p.Batch && k.Instances == p.Cores && math.Abs(k.Delay-p.Delay.Seconds()) < 1e-9 {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s has not taken over %s after 3 s", s.name, settingsText(p))
}
