package main

import (
	"encoding/json"
	"testing"
)

func TestReplaceOnce(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		ok         bool
	}{{"a b", "x b", true}, {"b", "", false}, {"a a", "", false}} {
		if got, err := replaceOnce(tt.text, "a", "x"); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
	}
}

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
		progress string
	}{
		{`{}`, false, "no workload seen yet"},
		{earlyPlan, false, "a, b: waiting for a first measurement; property-valuation: measured for 10s"},
		{settledPlan, true, "recommendation-model: cpu-underused, few-requests; property-valuation: nothing to do; image-batch: batch-on-demand"},
	} {
		var a answer
		if err := json.Unmarshal([]byte(tt.plan), &a); err != nil {
			t.Fatal(err)
		}
		if settled(a) != tt.settled || progress(a) != tt.progress {
			t.Errorf("settled %v, progress %q; want %v, %q", settled(a), progress(a), tt.settled, tt.progress)
		}
	}
}
