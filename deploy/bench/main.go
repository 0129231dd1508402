// Command bench measures one family and appends JSON lines to bench.jsonl. It says what it runs, so
// that every figure can be had again with the command in its line.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// line is one figure. Rival is what it stands beside in the same run; empty where there is none.
type line struct {
	Name       string   `json:"name"`
	Value      float64  `json:"value"`
	Unit       string   `json:"unit"`
	Rival      string   `json:"rival"`
	RivalValue *float64 `json:"rival_value"`
	Command    string   `json:"command"`
}

type bench struct {
	root string
	file *os.File
	args []string // after the family's name
}

// family is a set of figures measured together.
type family struct {
	name, about string
	run         func(bench) error
}

var errUsage = errors.New("usage")

func main() {
	err := run(os.Args[1:])
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func families() []family {
	return []family{
		{"demo", "make demo from empty Go caches (Debian packages stay), then again from built binaries: about 15 minutes", demo},
		{"plan", "trimtab plan against the running demo, 20 times", plan},
		{"test", "make test with the caches that are there: run it after a make test; about 10 minutes", test},
		{"serving", "the inference server beside other batchers: about 12 minutes; BENCH=\"serving --quick\" tries it", serving},
		{"upstream", "our admission answers beside those of Kubernetes' own code, 300,000 cases: 20 seconds once it is compiled", upstream},
		{"tuner", "the capacity model, the joint plan and live tuning beside others: over two hours, of which --only prediction,optimum takes about 70 minutes; BENCH=\"tuner --quick\" tries it", tune},
		{"recommender", "requests, replicas and shared GPUs by our rules and by those of others on recorded series, TRACES=folder: 9 minutes on 2 busy cores once the genuine VPA is compiled; BENCH=\"recommender --only calendars\" needs no series", recommend},
		{"diurnal", "requests resized ahead of each rise of a compressed day, on a cluster, beside a request for the peak: about 25 minutes; BENCH=\"diurnal --days 1\" tries it", rehearse},
	}
}

func run(args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	root := fs.String("root", ".", "repository `folder`")
	if err := fs.Parse(args); err != nil {
		return errUsage
	}
	abs, err := filepath.Abs(*root)
	if err != nil {
		return err
	}
	for _, f := range families() {
		if f.name == fs.Arg(0) {
			return measure(f, abs, fs.Args()[1:])
		}
	}
	fmt.Fprintln(os.Stderr, "Name a family: make bench BENCH=name")
	for _, f := range families() {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", f.name, f.about)
	}
	return errUsage
}

func measure(f family, root string, args []string) error {
	file, err := os.OpenFile(filepath.Join(root, "bench.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(f.run(bench{root, file, args}), file.Close())
}

// record writes one figure and shows it.
func (b bench) record(name string, value float64, unit, command string) error {
	return b.write(line{Name: name, Value: value, Unit: unit, Command: command})
}

func (b bench) write(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", text)
	_, err = fmt.Fprintf(b.file, "%s\n", text)
	return err
}

// make runs a target with extra environment and gives the seconds it took.
func (b bench) make(env []string, args ...string) (float64, error) {
	cmd := exec.Command("make", append([]string{"-C", b.root}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	start := time.Now()
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("make %v: %w", args, err)
	}
	return time.Since(start).Seconds(), err
}

// demo measures the demo twice in an output folder of its own.
func demo(b bench) error {
	tmp, err := os.MkdirTemp("", "trimtab-bench-")
	if err != nil {
		return err
	}
	defer func() { // the module cache is read-only
		exec.Command("chmod", "-R", "u+w", tmp).Run()
		os.RemoveAll(tmp)
	}()
	env := []string{"GOCACHE=" + tmp + "/build", "GOMODCACHE=" + tmp + "/modules", "XDG_CACHE_HOME=" + tmp + "/cache", "LOCALKUBE_STATE=" + tmp + "/state"}
	for _, round := range []string{"cold", "warm"} {
		if err := b.demoRound(round, filepath.Join(tmp, round), env); err != nil {
			return err
		}
	}
	return nil
}

// demoRound measures one demo from make to its last line, and its end. What is the same in both
// rounds is recorded in the one that its aim is set for: the first result cold, the cluster built.
func (b bench) demoRound(round, out string, env []string) error {
	const command = "make bench BENCH=demo"
	took, err := b.make(env, "demo", "OUT="+out)
	if err != nil {
		return err
	}
	times, err := timesOf(filepath.Join(out, "times.json"))
	if err != nil {
		return err
	}
	down, err := b.make(env, "demo-down", "OUT="+out)
	if err != nil {
		return err
	}
	before := took - times["demo.total_s"] // make, and the compiler for the small programs
	if round == "cold" {
		return errors.Join(
			b.record("demo.cold_s", took, "s", command),
			b.record("demo.first_result_s", before+times["demo.first_result_s"], "s", command),
		)
	}
	return errors.Join(
		b.record("demo.warm_s", took, "s", command),
		b.record("demo.recommended_after_ready_s", times["demo.recommended_after_ready_s"], "s", command),
		b.record("demo.acted_s", times["demo.acted_s"], "s", command),
		b.record("demo.requests_failed", times["demo.requests_failed"], "of "+strconv.Itoa(int(times["demo.requests_sent"])), command),
		b.record("demo.restarts", times["demo.restarts"], "containers", command),
		b.record("cluster.up_s", times["cluster.up_s"], "s", command),
		b.record("cluster.down_s", down, "s", command),
	)
}

func timesOf(name string) (times map[string]float64, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return times, json.Unmarshal(text, &times)
}

// plan measures what a person waits for, the median and the worst of 20.
func plan(b bench) error {
	var took []float64
	for range 20 {
		start := time.Now()
		cmd := exec.Command(filepath.Join(b.root, "bin", "trimtab"), "plan", "--kubeconfig", filepath.Join(b.root, "demo-out", "kubeconfig"))
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("trimtab plan: %w; is the demo up?", err)
		}
		took = append(took, time.Since(start).Seconds())
	}
	median, worst := summary(took)
	return errors.Join(
		b.record("plan.median_s", median, "s", "make bench BENCH=plan"),
		b.record("plan.worst_s", worst, "s", "make bench BENCH=plan"),
	)
}

// test measures the whole test with the caches that are there.
func test(b bench) error {
	took, err := b.make(nil, "test")
	if err != nil {
		return err
	}
	return b.record("test.warm_s", took, "s", "make bench BENCH=test")
}
