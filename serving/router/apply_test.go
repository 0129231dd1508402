package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// one is a configuration of model a with one version.
func one(version, file, more string) string {
	return fmt.Sprintf(`{%s"models": [{"name": "a", "versions": [{"version": %q, "file": "$/%s"}]}]}`, more, version, file)
}

// TestApply walks through loads, swaps and rollbacks: what answers, and how often a model had to be loaded.
func TestApply(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f1", 10)
	r.adds("f2", 20)
	r.file("broken", `{"mul": `)
	r.file("wrong", `{"mul": 1, "add": 5, "golden": 7}`)
	r.file("right", `{"mul": 1, "add": 5, "golden": 6}`)
	steps := []struct {
		name   string
		do     func()
		by     string
		answer float32
		loads  int64 // so far
		open   int64 // loaded now, with the old ones
	}{
		{"first", func() { r.applies(one("1", "f1", "")) }, "a 1", 11, 1, 1},
		{"the same", func() { r.applies(one("1", "f1", "")) }, "a 1", 11, 1, 1},
		{"settings", func() { r.applies(one("1", "f1", `"batch_size": 2, `)) }, "a 1", 11, 1, 1},
		{"other version", func() { r.applies(one("2", "f2", "")) }, "a 2", 21, 2, 2},
		{"rollback", func() { r.applies(one("1", "f1", "")) }, "a 1", 11, 2, 2},
		{"and forth", func() { r.applies(one("2", "f2", "")) }, "a 2", 21, 2, 2},
		{"a moved file", func() { r.adds("f3", 20); r.applies(one("2", "f3", "")) }, "a 2", 21, 2, 2},
		{"swap in place", func() { r.adds("f3", 30); r.applies(one("2", "f3", "")) }, "a 2", 31, 3, 2},
		{"and back", func() { r.applies(one("2", "f2", "")) }, "a 2", 21, 3, 2},
		{"broken", func() { r.refuses(one("3", "broken", ""), "models[0].versions[0] (a 3): open "+r.dir+"/broken: toy") }, "a 2", 21, 3, 2},
		{"missing", func() { r.refuses(one("3", "none", ""), "read model: open "+r.dir+"/none") }, "a 2", 21, 3, 2},
		{"golden rows differ", func() { r.refuses(one("3", "wrong", ""), "start model a version 3") }, "a 2", 21, 4, 2},
		{"golden rows agree", func() { r.applies(one("3", "right", "")) }, "a 3", 6, 5, 2},
		{"two faults, and what was good is unloaded", func() {
			r.refuses(`{"models": [{"name": "b", "versions": [{"version": "1", "file": "$/f1"}]}, {"name": "c", "versions": [{"version": "1", "file": "$/broken"}, {"version": "2", "file": "$/none"}]}]}`,
				"models[1].versions[0] (c 1): open & models[1].versions[1] (c 2): read model")
		}, "a 3", 6, 6, 2},
		{"a fault elsewhere leaves the old where it was", func() {
			r.refuses(`{"models": [{"name": "a", "versions": [{"version": "2", "file": "$/f2"}]}, {"name": "b", "versions": [{"version": "1", "file": "$/none"}]}]}`, "models[1].versions[0] (b 1)")
			r.applies(one("2", "f2", ""))
		}, "a 2", 21, 6, 2},
		{"by name", func() {
			r.applies(strings.ReplaceAll(one("4", "f1", ""), "$/f1", "toy:{\\\"mul\\\": 2}"))
		}, "a 4", 2, 7, 2},
	}
	for _, step := range steps {
		step.do()
		r.answers("a", "", step.answer, step.by)
		if !eventually(func() bool { return r.open.Load() == step.open }) || r.load.Load() != step.loads {
			t.Errorf("%s: %d models were loaded, %d are; want %d, %d", step.name, r.load.Load(), r.open.Load(), step.loads, step.open)
		}
	}
	if _, _, err := r.Pick("b", "", Hint{}); !errors.Is(err, ErrUnknownModel) {
		t.Errorf("a model that was never in force: %v", err)
	}
	if n := len(r.files.seen); n != 0 { // the one in force has no file
		t.Errorf("%d files are remembered", n)
	}
	r.SetMemory(1)
	if !eventually(func() bool { return r.open.Load() == 1 }) {
		t.Errorf("%d models are loaded when memory is short", r.open.Load())
	}
}

func eventually(is func() bool) bool {
	for range 2000 {
		if is() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// TestKeep: an old version goes when its time is over, not before, and not at all when it came back.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *Options) { o.Keep = 10 * time.Minute })
		defer r.end()
		r.adds("f1", 10)
		r.adds("f2", 20)
		r.adds("f3", 30)
		at := func(when string, open int64, kept string) {
			t.Helper()
			synctest.Wait()
			if got := fmt.Sprint(r.Models()[0].Old); r.open.Load() != open || got != kept {
				t.Errorf("%s: %d are loaded, kept %s; want %d, %s", when, r.open.Load(), got, open, kept)
			}
		}
		r.applies(one("1", "f1", ""))
		r.applies(one("2", "f2", ""))
		time.Sleep(9 * time.Minute)
		at("after 9 minutes", 2, "[1]")
		r.applies(one("1", "f1", ""))
		time.Sleep(9 * time.Minute)
		at("9 minutes after a rollback", 2, "[2]")
		time.Sleep(2 * time.Minute)
		at("11 minutes after it", 1, "[]")
		r.applies(one("2", "f2", ""))
		r.applies(one("3", "f3", ""))
		at("two swaps", 2, "[2]")
	})
}

// TestKeepsTheHeavier: of two versions that leave at once, the one with the greater weight stays.
func TestKeepsTheHeavier(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	r.applies(`{"models": [{"name": "a", "versions": [{"version": "1", "file": "$/f", "weight": 95}, {"version": "2", "file": "$/f", "weight": 5}]}]}`)
	r.applies(one("3", "f", ""))
	if got := fmt.Sprint(r.Models()[0].Old); got != "[1]" {
		t.Errorf("kept %s, want 1", got)
	}
}

// TestSettingsInForce: limits reach the engine that runs, and only they.
func TestSettingsInForce(t *testing.T) {
	var s seen
	r := newRig(t, func(o *Options) { o.Observe = s.observe })
	r.file("f", `{"mul": 1, "in": [{"Name": "x", "Type": 12, "Shape": [-1]}]}`)
	r.applies(one("1", "f", `"batch_size": 2, `))
	e := r.Entries()[0]
	if got := e.Engine.Limits().MaxBatchSize; got != 2 {
		t.Errorf("batch size %d, want 2", got)
	}
	r.applies(one("1", "f", `"batch_size": 8, "max_sequence_length": 3, "feature_columns": ["a", "b"], `))
	next := r.Entries()[0]
	if next.Engine != e.Engine || next.Loaded != e.Loaded || next.Engine.Limits().MaxBatchSize != 8 || next.Meta().Features != nil {
		t.Errorf("%+v is not the same engine with a batch of 8", next)
	}
	for length, want := range map[int]error{1: nil, 3: nil, 4: ErrTooLong} {
		_, err := next.Infer(t.Context(), engine.Request{Inputs: []runtime.Tensor{row(make([]float32, length)...)}, Rows: 1})
		if !errors.Is(err, want) {
			t.Errorf("length %d: %v, want %v", length, err, want)
		}
	}
	if !eventually(func() bool { return s.String() == "[a 1] map[a 1:2]" }) {
		t.Errorf("observers saw %s", s.String())
	}
	if c := r.table.Load().config; c.Models[0].Versions[0].MaxLength != 3 {
		t.Errorf("in force %+v", c)
	}
}

// TestFeatures: the row of a toy has two values.
func TestFeatures(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	r.adds("f", 1)
	const inside = `{"models": [{"name": "a", "feature_columns": %s, "versions": [{"version": "1", "file": "$/f"}]}]}`
	r.applies(one("1", "f", `"feature_columns": ["area", "rooms"], `))
	if got := fmt.Sprint(r.Entries()[0].Meta().Features); got != "[area rooms]" {
		t.Errorf("features %s", got)
	}
	r.applies(one("1", "f", `"feature_columns": ["a", "b", "c"], `)) // for whichever model it fits
	if got := fmt.Sprint(r.Entries()[0].Meta().Features); got != "[]" {
		t.Errorf("features %s, want the model's", got)
	}
	if n := strings.Count(log.String(), "feature_columns are ignored"); n != 1 {
		t.Errorf("%d times in the log that they are ignored:\n%s", n, log.String())
	}
	r.applies(fmt.Sprintf(inside, `["x", "y"]`))
	if got := fmt.Sprint(r.Entries()[0].Meta().Features); got != "[x y]" {
		t.Errorf("features %s", got)
	}
	r.refuses(fmt.Sprintf(inside, `["x"]`), "models[0].versions[0] (a 1): feature_columns has 1 names; a row of the model has 2 values")
}

// TestFlush: batches that wait for others go when the process drains, also those of a model loaded since.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.end()
		r.adds("f1", 1)
		r.adds("f2", 2)
		const waits = `"batching": "static", "max_delay": "1h", `
		r.applies(one("1", "f1", waits))
		begun := time.Now()
		time.AfterFunc(time.Minute, r.Flush)
		r.answers("a", "", 2, "a 1")
		r.applies(one("2", "f2", waits))
		r.answers("a", "", 3, "a 2")
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("two requests took %s; a Flush came after 1m", took)
		}
	})
}

// TestInstances: versions that say 0 follow the router's number, the others keep their own. A computation
// takes 1 s, and four come at once.
func TestInstances(t *testing.T) {
	for _, tt := range []struct {
		said, standing, later int
		want                  time.Duration
	}{{0, 1, 0, 4 * time.Second}, {0, 2, 0, 2 * time.Second}, {0, 1, 4, time.Second}, {2, 1, 4, 2 * time.Second}, {2, 4, 0, 2 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Instances, o.Pool = tt.standing, engine.NewPool(4) })
			defer r.end()
			r.file("f", `{"mul": 1, "takes": 1000000000}`)
			r.applies(one("1", "f", fmt.Sprintf(`"batching": "off", "instances": %d, `, tt.said)))
			if tt.later > 0 {
				r.SetInstances(tt.later)
			}
			begun := time.Now()
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() { r.answers("a", "", 1, "a 1") })
			}
			all.Wait()
			if took := time.Since(begun); took != tt.want {
				t.Errorf("%+v: took %s", tt, took)
			}
		})
	}
}

// TestLoading: a model on its way is told from one that is not, and requests to others go on.
func TestLoading(t *testing.T) {
	gate, begun := make(chan struct{}), make(chan struct{})
	r := newRig(t, nil)
	open := r.o.Open
	r.o.Open = func(runtimeName, file string, data []byte) (runtime.Model, error) {
		if strings.HasSuffix(file, "slow") {
			close(begun)
			<-gate
		}
		return open(runtimeName, file, data)
	}
	r.adds("f", 1)
	r.adds("slow", 2)
	r.applies(one("1", "f", ""))
	done := make(chan error)
	go func() {
		done <- r.Apply(context.Background(), r.config(`{"models": [{"name": "a", "versions": [{"version": "1", "file": "$/f"}]}, {"name": "b", "versions": [{"version": "1", "file": "$/slow"}]}]}`))
	}()
	<-begun
	if _, _, err := r.Pick("b", "", Hint{}); !errors.Is(err, ErrLoading) {
		t.Errorf("while it loads: %v", err)
	}
	if _, _, err := r.Pick("c", "", Hint{}); !errors.Is(err, ErrUnknownModel) {
		t.Errorf("another: %v", err)
	}
	r.answers("a", "", 2, "a 1")
	r.SetInstances(2) // does not wait for the load
	r.Flush()
	close(gate)
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.answers("b", "", 3, "b 1")
}

// TestRoom: a full queue is told, through entries and chains alike.
func TestRoom(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	r.applies(`{"max_queue_rows": 4, "models": [{"name": "a", "versions": [{"version": "1", "file": "toy:{\"mul\": 1, \"out\": [{\"Name\": \"x\", \"Type\": 12, \"Shape\": [2]}]}"}]}, {"name": "b", "versions": [{"version": "1", "file": "$/f"}]}],
		"chains": [{"name": "c", "steps": ["a", "b"]}]}`)
	for _, name := range []string{"a", "c"} {
		to, release, err := r.Pick(name, "", Hint{})
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Room(4, batch.Default, time.Time{}); err != nil {
			t.Errorf("%s: 4 rows: %v", name, err)
		}
		var refusal *batch.Refusal
		if err := to.Room(5, batch.Default, time.Time{}); !errors.As(err, &refusal) || refusal.Reason != batch.TooLarge {
			t.Errorf("%s: 5 rows: %v", name, err)
		}
		release()
	}
}
