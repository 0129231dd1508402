package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed serving_wrk.lua
var wrkScript []byte

// row is what a closed loop is run on: a server and the form of its requests.
type row struct {
	server *server
	body   string // json, binary or v1
}

func (r row) String() string { return r.server.name + ", " + r.body }

// target is the URL of the model for this form of request.
func (r row) target() string {
	if r.body == "v1" {
		return r.server.url + "/v1/models/" + r.server.model + ":predict"
	}
	return r.server.url + "/v2/models/" + r.server.model + "/infer"
}

// form is the flags of modelserver bench for this form of request.
func (r row) form() []string {
	switch r.body {
	case "v1":
		return []string{"--endpoint", "v1"}
	case "binary":
		return []string{"--body", "binary"}
	}
	return nil
}

// sample is one window. What could not be measured is NaN.
type sample struct {
	rps      float64 // answers that are no refusals
	cpu      float64 // microseconds of the server's CPU for each
	cores    float64
	p50, p99 float64 // milliseconds, of all answers
	bad      float64 // share that was refused or failed
	batch    float64 // rows on average
	share    float64 // of the server's CPU that the runtime used
}

// wrkOutput is what the script prints at the end.
type wrkOutput struct {
	Requests, Micros, Bad, Broken float64
	P50, P99                      float64 // microseconds
}

// closed measures one window of a closed loop with wrk.
func (t *trial) closed(r row, conns int) (s sample, err error) {
	if err := t.wake(r.server); err != nil {
		return s, err
	}
	in, err := inputOf(r.server)
	if err != nil {
		return s, err
	}
	if err := t.warm(r, conns); err != nil {
		return s, err
	}
	err = t.calm(fmt.Sprintf("%s, %d connections", r, conns), func() (float64, error) {
		was := r.server.counters()
		cpu, err := usedCPU(r.server.pids())
		out, client, err2 := t.wrk(r, in, conns)
		end, err3 := usedCPU(r.server.pids())
		now := r.server.counters()
		s = sampleOf(out, end-cpu, was, now)
		return end - cpu + client, errors.Join(err, err2, err3)
	})
	return s, err
}

// warm sends what the window will send, for long enough to forget the window before: how many connections
// there are is what a batcher that adapts has to learn, which takes longest where answers are fewest.
func (t *trial) warm(r row, conns int) error {
	how := "400ms"
	if conns == 1 {
		how = "1s"
	}
	_, _, err := t.benchServer(r.server, nil, append([]string{"--connections", strconv.Itoa(conns), "--duration", how, "--warmup", "0s"}, r.form()...)...)
	return err
}

// wrk runs one window and returns what it printed and the CPU seconds that it used itself.
func (t *trial) wrk(r row, in input, conns int) (wrkOutput, float64, error) {
	script := filepath.Join(t.dir, "wrk.lua")
	if err := os.WriteFile(script, wrkScript, 0o644); err != nil {
		return wrkOutput{}, 0, err
	}
	cmd := exec.Command(t.rivals.wrk, "-t1", "-c"+strconv.Itoa(conns), fmt.Sprintf("-d%ds", int(t.window.Seconds())), "--latency", "--timeout", "10s",
		"-s", script, r.target(), "--", r.body, in.Name, strconv.Itoa(in.width()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return wrkOutput{}, 0, fmt.Errorf("wrk: %w: %s", err, lastLine(out))
	}
	parsed, err := parseWrk(out)
	return parsed, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), err
}

// parseWrk reads the script's line, the last.
func parseWrk(out []byte) (w wrkOutput, err error) {
	if err := json.Unmarshal([]byte(lastLine(out)), &w); err != nil {
		return w, fmt.Errorf("wrk printed %.200q: %w", lastLine(out), err)
	}
	if w.Requests == w.Bad || w.Micros == 0 {
		return w, fmt.Errorf("wrk had only faults: %+v", w)
	}
	return w, nil
}

// sampleOf makes a sample of what the client counted and the server used.
func sampleOf(w wrkOutput, cpu float64, was, now counters) sample {
	good := w.Requests - w.Bad
	s := sample{
		rps: good / w.Micros * 1e6, cpu: cpu / good * 1e6, cores: cpu / w.Micros * 1e6,
		p50: w.P50 / 1000, p99: w.P99 / 1000, bad: (w.Bad + w.Broken) / w.Requests,
		batch: math.NaN(), share: math.NaN(),
	}
	if now.batches > was.batches {
		s.batch = (now.rows - was.rows) / (now.batches - was.batches)
	}
	if now.compute > was.compute {
		s.share = (now.compute - was.compute) / cpu
	}
	return s
}

// input is the model's, from the server's metadata.
type input struct {
	Name  string
	Shape []int
}

func (in input) width() int {
	n := 1
	for _, d := range in.Shape[1:] {
		n *= max(d, 1)
	}
	return n
}

func inputOf(s *server) (input, error) {
	text, err := fetch(s.url + "/v2/models/" + s.model)
	if err != nil {
		return input{}, err
	}
	var meta struct{ Inputs []input }
	if err := json.Unmarshal(text, &meta); err != nil || len(meta.Inputs) != 1 || len(meta.Inputs[0].Shape) < 1 {
		return input{}, fmt.Errorf("metadata of %s is not of one input: %.200q", s.name, text)
	}
	return meta.Inputs[0], nil
}

// counters are of our server's metrics; zero where a server has none.
type counters struct{ rows, batches, compute float64 }

func (s *server) counters() counters {
	text, err := fetch(s.url + "/metrics")
	if err != nil {
		return counters{} // a rival without metrics
	}
	return counters{
		metric(text, "modelserver_inferences_total"), metric(text, "modelserver_executions_total"), metric(text, "modelserver_compute_cpu_seconds_total"),
	}
}

// metric sums a metric over its labels.
func metric(text []byte, name string) float64 {
	sum := 0.0
	for line := range bytes.Lines(text) {
		rest, is := strings.CutPrefix(string(line), name)
		if !is || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		fields := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		if len(fields) == 0 {
			continue
		}
		if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
			sum += v
		}
	}
	return sum
}

func fetch(url string) ([]byte, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("get %s: %s: %.200q", url, res.Status, text)
	}
	return text, err
}
