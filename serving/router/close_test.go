package router

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// TestCloseWhileLoading: what loads for nothing is unloaded.
func TestCloseWhileLoading(t *testing.T) {
	gate, begun := make(chan struct{}), make(chan struct{})
	r := newRig(t, nil)
	open := r.o.Open
	r.o.Open = func(runtimeName, file string, data []byte) (runtime.Model, error) {
		close(begun)
		<-gate
		return open(runtimeName, file, data)
	}
	r.adds("f", 1)
	applied, closed := make(chan error), make(chan error)
	c := r.config(one("1", "f", ""))
	go func() { applied <- r.Apply(context.Background(), c) }()
	<-begun
	go func() { closed <- r.Close(context.Background()) }()
	if !eventually(r.isClosed) {
		t.Fatal("not closed")
	}
	close(gate)
	if err := <-applied; !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
	if err := <-closed; err != nil || r.open.Load() != 0 || r.Ready() {
		t.Errorf("Close: %v, %d models are loaded, ready %t", err, r.open.Load(), r.Ready())
	}
}

// TestClose: requests inside are answered, later ones refused, also an Apply; a second Close is harmless.
func TestClose(t *testing.T) {
	r := newRig(t, nil)
	r.file("f", `{"mul": 1, "add": 1, "takes": 50000000}`)
	r.applies(one("1", "f", ""))
	to, release, err := r.Pick("a", "", Hint{})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- r.Close(context.Background()) }()
	if !eventually(func() bool { return !r.Ready() }) {
		t.Fatal("still ready")
	}
	if out, err := to.Infer(t.Context(), engine.Request{Inputs: []runtime.Tensor{row(1, 1)}, Rows: 1}); err != nil {
		t.Errorf("a request inside: %v, %v", out, err)
	}
	select {
	case err := <-closed:
		t.Errorf("closed with a request inside: %v", err)
	default:
	}
	release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, _, err := r.Pick("a", "", Hint{}); !errors.Is(err, ErrLoading) {
		t.Errorf("after Close: %v", err)
	}
	if err := r.Apply(t.Context(), r.config(one("1", "f", ""))); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
}

// TestCloseInTime: a request that never ends does not hold Close longer than its context.
func TestCloseInTime(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	r.applies(one("1", "f", ""))
	_, release, err := r.Pick("a", "", Hint{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	release()
	if !eventually(func() bool { return r.open.Load() == 0 }) {
		t.Error("the model is still loaded")
	}
	r.late = true
}

// TestSwapsUnderLoad swaps versions, files in place, settings and weights 200 times while requests of all
// kinds run: each is answered, and by the version that it names.
func TestSwapsUnderLoad(t *testing.T) {
	const swaps, kinds = 200, 5
	r := newRig(t, nil)
	for n := range kinds {
		r.adds(fmt.Sprint("f", n), 100*n)
	}
	r.adds("live", 0)
	text := func(i int) string {
		return fmt.Sprintf(`{"batch_size": %d, "models": [
			{"name": "a", "versions": [{"version": "v%[2]d", "file": "$/f%[2]d", "weight": 3}, {"version": "v%[3]d", "file": "$/f%[3]d", "weight": 1}]},
			{"name": "same", "versions": [{"version": "1", "file": "$/live"}]}],
			"routes": [{"model": "r", "field": "f", "is": {"x": "same"}, "otherwise": "a"}],
			"chains": [{"name": "c", "steps": ["wide", "a"]}]}`, 1+i%7, i%kinds, (i+1)%kinds)
	}
	wide := `{"name": "wide", "versions": [{"version": "1", "file": "toy:{\"mul\": 1, \"out\": [{\"Name\": \"x\", \"Type\": 12, \"Shape\": [2]}]}"}]},`
	config := func(i int) string { return strings.Replace(text(i), `"models": [`, `"models": [`+wide, 1) }
	r.applies(config(0))
	var stop atomic.Bool
	var asked atomic.Int64
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := 0; !stop.Load(); i++ {
				name := []string{"a", "a", "same", "r", "c"}[(c+i)%5]
				x := float32(i % 100)
				got, by, err := r.asks(name, "", Hint{}, x)
				asked.Add(1)
				var n float32 // 100 x the number of the version, which is the last byte of its name
				if by != "same 1" && len(by) > 0 {
					n = 100 * float32(by[len(by)-1]-'0')
				} else {
					n = float32(int(got-x) / 1000 * 1000) // whichever content the file had
				}
				if err != nil || got != x+n {
					t.Errorf("%s: %v by %s, %v; want %v", name, got, by, err, x+n)
					stop.Store(true)
				}
			}
		})
	}
	for i := 1; i <= swaps && !stop.Load(); i++ {
		if i%3 == 0 {
			r.adds("live", 1000*(i%4))
		}
		if i%10 == 0 {
			r.refuses(strings.Replace(config(i), "$/live", "$/none", 1), "read model")
		}
		r.applies(config(i))
		for range 10000 { // at least one request a swap
			if asked.Load() >= int64(i) || stop.Load() {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	stop.Store(true)
	clients.Wait()
	if n := asked.Load(); n < swaps {
		t.Errorf("only %d requests ran during %d swaps", n, swaps)
	}
	t.Logf("%d requests during %d swaps, %d loads", asked.Load(), swaps, r.load.Load())
}
