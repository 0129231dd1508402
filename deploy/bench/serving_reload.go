package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	reloads   = 20
	swaps     = 20
	resizes   = 5
	allAnswer = 300_000                 // requests
	changeGap = 1100 * time.Millisecond // the server looks for changes each second
)

// changing is a server whose surroundings change while it is asked.
type changing struct {
	*trial
	server *server
	dir    string
	group  group // whose CPU limit is rewritten; empty: not permitted here
}

// reload sends 300,000 requests and compares every answer with that of a server that does not batch, while
// the configuration and the model's file are replaced 20 times each and the CPU limit 5 times.
func (t *trial) reload() error {
	c, err := t.changing()
	if err != nil {
		return err
	}
	defer c.removeGroup()
	file, err := t.model("mlp-mid")
	if err != nil {
		return err
	}
	right, err := t.serve("unbatched", file, nil, "--batching", "off", "--slo", "0s")
	if err != nil {
		return err
	}
	if err := c.start(); err != nil {
		return err
	}
	sums, err := c.whileChanging(right)
	if err != nil {
		return err
	}
	changes, limits, err := c.seen()
	resized := fmt.Sprintf("%d resizes (%d seen)", resizes, limits)
	if c.group == "" {
		resized = "no resizes (control groups are not permitted here)"
	}
	if sums.Why != "" {
		t.say("  first fault: %s", sums.Why)
	}
	return errors.Join(err, t.alone("reload_failures", float64(sums.bad()), fmt.Sprintf("of %d requests across %d config reloads and %d model swaps (%d seen), %s; tolerance 1e-4",
		sums.Requests, reloads, swaps, changes, resized)))
}

// changing prepares the folder and the control group.
func (t *trial) changing() (*changing, error) {
	c := &changing{trial: t, dir: filepath.Join(t.dir, "changing")}
	if err := os.MkdirAll(filepath.Join(c.dir, "config"), 0o755); err != nil {
		return nil, err
	}
	if err := errors.Join(c.swap(0), c.reconfigure(0)); err != nil {
		return nil, err
	}
	return c, os.Symlink(filepath.Join("..data", "model_config.json"), c.config())
}

func (c *changing) config() string { return filepath.Join(c.dir, "config", "model_config.json") }
func (c *changing) model() string  { return filepath.Join(c.dir, "model.onnx") }

// start starts the server in the control group, if there can be one.
func (c *changing) start() (err error) {
	var before []string
	if err := c.makeGroup(); err != nil {
		c.say("  no resizes: %s", err)
	} else {
		before = c.group.enter()
	}
	c.server, err = c.serve("changing", c.model(), before, "--batching", "adaptive", "--slo", "200ms", "--config", c.config())
	return err
}

// makeGroup makes a control group with two cores.
func (c *changing) makeGroup() error {
	made, err := newGroup("trimtab-bench-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		return err
	}
	c.group = made
	if err = c.group.limit(2); err != nil {
		c.removeGroup()
		c.group = ""
	}
	return err
}

// removeGroup takes the group away; its server has been stopped or is stopped here.
func (c *changing) removeGroup() {
	if c.group == "" {
		return
	}
	c.stopAll()
	if err := c.group.remove(5 * time.Second); err != nil {
		c.say("  %s", err)
	}
}

// whileChanging asks until all changes are made and all requests sent.
func (c *changing) whileChanging(right *server) (openOutput, error) {
	changed := make(chan error, 1)
	go func() { changed <- c.changeAll() }()
	var sums openOutput
	for done := false; !done || sums.Requests < c.requests(); {
		out, _, err := c.benchServer(c.server, nil, "--same-as", right.url, "--body", "binary", "--connections", "16",
			"--requests", strconv.Itoa(c.requests()/10), "--duration", "10m", "--warmup", "0s", "--timeout", "10s", "--slo", "200ms")
		if err != nil {
			return sums, errors.Join(err, <-changed)
		}
		sums.add(out)
		select {
		case err := <-changed:
			if err != nil {
				return sums, err
			}
			done = true
		default:
		}
	}
	return sums, nil
}

// requests is how many are sent at least.
func (c *changing) requests() int {
	if c.quick {
		return allAnswer / 10
	}
	return allAnswer
}

func (o *openOutput) add(other openOutput) {
	o.Requests += other.Requests
	o.Different += other.Different
	o.Refused += other.Refused
	o.Failed += other.Failed
	o.TimedOut += other.TimedOut
	if o.Why == "" {
		o.Why = other.Why
	}
}

// changeAll makes every change, in turn.
func (c *changing) changeAll() error {
	cores := []float64{1, 1.5, 0.5, 2, 1}
	for i := 1; i <= reloads; i++ {
		time.Sleep(changeGap)
		if err := c.reconfigure(i); err != nil {
			return err
		}
		time.Sleep(changeGap)
		if err := c.swap(i); err != nil {
			return err
		}
		if each := reloads / resizes; i%each == 0 && c.group != "" {
			if err := c.group.limit(cores[i/each-1]); err != nil {
				return err
			}
		}
		c.say("  change %d of %d", i, reloads)
	}
	time.Sleep(2 * changeGap) // for the last to be seen
	return nil
}

// reconfigure puts another configuration in place as the kubelet does: all files at once, by a rename.
func (c *changing) reconfigure(i int) error {
	folder := fmt.Sprintf("..%03d", i)
	dir := filepath.Join(c.dir, "config")
	text := fmt.Sprintf(`{"generation": %d, "batch_size": %d, "max_delay": "%dms"}`, i+1, 8<<(i%4), 1+i%5)
	return errors.Join(
		os.Mkdir(filepath.Join(dir, folder), 0o755),
		os.WriteFile(filepath.Join(dir, folder, "model_config.json"), []byte(text), 0o644),
		os.Symlink(folder, filepath.Join(dir, "..data_tmp")),
		os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")),
	)
}

// swap puts another file of the same model in place, by a link. ONNX files may be joined: a field that
// comes twice counts as given last, so that a text at the end makes a different file of the same weights.
func (c *changing) swap(i int) error {
	file, err := c.trial.model("mlp-mid")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	name := filepath.Join(c.dir, fmt.Sprintf("model-%03d.onnx", i))
	next := c.model() + ".next"
	return errors.Join(
		os.WriteFile(name, append(data, docString(fmt.Sprintf("swap %d", i))...), 0o644),
		os.Symlink(name, next),
		os.Rename(next, c.model()),
	)
}

// docString is field 6 of an ONNX model, of fewer than 128 bytes.
func docString(text string) []byte {
	return append([]byte{6<<3 | 2, byte(len(text))}, text...)
}

// seen is how many changes the server's log says it has taken over, of configuration and model files, and
// of limits. With few of them the figure shows nothing, which is an error.
func (c *changing) seen() (changes, limits int, err error) {
	text, err := fetch(c.server.url + "/metrics")
	if err != nil {
		return 0, 0, err
	}
	if got := metric(text, "modelserver_config_generation"); got != reloads+1 {
		return 0, 0, fmt.Errorf("the server is at configuration %g, not %d", got, reloads+1)
	}
	if failed := metric(text, "modelserver_config_reload_failures_total"); failed > 0 {
		return 0, 0, fmt.Errorf("the server refused %g changes", failed)
	}
	log, err := os.ReadFile(filepath.Join(c.trial.dir, "changing.log"))
	changes, limits = tookOver(string(log))
	if least := (reloads + swaps) * 9 / 10; err == nil && changes < least {
		err = fmt.Errorf("the server's log tells of %d changes, not of %d", changes, reloads+swaps)
	}
	return changes, limits, err
}

// tookOver counts the lines of a log after each first one, which tells of the start.
func tookOver(log string) (changes, limits int) {
	return max(0, strings.Count(log, `"settings are in force"`)-1), max(0, strings.Count(log, `"msg":"limits"`)-1)
}
