package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// toy is a model whose file is its JSON: every output is Mul x the first value of the row + Add.
type toy struct {
	Mul, Add float32
	In, Out  []runtime.Spec // empty: x [2] in, y [1] out
	Golden   float32        // what the answer to a row of ones has to be; 0: nothing is asked
	Takes    time.Duration

	closed atomic.Bool
	rig    *rig
}

func (m *toy) Meta() runtime.Meta {
	meta := runtime.Meta{Platform: "toy", Inputs: m.In, Outputs: m.Out, Accuracy: 0.5, Measure: "r2"}
	if m.Golden != 0 {
		meta.Golden = []runtime.Golden{{Inputs: []runtime.Tensor{row(1, 1)}, Outputs: []runtime.Tensor{row(m.Golden)}}}
	}
	return meta
}

func (m *toy) Bytes() int64                      { return 1000 }
func (m *toy) Session() (runtime.Session, error) { return session{m}, nil }

func (m *toy) Close() error {
	if m.closed.Swap(true) {
		return errors.New("closed twice")
	}
	m.rig.open.Add(-1)
	return nil
}

type session struct{ m *toy }

func (s session) Run(in []runtime.Tensor, rows int) ([]runtime.Tensor, error) {
	if s.m.closed.Load() {
		return nil, errors.New("computed after Close")
	}
	time.Sleep(s.m.Takes)
	width := len(in[0].Data) / 4 / rows
	x := runtime.Values[float32](in[0].Data)
	var out []runtime.Tensor
	for _, spec := range s.m.Out {
		shape := append([]int{rows}, spec.Shape...)
		n := 1
		for i := range spec.Shape {
			if spec.Shape[i] < 0 {
				shape[i+1] = width
			}
			n *= shape[i+1]
		}
		y := runtime.Values[float32](runtime.Alloc(4 * rows * n))
		for i := range y {
			y[i] = s.m.Mul*x[i/n*width] + s.m.Add
		}
		out = append(out, runtime.Tensor{Type: spec.Type, Shape: shape, Data: runtime.Data(y)})
	}
	return out, nil
}

// row is a tensor of one row.
func row(x ...float32) runtime.Tensor {
	data := runtime.Values[float32](runtime.Alloc(4 * len(x)))
	copy(data, x)
	return runtime.Tensor{Type: runtime.FP32, Shape: []int{1, len(x)}, Data: runtime.Data(data)}
}

func spec(name string, shape ...int) runtime.Spec {
	return runtime.Spec{Name: name, Type: runtime.FP32, Shape: shape}
}

// rig is a router of toys in files of a folder.
type rig struct {
	*testing.T
	*Router
	dir  string
	open atomic.Int64 // models that are loaded
	load atomic.Int64 // how often one was
	late bool         // a Close ran out of time, which the next one tells again
}

// newRig makes a router whose old versions stay for an hour.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir()}
	o := Options{Open: r.opens, Profile: -1, Keep: time.Hour, Pool: engine.NewPool(2), Named: func(f string) bool { return strings.HasPrefix(f, "toy:") }}
	if change != nil {
		change(&o)
	}
	r.Router = New(o)
	t.Cleanup(r.end)
	return r
}

// end closes all, and no model may be left.
func (r *rig) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil && !r.late {
		r.Error(err)
	}
	if n := r.open.Load(); n != 0 {
		r.Errorf("%d models are still loaded at the end", n)
	}
}

func (r *rig) opens(runtimeName, file string, data []byte) (runtime.Model, error) {
	if data == nil {
		data = []byte(strings.TrimPrefix(file, "toy:"))
	}
	m := &toy{rig: r, In: []runtime.Spec{spec("x", 2)}, Out: []runtime.Spec{spec("y", 1)}}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("toy: %w", err)
	}
	r.open.Add(1)
	r.load.Add(1)
	return m, nil
}

// file puts content in the place of a file, by a rename, and returns its name.
func (r *rig) file(name, content string) string {
	r.Helper()
	at := filepath.Join(r.dir, name)
	if err := errors.Join(os.WriteFile(at+".new", []byte(content), 0o600), os.Rename(at+".new", at)); err != nil {
		r.Fatal(err)
	}
	return at
}

// adds is the file of a model that gives x + n.
func (r *rig) adds(name string, n int) string {
	return r.file(name, fmt.Sprintf(`{"mul": 1, "add": %d}`, n))
}

func standing() Standing {
	return Standing{Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 0, MaxQueueRows: 1000}}
}

// config parses text, in which $ is the rig's folder.
func (r *rig) config(text string) Config {
	r.Helper()
	c, _, err := ParseConfig([]byte(strings.ReplaceAll(text, "$", r.dir)), standing())
	if err != nil {
		r.Fatal(err)
	}
	return c
}

func (r *rig) applies(text string) {
	r.Helper()
	if err := r.Apply(r.Context(), r.config(text)); err != nil {
		r.Fatal(err)
	}
}

// refuses applies text, which must not work, with want in the error.
func (r *rig) refuses(text, want string) {
	r.Helper()
	err := r.Apply(r.Context(), r.config(text))
	for part := range strings.SplitSeq(want, " & ") {
		if err == nil || !strings.Contains(err.Error(), part) {
			r.Errorf("%v; want %q in it", err, part)
		}
	}
}

// asks is the answer of whatever is picked to a row that begins with x, and who gave it.
func (r *rig) asks(name, version string, h Hint, x float32) (answer float32, by string, err error) {
	to, release, err := r.Pick(name, version, h)
	if err != nil {
		return 0, "", err
	}
	defer release()
	n, v := to.About()
	out, err := to.Infer(context.Background(), engine.Request{Inputs: []runtime.Tensor{row(x, 0)}, Rows: 1})
	if err != nil {
		return 0, n + " " + v, err
	}
	return runtime.Values[float32](out[0].Data)[0], n + " " + v, nil
}

func (r *rig) answers(name, version string, want float32, by string) {
	r.Helper()
	got, from, err := r.asks(name, version, Hint{}, 1)
	if err != nil || got != want || from != by {
		r.Errorf("%s/%s gives %v by %s, %v; want %v by %s", name, version, got, from, err, want, by)
	}
}

// seen keeps what observers hear.
type seen struct {
	mu    sync.Mutex
	rows  map[string]int
	who   []string
	slack []string // of each request with a deadline, with who and its class
	aims  []string // slack of each batch with a deadline, with who
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.who, s.rows)
}

type observer struct {
	of   string
	seen *seen
}

func (s *seen) observe(name, version string) engine.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = append(s.who, name+" "+version)
	return observer{name + " " + version, s}
}

func (o observer) Batch(b engine.BatchSeen) {
	o.seen.mu.Lock()
	defer o.seen.mu.Unlock()
	if o.seen.rows == nil {
		o.seen.rows = map[string]int{}
	}
	o.seen.rows[o.of] += b.Rows
	if b.HasDeadline {
		o.seen.aims = append(o.seen.aims, fmt.Sprint(o.of, " ", b.Slack.Truncate(time.Millisecond)))
	}
}

func (o observer) Request(r engine.RequestSeen) {
	o.seen.mu.Lock()
	defer o.seen.mu.Unlock()
	if r.HasDeadline {
		o.seen.slack = append(o.seen.slack, fmt.Sprint(o.of, " ", r.Class, " ", r.Slack.Truncate(time.Millisecond)))
	}
}

func (observer) Shed(string, batch.Class) {}
