package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// How many combinations are simulated; a quick run tries a few.
const (
	simulatedAll   = 2000
	simulatedQuick = 60
)

// simulation has a test of recommender/capacity compare predictions with long simulations, which takes some
// minutes, and records what it prints.
func (t *tuner) simulation() error {
	n := simulatedAll
	if t.quick {
		n = simulatedQuick
	}
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout=30m", "-run=^TestSweep$", "-v", "./recommender/capacity")
	cmd.Dir = t.root
	cmd.Env = append(os.Environ(), "CAPACITY_SWEEP="+strconv.Itoa(n))
	out, failed := cmd.CombinedOutput()
	swept, err := sweptOf(string(out))
	if err != nil {
		return errors.Join(fmt.Errorf("%w: %s", err, lastLine(out)), failed)
	}
	if failed != nil {
		failed = fmt.Errorf("the sweep in simulation is not content: %s", lastLine(out))
	}
	for _, line := range swept.lines {
		t.say("  %s", line)
	}
	if swept.combinations != n {
		failed = errors.Join(failed, fmt.Errorf("%d combinations were simulated, not %d", swept.combinations, n))
	}
	return errors.Join(failed, t.simulationFigures(swept))
}

func (t *tuner) simulationFigures(s swept) error {
	unit := fmt.Sprintf("%% of simulations ten times as long, %d combinations", s.combinations)
	ours, mean := s.errors["p99"], s.errors["mean values"]
	return errors.Join(
		t.beside("simulation_p99_median_error_pct", ours.median, unit, "mean-value queue", mean.median),
		t.beside("simulation_p99_median_error_pct", ours.median, unit, "M/D/1", s.errors["M/D/1"].median),
		t.beside("simulation_p99_p90_error_pct", ours.p90, unit, "mean-value queue", mean.p90),
		t.tuned("simulation_p99_worst_error_pct", ours.worst, unit),
		t.tuned("simulation_cores_error_pct", s.errors["cores"].median, "median, "+unit),
	)
}

// swept is what the test printed.
type swept struct {
	combinations int
	errors       map[string]percents // by what is predicted, or by whom
	lines        []string
}

// percents are errors summed up.
type percents struct{ median, p90, worst float64 }

// sweptOf reads the test's output: how many combinations there were, and a line of errors for each way to predict.
func sweptOf(text string) (swept, error) {
	s := swept{errors: map[string]percents{}}
	if m := regexp.MustCompile(`(\d+) combinations, `).FindStringSubmatch(text); m != nil {
		s.combinations, _ = strconv.Atoi(m[1]) // digits
	}
	lines := regexp.MustCompile(`(p99|cores|mean values|M/D/1): median ([0-9.]+) %, 90th percentile ([0-9.]+) %, worst ([0-9.]+) %`)
	for _, m := range lines.FindAllStringSubmatch(text, -1) {
		var p percents
		for i, to := range []*float64{&p.median, &p.p90, &p.worst} {
			v, err := strconv.ParseFloat(m[2+i], 64)
			if err != nil {
				return s, fmt.Errorf("%q: %w", m[0], err)
			}
			*to = v
		}
		s.errors[m[1]] = p
		s.lines = append(s.lines, strings.TrimSpace(m[0]))
	}
	for _, name := range []string{"p99", "cores", "mean values", "M/D/1"} {
		if _, ok := s.errors[name]; !ok {
			return s, fmt.Errorf("go test said nothing of the errors of %s", name)
		}
	}
	return s, nil
}
