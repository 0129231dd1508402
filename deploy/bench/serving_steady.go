package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// idle measures the demo's model: from the start of the process until it is ready, and its memory when
// nothing has been asked of it.
func (t *trial) idle() error {
	var ready, memory []float64
	for range t.repeats {
		s, err := t.serve("idle", "valuation", nil)
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		mb, err := s.memory()
		if err != nil {
			return err
		}
		ready, memory = append(ready, s.ready.Seconds()), append(memory, mb)
		t.stopAll()
	}
	agent, err := t.agentMemory()
	mb, _ := summary(memory)
	s, _ := summary(ready)
	return errors.Join(err,
		t.figure("idle_rss_mb", mb, "MB, model valuation", "KServe agent "+t.rivals.agentVersion+" alone", agent),
		t.alone("ready_s", s, "s from start to ready, model valuation"))
}

// agentMemory is what KServe's agent adds to a pod, in MB.
func (t *trial) agentMemory() (float64, error) {
	s, err := t.serve("behind", "valuation", nil)
	if err != nil {
		return 0, err
	}
	agent, err := t.kserve(s)
	if err != nil {
		return 0, err
	}
	defer t.stopAll()
	time.Sleep(time.Second)
	return (&server{parts: agent.parts[:1]}).memory()
}

// overload asks three times as much of the server as it can do. The server has one core and the client
// the other, so that the client's work for the refused does not lower what the server can do.
func (t *trial) overload() error {
	file, err := t.model("mlp-large")
	if err != nil {
		return err
	}
	var serverOn, clientOn []string
	if _, err := exec.LookPath("taskset"); err == nil {
		serverOn, clientOn = []string{"taskset", "-c", "0"}, []string{"taskset", "-c", "1"}
	}
	s, err := t.serve("overload", file, serverOn, "--batching", "adaptive", "--slo", "20ms", "--batch-size", "64")
	free, err2 := t.serve("capacity", file, serverOn, "--batching", "adaptive", "--slo", "0s", "--batch-size", "64")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	var share, recovery, growth []float64
	for repeat := range t.repeats {
		o, err := t.overloadOnce(s, free, clientOn)
		if err != nil {
			return err
		}
		t.say("  repeat %d of %d: capacity %.0f/s; at %.0f/s: %.0f/s within the SLO, %d of %d refused; %.2f s until well again; memory %+.1f MB",
			repeat+1, t.repeats, o.capacity, 3*o.capacity, o.over.Goodput, o.over.Refused, o.over.Requests, o.recovery, o.growth)
		share, recovery, growth = append(share, o.over.Goodput/o.capacity), append(recovery, o.recovery), append(growth, o.growth)
	}
	goodput, _ := summary(share)
	well, _ := summary(recovery)
	_, grown := summary(growth)
	return errors.Join(
		t.alone("overload_goodput_share", goodput, "of capacity, 3x overload, 16 rows a request, binary, 1 core"),
		t.alone("overload_recovery_s", well, "s from the end of the overload to the last request outside the SLO"),
		t.alone("overload_memory_growth_mb", grown, "MB, the most of a repeat"),
	)
}

// overloaded is what one repeat found.
type overloaded struct {
	capacity         float64 // answers a second in a closed loop, of a server that refuses nothing
	over             openOutput
	recovery, growth float64 // seconds, MB
}

// overloadOnce measures capacity, then the overload, and then, at half of capacity, how long it takes
// until no request is outside the SLO.
func (t *trial) overloadOnce(s, free *server, clientOn []string) (o overloaded, err error) {
	of := func(s *server, args ...string) (out openOutput) {
		if err == nil {
			out, _, err = t.benchServer(s, clientOn, append(args, "--body", "binary", "--rows", "16", "--slo", "20ms", "--timeout", "1s")...)
		}
		return out
	}
	ask := func(args ...string) openOutput { return of(s, args...) }
	window := t.window.String()
	o.capacity = of(free, "--connections", "8", "--duration", window, "--warmup", "500ms").RPS
	rate := func(x float64) string { return strconv.FormatFloat(x*o.capacity, 'f', 0, 64) }
	ask("--rate", rate(3), "--arrivals", "poisson", "--duration", "500ms", "--warmup", "0s") // buffers grow to their size
	settled, err2 := s.memory()
	o.over = ask("--rate", rate(3), "--arrivals", "poisson", "--duration", window, "--warmup", "500ms")
	after := ask("--rate", rate(0.5), "--duration", window, "--warmup", "0s")
	if after.LastMiss != nil {
		o.recovery = *after.LastMiss
	}
	grown, err3 := s.memory()
	if grown > settled {
		o.growth = grown - settled
	}
	return o, errors.Join(err, err2, err3)
}

// compared is what deploy/onnxruntime/compare prints of one model and batch size.
type compared struct {
	Model   string
	Rows    int
	Version string  `json:"onnxruntime"`
	Theirs  float64 `json:"onnxruntime_us"`
	Ours    float64 `json:"builtin_us"`
	Gain    float64 `json:"median_ratio"` // ONNX Runtime's time ÷ ours
}

// trees runs the comparison with ONNX Runtime, one thread each, in turns.
func (t *trial) trees() error {
	if err := t.do(t.root, "deploy/onnxruntime/fetch.sh"); err != nil {
		return err
	}
	program := filepath.Join(t.dir, "compare")
	if err := t.do(t.root, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "onnx", "-o", program, "./deploy/onnxruntime/compare"); err != nil {
		return err
	}
	text, err := exec.Command(program, "-repeats", strconv.Itoa(t.repeats)).Output()
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	all, err := parseCompared(string(text))
	if err != nil {
		return err
	}
	for _, c := range all {
		t.say("  %s, %d rows: ONNX Runtime %.1f us, ours %.1f us, %.2fx", c.Model, c.Rows, c.Theirs, c.Ours, c.Gain)
	}
	least, ok := treesGain(all)
	if !ok {
		return errors.New("compare measured no trees")
	}
	return t.figure("trees_gain", least.Gain, fmt.Sprintf("x the speed of the rival, 500 trees of depth 6, the least from 4 rows up (%d rows)", least.Rows), "onnxruntime "+least.Version, 1)
}

func parseCompared(lines string) ([]compared, error) {
	var all []compared
	for line := range strings.Lines(lines) {
		var c compared
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			return nil, fmt.Errorf("compare printed %.200q: %w", line, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// treesGain is the trees' case of the least gain from 4 rows up.
func treesGain(all []compared) (least compared, ok bool) {
	for _, c := range all {
		if strings.HasPrefix(c.Model, "trees") && c.Rows >= 4 && (!ok || c.Gain < least.Gain) {
			least, ok = c, true
		}
	}
	return least, ok
}
