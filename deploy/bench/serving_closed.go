package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"
)

// What the rows of the tables are called.
const (
	rowOurs      = "adaptive"
	rowUnbatched = "batching off"
	rowStatic    = "static 2ms"
	rowKServe    = "KServe agent"
	rowNode      = "node ORT"
)

// mostBetween is how often those loops are repeated that the main figures are not taken of: closed ones of
// neither 1 nor 64 connections, and open ones of Poisson arrivals.
const mostBetween = 2

// closedTable is the medians of closed loops, by row and connections.
type closedTable struct {
	rows  []row
	conns []int
	cells map[string]sample // by cell
}

func cell(r row, conns int) string { return fmt.Sprint(r, ", ", conns) }

// of is the median sample of a server's row.
func (c closedTable) of(name, body string, conns int) sample {
	return c.cells[fmt.Sprintf("%s, %s, %d", name, body, conns)]
}

// wholeRequests are the flags of a server that computes each request of the agent, which has one at a time,
// as one batch and at once. Batching off would compute its rows one by one.
func wholeRequests() []string {
	return []string{"--batching", "static", "--max-queue-delay", "0s", "--slo", "0s", "--batch-size", "64"}
}

// closedServers starts the servers of a closed-loop table on one model.
func (t *trial) closedServers(model string) (rows []row, err error) {
	file, err := t.model(model)
	if err != nil {
		return nil, err
	}
	ours, err := t.serve(rowOurs, file, nil, "--batching", "adaptive", "--slo", "20ms", "--batch-size", "64")
	off, err2 := t.serve(rowUnbatched, file, nil, "--batching", "off", "--slo", "0s")
	static, err3 := t.serve(rowStatic, file, nil, "--batching", "static", "--max-queue-delay", "2ms", "--slo", "0s", "--batch-size", "64")
	behind, err4 := t.serve("behind the agent", file, nil, wholeRequests()...)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return nil, err
	}
	agent, err := t.kserve(behind)
	if err != nil {
		return nil, err
	}
	rows = []row{{ours, "json"}, {ours, "binary"}, {off, "json"}, {static, "json"}, {agent, "v1"}}
	if t.rivals.node != "" {
		node, err := t.nodeServer(file)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{node, "json"})
	}
	return rows, t.verify(rows, off)
}

// verify asks every server for the same rows: what answers otherwise is no rival.
func (t *trial) verify(rows []row, right *server) error {
	for _, r := range rows {
		if err := t.wake(&server{parts: append(r.server.parts[:len(r.server.parts):len(r.server.parts)], right.parts...)}); err != nil {
			return err
		}
		args := append([]string{"bench", "--target", r.server.url, "--model", r.server.model, "--warmup", "0s", "--requests", "64", "--connections", "4", "--same-as", right.url, "--fail-on-error"}, r.form()...)
		if out, err := exec.Command(t.binary, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("answers of %s: %w: %s", r, err, out)
		}
	}
	return nil
}

// closedLoops measures the rows at each number of connections, interleaved: a disturbance of a minute
// then falls on all rows alike.
func (t *trial) closedLoops(rows []row, conns []int) (closedTable, error) {
	all := map[string][]sample{}
	for repeat := range t.repeats {
		for _, n := range conns {
			if n != 1 && n != 64 && repeat >= mostBetween {
				continue
			}
			t.say("  closed loop, repeat %d of %d, %d connections", repeat+1, t.repeats, n)
			for _, r := range turned(rows, repeat) {
				s, err := t.closed(r, n)
				if err != nil {
					return closedTable{}, err
				}
				all[cell(r, n)] = append(all[cell(r, n)], s)
			}
		}
	}
	table := closedTable{rows, conns, map[string]sample{}}
	for key, samples := range all {
		table.cells[key] = medianSample(samples)
	}
	table.print()
	return table, nil
}

// turned begins with another one in each repeat: what comes first in a round differs.
func turned[T any](all []T, by int) []T {
	by %= len(all)
	return append(slices.Clone(all[by:]), all[:by]...)
}

// medianSample takes the median of each figure by itself.
func medianSample(all []sample) sample {
	of := func(get func(sample) float64) float64 { return medianOf(all, get) }
	return sample{
		rps: of(func(s sample) float64 { return s.rps }), cpu: of(func(s sample) float64 { return s.cpu }), cores: of(func(s sample) float64 { return s.cores }),
		p50: of(func(s sample) float64 { return s.p50 }), p99: of(func(s sample) float64 { return s.p99 }), bad: of(func(s sample) float64 { return s.bad }),
		batch: of(func(s sample) float64 { return s.batch }), share: of(func(s sample) float64 { return s.share }),
	}
}

func (c closedTable) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "server\tbody\tconnections\tanswers/s\tCPU us\tcores\tp50 ms\tp99 ms\tbatch\truntime\trefused\t")
	for _, n := range c.conns {
		for _, r := range c.rows {
			s := c.cells[cell(r, n)]
			fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%.1f %%\t\n", r.server.name, r.body, n, s.rps, s.cpu, s.cores, s.p50, s.p99, number(s.batch, 1), percent(s.share), 100*s.bad)
		}
	}
	w.Flush()
}

func number(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// large measures the closed loops of the large MLP and records their figures.
func (t *trial) large() error {
	rows, err := t.closedServers("mlp-large")
	if err != nil {
		return err
	}
	c, err := t.closedLoops(rows, []int{1, 8, 32, 64})
	if err != nil {
		return err
	}
	single, err := t.single("mlp-large")
	if err != nil {
		return err
	}
	ours, binary, off, agent := c.of(rowOurs, "json", 64), c.of(rowOurs, "binary", 64), c.of(rowUnbatched, "json", 64), c.of(rowKServe, "v1", 64)
	one, oneOff, oneStatic := c.of(rowOurs, "json", 1), c.of(rowUnbatched, "json", 1), c.of(rowStatic, "json", 1)
	rival := t.kserveName()
	return errors.Join(
		t.figure("gain_over_unbatched", single, "x the answers/s of batching off, 64 connections, one instance each", rival+", on two", agent.rps/off.rps),
		t.figure("gain_over_unbatched_two", ours.rps/off.rps, "x the answers/s of batching off, 64 connections, an instance on each of two cores", rival, agent.rps/off.rps),
		t.figure("rps_json_64", ours.rps, "answers/s", rival, agent.rps),
		t.figure("cpu_us_json_64", ours.cpu, "us of server CPU an answer", rival, agent.cpu),
		t.figure("cpu_us_binary_64", binary.cpu, "us of server CPU an answer", rival+" (JSON)", agent.cpu),
		t.alone("rps_binary_64", binary.rps, "answers/s"),
		t.alone("p99_ms_json_64", ours.p99, "ms"),
		t.alone("runtime_share_json", ours.share, "of the server's CPU, 64 connections"),
		t.alone("runtime_share_binary", binary.share, "of the server's CPU, 64 connections"),
		t.figure("p50_ratio_1conn", one.p50/oneOff.p50, "x the p50 of batching off, 1 connection", "our server with a static 2 ms", oneStatic.p50/oneOff.p50),
		t.besides(c),
	)
}

// single is how many times the answers of batching off ours gives at 64 connections, with one instance each.
// On both cores the comparison has a ceiling: there it is of CPU for CPU, protocol included.
func (t *trial) single(model string) (float64, error) {
	t.stopAll()
	file, err := t.model(model)
	if err != nil {
		return 0, err
	}
	ours, err := t.serve(rowOurs+", one instance", file, nil, "--batching", "adaptive", "--slo", "20ms", "--batch-size", "64", "--instances", "1")
	off, err2 := t.serve(rowUnbatched+", one instance", file, nil, "--batching", "off", "--slo", "0s", "--instances", "1")
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	c, err := t.closedLoops([]row{{ours, "json"}, {off, "json"}}, []int{64})
	if err != nil {
		return 0, err
	}
	return c.of(ours.name, "json", 64).rps / c.of(off.name, "json", 64).rps, nil
}

func (t *trial) kserveName() string {
	return "KServe agent " + t.rivals.agentVersion + ", 32 rows, 2 ms"
}

// besides records our JSON figures at 64 connections beside each other rival's.
func (t *trial) besides(c closedTable) error {
	ours := c.of(rowOurs, "json", 64)
	var faults []error
	for _, r := range c.rows {
		if r.server.name == rowOurs || r.server.name == rowKServe {
			continue
		}
		theirs, name := c.of(r.server.name, r.body, 64), r.server.name
		if name == rowNode {
			name = t.rivals.nodeVersion
		} else {
			name = "our server, " + name
		}
		key := strings.ReplaceAll(r.server.name, " ", "_")
		faults = append(faults,
			t.figure("rps_json_64_beside_"+key, ours.rps, "answers/s", name, theirs.rps),
			t.figure("cpu_us_json_64_beside_"+key, ours.cpu, "us of server CPU an answer", name, theirs.cpu))
	}
	return errors.Join(faults...)
}

// mid measures the closed loops of the mid MLP and records their figures.
func (t *trial) mid() error {
	rows, err := t.closedServers("mlp-mid")
	if err != nil {
		return err
	}
	c, err := t.closedLoops(rows, []int{64})
	if err != nil {
		return err
	}
	agent, rival := c.of(rowKServe, "v1", 64), t.kserveName()
	return errors.Join(
		t.figure("cpu_us_json_64_mid", c.of(rowOurs, "json", 64).cpu, "us of server CPU an answer", rival, agent.cpu),
		t.figure("cpu_us_binary_64_mid", c.of(rowOurs, "binary", 64).cpu, "us of server CPU an answer", rival+" (JSON)", agent.cpu),
		t.figure("rps_json_64_mid", c.of(rowOurs, "json", 64).rps, "answers/s", rival, agent.rps),
	)
}
