//go:build onnx

package ort

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/builtin"
)

// TestBuiltinAgrees holds the runtime of pure Go against the library, on every operator and every example
// model, over random inputs and the batch sizes at which kernels change their ways.
func TestBuiltinAgrees(t *testing.T) {
	library := found(t)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			for seed := range c.seeds {
				agree(t, library, c, rand.New(rand.NewPCG(seed, 7)))
			}
		})
	}
}

func agree(t *testing.T, library string, c testCase, r *rand.Rand) {
	t.Helper()
	data := c.file(t, r)
	theirs, err := Open(library, data, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours, err := builtin.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	same(t, theirs.Meta(), ours.Meta())
	a, b := session1(t, theirs), session1(t, ours)
	for _, rows := range c.sizes {
		batch := c.batch(t, r, ours.Meta().Inputs, rows)
		want, err := a.Run(batch, rows)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Run(batch, rows)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if err := near(got[i], want[i], tolerance); err != nil {
				t.Errorf("%d rows, output %q: %v", rows, ours.Meta().Outputs[i].Name, err)
			}
		}
	}
}

// same is what both say of the model. Lengths that only one of them infers may be -1 at the other.
func same(t *testing.T, theirs, ours runtime.Meta) {
	t.Helper()
	for i, pair := range [][2][]runtime.Spec{{theirs.Inputs, ours.Inputs}, {theirs.Outputs, ours.Outputs}} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("inputs or outputs %d: %v and %v", i, pair[0], pair[1])
		}
		for j, s := range pair[0] {
			o := pair[1][j]
			if s.Name != o.Name || s.Type != o.Type || len(s.Shape) != len(o.Shape) {
				t.Errorf("%v and %v", s, o)
			}
		}
	}
	if theirs.MaxRows != ours.MaxRows || theirs.Measure != ours.Measure || len(theirs.Golden) != len(ours.Golden) {
		t.Errorf("%+v and %+v", theirs, ours)
	}
}

var update = flag.Bool("update", false, "record the library's answers in testdata")

// TestRecord writes what TestRecordedAnswers reads.
func TestRecord(t *testing.T) {
	if !*update {
		t.Skip("-update records")
	}
	library := found(t)
	version, err := Loaded(library)
	if err != nil {
		t.Fatal(err)
	}
	answers := recording{Version: version}
	for _, c := range cases() {
		r := rand.New(rand.NewPCG(1, 7))
		m, err := Open(library, c.file(t, r), 1)
		if err != nil {
			t.Fatal(err)
		}
		out, err := session1(t, m).Run(c.batch(t, r, m.Meta().Inputs, recordedRows), recordedRows)
		if err != nil {
			t.Fatal(err)
		}
		answers.Cases = append(answers.Cases, recorded{c.name, spread(out)})
		_ = m.Close()
	}
	if err := os.WriteFile(recordFile, answers.text(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// text has a line for each case.
func (r recording) text(t *testing.T) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"onnxruntime\": %q, \"cases\": [", r.Version)
	for i, c := range r.Cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		fmt.Fprintf(&out, "%s\n%s", map[bool]string{true: ","}[i > 0], line)
	}
	return append(out.Bytes(), "\n]}\n"...)
}
