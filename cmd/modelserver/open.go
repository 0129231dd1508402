package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
	"trimtab.dev/trimtab/serving/runtime/examples"
	"trimtab.dev/trimtab/serving/runtime/ort"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// Names of the runtimes.
const (
	runtimeAuto    = "auto"
	runtimeBuiltin = "builtin"
	runtimeONNX    = "onnx"
)

// opener opens models for the server: from a file, an example by its name, or a simulated one ("sim:...").
type opener struct {
	library string // of ONNX Runtime; empty: looked for
	log     func(msg string, args ...any)
}

// named reports a model that is no file: an example, or a simulated one.
func named(file string) bool {
	return strings.HasPrefix(file, "sim:") || slices.Contains(exampleNames(), file)
}

// open opens a model, whose content is data if it is a file, with a runtime. Auto takes the builtin one, and
// ONNX Runtime for what that cannot compute, where its library is there.
func (o opener) open(name, file string, data []byte) (m runtime.Model, err error) {
	if spec, is := strings.CutPrefix(file, "sim:"); is {
		return sim.Parse(spec)
	}
	if slices.Contains(exampleNames(), file) {
		if data, err = examples.Export(file); err != nil {
			return nil, err
		}
	}
	if name == runtimeONNX {
		return o.onnx(data)
	}
	m, err = builtin.Open(data)
	if err == nil || name == runtimeBuiltin {
		return m, err
	}
	if other, err2 := o.onnx(data); err2 == nil {
		o.log("the builtin runtime cannot compute this model; ONNX Runtime does", "model", file, "why", err.Error())
		return other, nil
	}
	return nil, err
}

// onnx opens a model with ONNX Runtime. One thread a batch: the server computes a batch on each core.
func (o opener) onnx(data []byte) (runtime.Model, error) {
	library := o.library
	if library == "" {
		library = findLibrary()
	}
	return ort.Open(library, data, 1)
}

// findLibrary looks beside the program, then where `make onnxruntime` puts it; the rest is left to the loader.
func findLibrary() string {
	exists := func(file string) bool { _, err := os.Stat(file); return err == nil }
	if self, err := os.Executable(); err == nil {
		if beside := filepath.Join(filepath.Dir(self), "libonnxruntime.so.1"); exists(beside) {
			return beside
		}
	}
	return ort.Find(os.Getenv, exists)
}

// exampleNames are all models that the program makes by itself.
func exampleNames() []string { return append(examples.Names(), examples.Benchmarks()...) }
