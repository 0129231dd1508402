//go:build e2e

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Traffic of the trials; a trace goes on after its last row for as long as most rows last. What taken is asked is little,
// so that a slow machine finds something to save as well; the spike comes on top of it, and makes five times as much
// of it from one second to the next, for less than a quarter of a minute.
const (
	calmTrace  = "t,req_per_s\n0,24\n5,24\n"
	bulkTrace  = "t,req_per_s\n0,25\n5,25\n"
	spikeTrace = "t,req_per_s\n0,96\n7,96\n"
	graceTrace = "t,req_per_s\n0,2\n45,2\n"
	shortTrace = "t,req_per_s\n0,5\n1,5\n"
)

// sent is what a loader says at its end.
type sent struct {
	text string
	code int
}

// loader sends a trace to a server once, each time that it is called.
func (r *rig) loader(s serverTrial, trace string) func() sent {
	r.t.Helper()
	input, name := s.model, s.model
	if s.input != "" {
		input = s.input
	}
	if s.adopted() {
		name = "m"
	}
	ip := r.kubectl("-n", tunedSpace, "get", "service", s.name, "-o", "jsonpath={.spec.clusterIP}")
	args := []string{"exec", filepath.Join(r.root, "bin", "modelserver"), "load", "--target", "http://" + ip, "--model", input, "--name", name,
		"--rows", fmt.Sprint(max(s.rows, 1)), "--trace", r.file(s.name+".csv", trace), "--every", "20s", "--fail-on-error"}
	return func() sent {
		text, code := r.run("localkube", args...)
		return sent{text, code}
	}
}

// answered: of all that was sent, every request was answered 200. Lines before the last one are of parts of the time, and
// where the loader did not come to its end there is no last one.
func (s sent) answered(t *testing.T, while string) {
	t.Helper()
	_, total, ended := strings.Cut("\n"+s.text, "\ntotal ")
	all, failed := 0, 0
	if m := sums.FindStringSubmatch(total); m != nil {
		fmt.Sscan(m[1], &all)
		fmt.Sscan(m[2], &failed)
	}
	if !ended || s.code != 0 || all == 0 || failed > 0 {
		t.Errorf("requests failed while %s: %d of %d, exit code %d\n%s", while, failed, all, s.code, s.text)
	}
}

// traffic replays a trace against a server until its end; what it returns waits for it, and for every answer.
func (r *rig) traffic(t *testing.T, s serverTrial, trace string) (ended func(t *testing.T, while string)) {
	t.Helper()
	send, out := r.loader(s, trace), make(chan sent, 1)
	go func() { out <- send() }()
	return func(t *testing.T, while string) {
		t.Helper()
		(<-out).answered(t, while)
	}
}

// steady is traffic again and again, until what it returns is called, or t is over.
func (r *rig) steady(t *testing.T, s serverTrial, trace string) (ended func(t *testing.T, while string)) {
	t.Helper()
	var enough atomic.Bool
	send, out := r.loader(s, trace), make(chan []sent, 1)
	go func() {
		var all []sent
		for !enough.Load() {
			all = append(all, send())
		}
		out <- all
	}()
	t.Cleanup(func() { enough.Store(true) })
	return func(t *testing.T, while string) {
		t.Helper()
		enough.Store(true)
		for _, one := range <-out {
			one.answered(t, while)
		}
	}
}
