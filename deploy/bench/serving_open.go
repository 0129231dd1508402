package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// sloMillis is what an answer of the open loops may take, 99 of 100 times.
const sloMillis = 20

// openOutput is what modelserver bench --json prints; zero where it is absent.
type openOutput struct {
	Requests  int
	OK        int
	Different int
	Refused   int
	Failed    int
	TimedOut  int `json:"timed_out"`
	RPS       float64
	Goodput   float64  `json:"goodput_rps"`
	LastMiss  *float64 `json:"last_miss_s"`
	P50       float64  `json:"p50_ms"`
	P99       float64  `json:"p99_ms"`
	Cores     float64
	MeanBatch float64 `json:"mean_batch"`
	Why       string  `json:"first_fault"`
}

// bad is how many requests had no answer, or another one than --same-as.
func (o openOutput) bad() int { return o.Different + o.Refused + o.Failed + o.TimedOut }

// benchServer runs modelserver bench on a server, and returns the CPU seconds that it used itself. before
// is what runs it, like taskset.
func (t *trial) benchServer(s *server, before []string, args ...string) (openOutput, float64, error) {
	var pids []string
	for _, pid := range s.pids() {
		pids = append(pids, strconv.Itoa(pid))
	}
	argv := append(before[:len(before):len(before)], t.binary, "bench", "--target", s.url, "--model", s.model, "--pid", strings.Join(pids, ","), "--json")
	argv = append(argv, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	var faults strings.Builder
	cmd.Stderr = &faults
	text, err := cmd.Output()
	if err != nil {
		return openOutput{}, 0, fmt.Errorf("modelserver bench: %w: %s", err, faults.String())
	}
	var out openOutput
	err = json.Unmarshal(text, &out)
	return out, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), err
}

// openCell is the medians of one server at one rate.
type openCell struct{ cores, p99, batch, bad float64 }

// open measures open loops of even arrivals: the adaptive server beside static delays.
func (t *trial) open() error {
	servers, err := t.openServers()
	if err != nil {
		return err
	}
	cells := map[string]openCell{}
	for _, arrivals := range []string{"constant", "poisson"} {
		if err := t.openLoops(servers, arrivals, cells); err != nil {
			return err
		}
	}
	var faults []error
	for _, rate := range openRates {
		faults = append(faults, t.openFigures(servers, rate, "constant", "", cells), t.openFigures(servers, rate, "poisson", "_poisson", cells))
	}
	return errors.Join(faults...)
}

// openServers starts the adaptive server, first, and one for each static delay.
func (t *trial) openServers() ([]*server, error) {
	file, err := t.model("mlp-large")
	if err != nil {
		return nil, err
	}
	ours, err := t.serve(rowOurs, file, nil, "--batching", "adaptive", "--slo", "20ms", "--batch-size", "64")
	if err != nil {
		return nil, err
	}
	servers := []*server{ours}
	for _, delay := range staticDelays {
		s, err := t.serve("static "+delay, file, nil, "--batching", "static", "--max-queue-delay", delay, "--slo", "0s", "--batch-size", "64")
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func openKey(s *server, rate int, arrivals string) string { return fmt.Sprint(s.name, rate, arrivals) }

// openLoops measures every server at every rate, interleaved. Poisson arrivals get fewer repeats: they
// show that nothing depends on even ones.
func (t *trial) openLoops(servers []*server, arrivals string, cells map[string]openCell) error {
	all := map[string][]openOutput{}
	repeats := t.repeats
	if arrivals == "poisson" {
		repeats = min(t.repeats, mostBetween)
	}
	for repeat := range repeats {
		t.say("  open loop, %s arrivals, repeat %d of %d", arrivals, repeat+1, repeats)
		for _, rate := range openRates {
			for _, s := range turned(servers, repeat) {
				out, err := t.openWindow(s, rate, arrivals, repeat)
				if err != nil {
					return err
				}
				key := openKey(s, rate, arrivals)
				all[key] = append(all[key], out)
			}
		}
	}
	for key, outs := range all {
		cells[key] = medianOpen(outs)
	}
	printOpen(servers, arrivals, cells)
	return nil
}

func (t *trial) openWindow(s *server, rate int, arrivals string, repeat int) (out openOutput, err error) {
	if err := t.wake(s); err != nil {
		return out, err
	}
	err = t.calm(fmt.Sprintf("%s at %d/s, %s", s.name, rate, arrivals), func() (float64, error) {
		begin := time.Now()
		var client float64
		out, client, err = t.benchServer(s, nil, "--rate", strconv.Itoa(rate), "--arrivals", arrivals, "--seed", strconv.Itoa(repeat+1),
			"--duration", t.window.String(), "--warmup", "500ms", "--slo", "20ms", "--metrics", s.url+"/metrics")
		return out.Cores*time.Since(begin).Seconds() + client, err
	})
	return out, err
}

func medianOpen(outs []openOutput) openCell {
	of := func(get func(openOutput) float64) float64 { return medianOf(outs, get) }
	return openCell{
		cores: of(func(o openOutput) float64 { return o.Cores }), p99: of(func(o openOutput) float64 { return o.P99 }),
		batch: of(func(o openOutput) float64 { return o.MeanBatch }), bad: of(func(o openOutput) float64 { return float64(o.bad()) / float64(o.Requests) }),
	}
}

func printOpen(servers []*server, arrivals string, cells map[string]openCell) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s arrivals\trequests/s\tcores\tp99 ms\tbatch\trefused\t\n", arrivals)
	for _, rate := range openRates {
		for _, s := range servers {
			c := cells[openKey(s, rate, arrivals)]
			fmt.Fprintf(w, "%s\t%d\t%.3f\t%.2f\t%.2f\t%.1f %%\t\n", s.name, rate, c.cores, c.p99, c.batch, 100*c.bad)
		}
	}
	w.Flush()
}

// openFigures records the adaptive server's cores, the first's, beside those of the best static delay.
func (t *trial) openFigures(servers []*server, rate int, arrivals, suffix string, cells map[string]openCell) error {
	ours := cells[openKey(servers[0], rate, arrivals)]
	names, static := []string{}, []openCell{}
	for _, s := range servers[1:] {
		names, static = append(names, s.name), append(static, cells[openKey(s, rate, arrivals)])
	}
	i, ok := bestStatic(static)
	at := fmt.Sprintf("%s_%d", suffix, rate)
	if !ok {
		return errors.Join(fmt.Errorf("no static delay keeps a p99 of %d ms at %d/s, %s arrivals: there is nothing to compare with", sloMillis, rate, arrivals),
			t.alone("openloop_cores"+at, ours.cores, "cores"), t.alone("openloop_p99_ms"+at, ours.p99, "ms"))
	}
	if ours.p99 > sloMillis {
		t.say("  the adaptive server's p99 at %d/s is %.2f ms, above the SLO", rate, ours.p99)
	}
	return errors.Join(
		t.figure("openloop_ratio"+at, ours.cores/static[i].cores, "x the cores of the best static delay with a p99 within 20 ms", "our server, "+names[i], 1),
		t.figure("openloop_cores"+at, ours.cores, "cores", "our server, "+names[i], static[i].cores),
		t.figure("openloop_p99_ms"+at, ours.p99, "ms", "our server, "+names[i], static[i].p99),
	)
}

// bestStatic is the cell of the fewest cores among those that keep the SLO and refuse nothing.
func bestStatic(cells []openCell) (best int, ok bool) {
	least := math.Inf(1)
	for i, c := range cells {
		if c.p99 <= sloMillis && c.bad == 0 && c.cores < least {
			best, least, ok = i, c.cores, true
		}
	}
	return best, ok
}
