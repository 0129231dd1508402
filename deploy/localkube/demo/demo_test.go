package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const settledPlan = `{"plan":{"assessments":[
 {"ref":{"name":"recommendation-model"},"verdicts":[{"recommendation":{"reason":"cpu-underused"}},{"recommendation":{"reason":"few-requests"}}]},
 {"ref":{"name":"property-valuation"}},
 {"ref":{"name":"image-batch"},"verdicts":[{"recommendation":{"reason":"batch-on-demand"}}]}]}}`

const earlyPlan = `{"plan":{"assessments":[
 {"ref":{"name":"a"},"holds":[{"reason":"no-metrics","detail":"x"}]},
 {"ref":{"name":"b"},"holds":[{"reason":"no-metrics","detail":"y"}]},
 {"ref":{"name":"property-valuation"},"holds":[{"reason":"too-little-history","detail":"measured for 10s"}]}]}}`

func TestSettledAndProgress(t *testing.T) {
	for _, tt := range []struct {
		plan     string
		settled  bool
		progress []string
	}{
		{`{}`, false, []string{"no workload seen yet"}},
		{earlyPlan, false, []string{"a, b: waiting for a first measurement", "property-valuation: measured for 10s"}},
		{settledPlan, true, []string{"recommendation-model: cpu-underused, few-requests", "property-valuation: nothing to do", "image-batch: batch-on-demand"}},
	} {
		var a answer
		if err := json.Unmarshal([]byte(tt.plan), &a); err != nil {
			t.Fatal(err)
		}
		if settled(a) != tt.settled || !slices.Equal(progress(a), tt.progress) {
			t.Errorf("settled %v, progress %q; want %v, %q", settled(a), progress(a), tt.settled, tt.progress)
		}
	}
}

func TestWrapped(t *testing.T) {
	const text = "requests in place on 3 pods; undo: trimtab-revert-20261122t110224-d1abca now"
	want := []string{"requests in place on", "3 pods; undo:", "trimtab-revert-20261122t110224-d1abca", "now"}
	if got := wrapped(text, 20); !slices.Equal(got, want) || strings.Join(got, " ") != text {
		t.Errorf("%q, want %q", got, want)
	}
}

// A step that is measured is told once, not again with each second of its window.
func TestHowFar(t *testing.T) {
	for step, want := range map[string]string{
		"measuring batch 1, delay 5ms, 1 replica of 10m and 32Mi: 5 s of 15 s, 91 of 200 requests, p99 so far 25 ms": "measuring batch 1, delay 5ms, 1 replica of 10m and 32Mi",
		"batch 1 -> 32: p99 24 ms -> 14 ms, CPU a request 3.8 ms -> 2.1 ms":                                          "batch 1 -> 32: p99 24 ms -> 14 ms, CPU a request 3.8 ms -> 2.1 ms",
	} {
		if got := howFar.ReplaceAllString(step, ""); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLastLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	for text, want := range map[string]string{"": "", "a\n": "a", "a\ntrimtab: no cluster\n\n": "trimtab: no cluster"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastLine(name); got != want {
			t.Errorf("%q ends with %q, want %q", text, got, want)
		}
	}
	if got := lastLine(name + ".none"); !strings.Contains(got, "no such file") {
		t.Errorf("of a log that is not there it says %q", got)
	}
}
