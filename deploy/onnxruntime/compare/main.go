//go:build onnx && linux

// Command compare measures the two runtimes side by side: ONNX Runtime's time for a batch ÷ that of the
// runtime in pure Go, one thread each. It prints a JSON line for every model and batch size.
//
// Both run in turns, in chunks of a tenth of a second, so that a neighbour's noise meets both. The inputs
// rotate: a constant one flatters trees, whose branches the processor then knows by heart. The time is the
// CPU time of the calling thread; of the chunks the smallest counts, since noise only adds.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/examples"
	"trimtab.dev/trimtab/serving/runtime/ort"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	library := f.String("onnxruntime", ort.Find(os.Getenv, exists), "ONNX Runtime's library")
	repeats := f.Int("repeats", 5, "chunks of each runtime")
	cases := f.String("cases", "trees-500x6=4,16,64;mlp-mid=1,8,32,64;mlp-large=1,8,32,64", "models with their batch sizes")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	goruntime.LockOSThread() // the CPU time is the thread's
	for _, c := range strings.Split(*cases, ";") {
		name, sizes, _ := strings.Cut(c, "=")
		if err := compareModel(name, sizes, *library, *repeats); err != nil {
			return fmt.Errorf("compare %s: %w", name, err)
		}
	}
	return nil
}

func exists(file string) bool { _, err := os.Stat(file); return err == nil }

func compareModel(name, sizes, library string, repeats int) error {
	data, err := examples.Export(name)
	if err != nil {
		return err
	}
	theirs, err := ort.Open(library, data, 1)
	if err != nil {
		return err
	}
	defer theirs.Close()
	ours, err := builtin.Open(data)
	if err != nil {
		return err
	}
	defer ours.Close()
	version, err := ort.Loaded(library)
	if err != nil {
		return err
	}
	for _, text := range strings.Split(sizes, ",") {
		rows, err := strconv.Atoi(text)
		if err != nil || rows < 1 {
			return fmt.Errorf("%q is not a batch size", text)
		}
		line, err := compareSize(name, rows, repeats, theirs, ours)
		if err != nil {
			return err
		}
		line.ORT = version
		line.round()
		if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// line is what is printed. Times are CPU microseconds of a batch.
type line struct {
	Model   string  `json:"model"`
	Rows    int     `json:"rows"`
	Inputs  int     `json:"inputs"` // different batches, in rotation
	ORT     string  `json:"onnxruntime"`
	Theirs  float64 `json:"onnxruntime_us"`
	Ours    float64 `json:"builtin_us"`
	Ratio   float64 `json:"onnxruntime_over_builtin"`
	Median  float64 `json:"median_ratio"` // of the pairs of chunks
	Differ  float64 `json:"largest_difference"`
	Repeats int     `json:"repeats"`
}

// round leaves what can be told apart.
func (l *line) round() {
	for _, v := range []*float64{&l.Theirs, &l.Ours, &l.Ratio, &l.Median} {
		*v = math.Round(*v*1000) / 1000
	}
}

func compareSize(name string, rows, repeats int, theirs, ours runtime.Model) (line, error) {
	batches, err := inputs(name, rows)
	if err != nil {
		return line{}, err
	}
	l := line{Model: name, Rows: rows, Inputs: len(batches), Repeats: repeats}
	t, err := theirs.Session()
	if err != nil {
		return l, err
	}
	o, err := ours.Session()
	if err != nil {
		return l, err
	}
	if l.Differ, err = difference(t, o, batches, rows); err != nil {
		return l, err
	}
	var ratios []float64
	for range repeats {
		a, errA := chunk(t, batches, rows)
		b, errB := chunk(o, batches, rows)
		if err := errors.Join(errA, errB); err != nil {
			return l, err
		}
		ratios = append(ratios, a/b)
		l.Theirs, l.Ours = least(l.Theirs, a), least(l.Ours, b)
	}
	l.Ratio, l.Median = l.Theirs/l.Ours, median(ratios)
	return l, nil
}
