//go:build onnx

package ort

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// TestNothingIsWritten looks for what a library that reports to its makers leaves behind. The first load counts.
func TestNothingIsWritten(t *testing.T) {
	if os.Getenv("ORT_TEST_CHILD") == "" {
		home := t.TempDir()
		c := exec.Command(os.Args[0], "-test.run=^TestNothingIsWritten$", "-test.v")
		c.Env = append(os.Environ(), "ORT_TEST_CHILD=1", "HOME="+home, "XDG_CACHE_HOME=", LibraryVariable+"="+found(t))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if left, err := os.ReadDir(home); err != nil || len(left) > 0 {
			t.Errorf("%v is left behind: %v", left, err)
		}
		return
	}
	if _, err := session1(t, opened(t, affine(-1), 1)).Run([]runtime.Tensor{floats([]int{1, 2}, 1, 1)}, 1); err == nil {
		t.Error("a bad batch ran")
	}
}

// TestMemoryIsFlat runs and opens often enough for a value that is not given back to show: the smallest that
// could leak is some 100 bytes.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	m := opened(t, affine(-1), 1)
	s := session1(t, m)
	in := []runtime.Tensor{floats([]int{64, 3}, make([]float32, 192)...)}
	bad := []runtime.Tensor{floats([]int{1, 2}, 1, 1)}
	runs := func(n int) {
		for range n {
			if _, err := s.Run(in, 64); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Run(bad, 1); err == nil {
				t.Fatal("a bad batch ran")
			}
		}
	}
	opens := func(n int) {
		for range n {
			again, err := Open(found(t), written(t, affine(-1)), 1)
			if err != nil {
				t.Fatal(err)
			}
			_ = again.Close()
		}
	}
	flat(t, "runs", func() { runs(20_000) }, 2<<20)
	flat(t, "opens", func() { opens(150) }, 2<<20)
}

func flat(t *testing.T, what string, work func(), allowed int64) {
	t.Helper()
	work()
	before := resident(t)
	work()
	if grown := resident(t) - before; grown > allowed {
		t.Errorf("%s: %d kB more after the second round", what, grown>>10)
	} else {
		t.Logf("%s: %d kB more", what, grown>>10)
	}
}

func resident(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(data), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
