package router

import (
	"fmt"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// TestMemory: old versions go when all together are too large, and stay when they fit. A toy says that it
// has 1000 bytes.
func TestMemory(t *testing.T) {
	for _, tt := range []struct{ memory, after, opening int64 }{{0, 2, 2}, {5000, 2, 2}, {2000, 2, 1}, {1500, 1, 1}} {
		r := newRig(t, func(o *Options) { o.Memory = tt.memory })
		for i := range 3 {
			r.adds(fmt.Sprint("f", i), 10*i)
		}
		r.applies(one("0", "f0", ""))
		r.applies(one("1", "f1", ""))
		if !eventually(func() bool { return r.open.Load() == tt.after }) {
			t.Errorf("%d bytes: %d models are loaded, want %d", tt.memory, r.open.Load(), tt.after)
		}
		open := r.o.Open
		r.o.Open = func(runtimeName, file string, data []byte) (runtime.Model, error) {
			if !eventually(func() bool { return r.open.Load() == tt.opening }) {
				t.Errorf("%d bytes: %d models are loaded while another comes, want %d", tt.memory, r.open.Load(), tt.opening)
			}
			return open(runtimeName, file, data)
		}
		r.applies(one("2", "f2", ""))
		r.answers("a", "", 21, "a 2")
	}
}

// TestMemoryOfTheModelFirst: two models of 1000 bytes run, and each has an old version. Another a needs room for a
// fifth: where there is none the old a goes, and where that is not enough all old ones. What one configuration
// brings counts together.
func TestMemoryOfTheModelFirst(t *testing.T) {
	const text = `{"models": [{"name": "a", "versions": [{"version": %q, "file": "$/f%s"}]}, {"name": "b", "versions": [{"version": %q, "file": "$/f%s"}]}]}`
	both := func(a, b string) string { return fmt.Sprintf(text, a, a, b, b) }
	for _, tt := range []struct {
		memory int64
		next   string
		open   []int64 // models that are loaded while another comes
	}{
		{0, both("3", "2"), []int64{4}},
		{5000, both("3", "2"), []int64{4}},
		{4500, both("3", "2"), []int64{3}}, // of a one, of b two
		{3500, both("3", "2"), []int64{2}},
		{5500, both("3", "3"), []int64{4, 4}}, // the old a for the first would not be enough for both
		{4500, both("3", "3"), []int64{3, 3}},
		{4500, strings.Replace(both("3", "2"), "]}", `, {"version": "4", "file": "$/f1"}]}`, 1), []int64{3, 3}}, // two of a
	} {
		r := newRig(t, nil)
		for i := range 4 {
			r.adds(fmt.Sprint("f", i), 10*i)
		}
		r.applies(both("1", "1"))
		r.applies(both("2", "2"))
		r.SetMemory(tt.memory)
		open, loads := r.o.Open, 0
		r.o.Open = func(runtimeName, file string, data []byte) (runtime.Model, error) {
			if want := tt.open[loads]; !eventually(func() bool { return r.open.Load() == want }) {
				t.Errorf("%d bytes, load %d: %d models are loaded while another comes, want %d", tt.memory, loads, r.open.Load(), want)
			}
			loads++
			return open(runtimeName, file, data)
		}
		r.applies(tt.next)
	}
}
