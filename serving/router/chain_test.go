package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// chained is a configuration of models with the given inputs and outputs in toy's words, chained in order.
func chained(more string, models ...string) string {
	var list, steps []string
	for i, m := range models {
		m = strings.ReplaceAll(strings.TrimSuffix(m, ", "), `"`, `\"`)
		list = append(list, fmt.Sprintf(`{"name": "m%d", "versions": [{"version": "v%d", "file": "toy:{%s}"}]}`, i, i, m))
		steps = append(steps, fmt.Sprintf(`"m%d"`, i))
	}
	return fmt.Sprintf(`{"models": [%s], "chains": [{"name": "c", %s"steps": [%s]}]}`, strings.Join(list, ", "), more, strings.Join(steps, ", "))
}

const (
	x2   = `"in": [{"Name": "x", "Type": 12, "Shape": [2]}]`
	xy   = `"in": [{"Name": "y", "Type": 12, "Shape": [1]}, {"Name": "x", "Type": 12, "Shape": [2]}]`
	anyX = `"in": [{"Name": "x", "Type": 12, "Shape": [-1]}]`

	givesX2  = `"out": [{"Name": "x", "Type": 12, "Shape": [2]}]`
	givesXY  = `"out": [{"Name": "x", "Type": 12, "Shape": [2]}, {"Name": "y", "Type": 12, "Shape": [1]}]`
	givesZ   = `"out": [{"Name": "z", "Type": 12, "Shape": [2]}]`
	givesAny = `"out": [{"Name": "z", "Type": 12, "Shape": [-1]}]`
	gives64  = `"out": [{"Name": "x", "Type": 13, "Shape": [2]}]`
)

func TestChain(t *testing.T) {
	const mul2, add3 = `"mul": 2, `, `"mul": 1, "add": 3, `
	for _, tt := range []struct {
		name  string
		steps []string
		want  float32 // of 5
		fault string  // parts, with " & " between
	}{
		{"by name", []string{mul2 + x2 + "," + givesX2, add3 + x2}, 13, ""},
		{"other order", []string{add3 + x2 + "," + givesX2, mul2 + x2}, 16, ""},
		{"three", []string{mul2 + givesX2, mul2 + givesX2, mul2 + x2}, 40, ""},
		{"two inputs by name", []string{mul2 + givesXY, add3 + xy}, 13, ""},
		{"one of each by position", []string{mul2 + givesZ, add3 + x2}, 13, ""},
		{"a length that fits when it runs", []string{mul2 + givesAny, add3 + x2}, 13, ""},
		{"a length that is any", []string{mul2 + givesX2, add3 + anyX}, 13, ""},
		{"too narrow", []string{mul2, add3 + x2}, 0, `chain "c": from m0 v0 to m1 v1: output "y" is FP32 [1]; input "x" takes FP32 [2]`},
		{"other type", []string{mul2 + gives64, add3 + x2}, 0, `output "x" is FP64 [2]; input "x" takes FP32 [2]`},
		{"nothing of that name", []string{mul2 + givesZ, add3 + xy}, 0, `nothing gives input "y"; the outputs are [z] & nothing gives input "x"`},
		{"two faults", []string{mul2, add3 + x2 + "," + givesZ, add3 + xy}, 0, `from m0 v0 to m1 v1 & from m1 v1 to m2 v2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			if tt.fault != "" {
				r.refuses(chained("", tt.steps...), tt.fault)
				return
			}
			r.applies(chained("", tt.steps...))
			got, by, err := r.asks("c", "", Hint{}, 5)
			if want := "c v0+v1+v2"[:3*len(tt.steps)+1]; got != tt.want || by != want || err != nil {
				t.Errorf("%v by %s, %v; want %v by %s", got, by, err, tt.want, want)
			}
		})
	}
}

// TestChainMeta: it takes what the first takes and gives what the last gives.
func TestChainMeta(t *testing.T) {
	r := newRig(t, nil)
	r.applies(chained("", `"mul": 1, `+givesXY, `"mul": 1, `+xy))
	to, release, err := r.Pick("c", "", Hint{})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	m := to.Meta()
	if got := fmt.Sprint(m.Platform, m.Inputs, m.Outputs, m.Measure); got != "trimtab_chain[{x FP32 [2]}] [{y FP32 [1]}]r2" {
		t.Errorf("meta %s", got)
	}
	if _, _, err := r.Pick("c", "v1", Hint{}); !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("a version of a chain: %v", err)
	}
}

// TestChainLengths: a length that only shows when it runs is checked then.
func TestChainLengths(t *testing.T) {
	r := newRig(t, nil)
	r.applies(chained("", `"mul": 1, `+anyX+","+givesAny, `"mul": 1, `+x2))
	to, release, err := r.Pick("c", "", Hint{})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	_, err = to.Infer(t.Context(), engine.Request{Inputs: []runtime.Tensor{row(1, 2, 3)}, Rows: 1})
	if err == nil || !strings.Contains(err.Error(), `chain c, step 2 (m1 v1): input "x" has shape [1 3]; the model takes [rows]+[2]`) {
		t.Errorf("a row of 3 into a model of 2: %v", err)
	}
}

// TestChainVersions: all versions with a weight are joined, and each gets its share.
func TestChainVersions(t *testing.T) {
	r := newRig(t, nil)
	const text = `{"models": [
		{"name": "a", "versions": [{"version": "1", "file": "toy:{\"mul\": 1, \"out\": [{\"Name\": \"x\", \"Type\": 12, \"Shape\": [2]}]}", "weight": 1}, {"version": "2", "file": "toy:{\"mul\": 10, \"out\": [{\"Name\": \"x\", \"Type\": 12, \"Shape\": [2]}]}", "weight": 1}, {"version": "3", "file": "toy:{}", "weight": %s}]},
		{"name": "b", "versions": [{"version": "1", "file": "toy:{\"mul\": 1}"}, {"version": "2", "file": "toy:{\"mul\": 3}"}]}],
		"chains": [{"name": "c", "steps": ["a", "b/%s"]}]}`
	r.applies(fmt.Sprintf(text, "0", "1"))
	sums := map[string]float32{}
	for range 10 {
		got, by, err := r.asks("c", "", Hint{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		sums[by] += got
	}
	if got := fmt.Sprint(sums); got != "map[c 1+1:5 c 2+1:50]" {
		t.Errorf("sums %s", got)
	}
	r.applies(fmt.Sprintf(text, "0", "2"))
	if got, by, err := r.asks("c", "", Hint{}, 1); got != 3 || by != "c 1+2" || err != nil {
		t.Errorf("%v by %s, %v", got, by, err)
	}
	r.refuses(fmt.Sprintf(text, "1", "1"), `from a 3 to b 1: output "y" is FP32 [1]`)
}

// TestChainShare: what is left of the deadline is shared by what the steps cost; nothing is known of these,
// so equally.
func TestChainShare(t *testing.T) {
	at := time.Unix(0, 0)
	var r run
	for range 4 {
		e, err := engine.New(&toy{rig: new(rig), In: []runtime.Spec{spec("x", 2)}}, engine.Config{Limits: standing().Limits, Instances: 1, Profile: -1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close(t.Context())
		r.entries = append(r.entries, &Entry{Engine: e})
	}
	deadline := at.Add(80 * time.Millisecond)
	for i, want := range []struct{ share, latest time.Duration }{{20, 77}, {26, 78}, {40, 79}, {80, 80}} { // of 80 ms; 1 ms each at least
		share, latest := r.share(i, 1, deadline, at).Sub(at), r.latest(i, 1, deadline).Sub(at)
		if share.Truncate(time.Millisecond) != want.share*time.Millisecond || latest != want.latest*time.Millisecond {
			t.Errorf("step %d of 4 gets %s of 80ms, at most %s; want %+v", i, share, latest, want)
		}
	}
	if due, latest := r.until(0, 1, time.Time{}, at); !due.IsZero() || !latest.IsZero() {
		t.Errorf("no deadline is %s, at most %s", due, latest)
	}
	if due, latest := r.until(0, 1, deadline, at); due.Sub(at) != 20*time.Millisecond || latest.Sub(at) != 77*time.Millisecond {
		t.Errorf("step 0 should be done at %s, at most %s", due.Sub(at), latest.Sub(at))
	}
}

// TestChainSlack: three steps of 10 ms and 100 ms for all. Each batch aims at its share of what is left: 33 of
// 100, 45 of 90, 80 of 80. The request is late only when the steps after it, of 1 ms each as nothing is known of
// them, cannot be in time: at 98, 99 and 100.
func TestChainSlack(t *testing.T) {
	const slow = `"mul": 1, "takes": 10000000, ` + givesX2
	for _, byContext := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var s seen
			r := newRig(t, func(o *Options) { o.Observe = s.observe })
			defer r.end()
			r.applies(chained("", slow, slow, slow))
			to, release, err := r.Pick("c", "", Hint{})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			req := engine.Request{Inputs: []runtime.Tensor{row(1, 2)}, Rows: 1, Class: batch.Bulk, Deadline: time.Now().Add(100 * time.Millisecond)}
			if byContext {
				req.Deadline = time.Now().Add(time.Hour)
			} else {
				ctx = t.Context()
			}
			if _, err := to.Infer(ctx, req); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if got := fmt.Sprint(s.aims); got != "[m0 v0 23ms m1 v1 35ms m2 v2 70ms]" {
				t.Errorf("by the context %t: slack of the batches %s", byContext, got)
			}
			if got := fmt.Sprint(s.slack); got != "[m0 v0 batch 88ms m1 v1 batch 79ms m2 v2 batch 70ms]" {
				t.Errorf("by the context %t: slack %s", byContext, got)
			}
		})
	}
}

// TestChainBehindAQueue: steps of 35, 10 and 10 ms. The second request waits 35 ms for the first one, which is
// more than a third of 100 ms, and is still in time: its share of the deadline is nothing that it dies of.
func TestChainBehindAQueue(t *testing.T) {
	const slow = `"mul": 1, "takes": %d000000, ` + givesX2
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		defer r.end()
		r.applies(chained("", fmt.Sprintf(slow, 35), fmt.Sprintf(slow, 10), fmt.Sprintf(slow, 10)))
		to, release, err := r.Pick("c", "", Hint{})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		var both sync.WaitGroup
		for _, want := range []time.Duration{55 * time.Millisecond, 90 * time.Millisecond} {
			begun := time.Now()
			both.Go(func() {
				req := engine.Request{Inputs: []runtime.Tensor{row(1, 2)}, Rows: 1, Deadline: begun.Add(100 * time.Millisecond)}
				if _, err := to.Infer(t.Context(), req); err != nil || time.Since(begun) != want {
					t.Errorf("after %s, want %s: %v", time.Since(begun), want, err)
				}
			})
			synctest.Wait()
		}
		both.Wait()
	})
}

// TestChainHold: a step that was let go meanwhile leaves nothing held.
func TestChainHold(t *testing.T) {
	there, gone := &held{}, &held{}
	there.holders.Store(1)
	var c chain
	for _, h := range []*held{there, gone} {
		c.steps = append(c.steps, step{family: newFamily([]*Entry{{Weight: 1, held: h}}, new(atomicTurn))})
	}
	if _, ok := c.hold(""); ok || there.holders.Load() != 1 || gone.holders.Load() != 0 {
		t.Errorf("held %t, %d and %d holders", ok, there.holders.Load(), gone.holders.Load())
	}
}

// TestChainDeadline: each step takes 10 ms. A chain that has to be done earlier is given up, whoever said
// the deadline: the request, its context, or the chain.
func TestChainDeadline(t *testing.T) {
	const slow = `"mul": 1, "takes": 10000000, ` + givesX2
	for _, tt := range []struct {
		name     string
		slo      string
		deadline time.Duration // of the request; 0: none
		context  time.Duration
		ok       bool
	}{
		{"none", "", 0, 0, true},
		{"enough", "", 100 * time.Millisecond, 0, true},
		{"too little", "", 15 * time.Millisecond, 0, false},
		{"too little by the context", "", 0, 15 * time.Millisecond, false},
		{"the earlier one holds", "", time.Hour, 15 * time.Millisecond, false},
		{"too little by the chain", `"slo": "15ms", `, 0, 0, false},
		{"enough by the chain", `"slo": "100ms", `, 0, 0, true},
		{"the request over the chain", `"slo": "15ms", `, 100 * time.Millisecond, 0, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, nil)
			defer r.end()
			r.applies(chained(tt.slo, slow, slow, slow))
			to, release, err := r.Pick("c", "", Hint{})
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			ctx, begun := t.Context(), time.Now()
			req := engine.Request{Inputs: []runtime.Tensor{row(1, 2)}, Rows: 1, Class: batch.Interactive}
			if tt.deadline > 0 {
				req.Deadline = begun.Add(tt.deadline)
			}
			if tt.context > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.context)
				defer cancel()
			}
			_, err = to.Infer(ctx, req)
			took := time.Since(begun)
			if (err == nil) != tt.ok || tt.ok && took != 30*time.Millisecond || took > 30*time.Millisecond {
				t.Errorf("%s: after %s: %v", tt.name, took, err)
			}
		})
	}
}
