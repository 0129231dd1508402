package simulator

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

func run(t *testing.T, file []byte, weeks int) Result {
	t.Helper()
	r, err := Run(t.Context(), file, Options{Weeks: weeks, Prices: cost.Builtin()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// made is a run that several tests look at.
func made(t *testing.T, once func() (Result, error)) Result {
	t.Helper()
	r, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func assessment(t *testing.T, p optimizer.Plan, name string) optimizer.Assessment {
	t.Helper()
	for _, a := range p.Assessments {
		if a.Ref.Name == name {
			return a
		}
	}
	t.Fatalf("no %s in the plan", name)
	return optimizer.Assessment{}
}

func reasons(a optimizer.Assessment) []fleet.HoldReason {
	var out []fleet.HoldReason
	for _, h := range a.Holds {
		out = append(out, h.Reason)
	}
	for _, v := range a.Verdicts {
		for _, h := range v.Holds {
			out = append(out, h.Reason)
		}
	}
	return out
}

func TestBuiltinFleet(t *testing.T) {
	r := made(t, Whole)
	if len(r.Plan.Assessments) != 12 || !r.Plan.Simulated || r.End.Sub(r.Start) != 4*7*24*time.Hour {
		t.Errorf("%d assessments, simulated %v, %s", len(r.Plan.Assessments), r.Plan.Simulated, r.End.Sub(r.Start))
	}
	for name, want := range map[string]fleet.HoldReason{
		"search-ranking":       fleet.HoldAutoscaler,
		"listing-embeddings":   fleet.HoldKind,
		"fraud-scoring":        fleet.HoldTwoPolicies,
		"price-forecast":       fleet.HoldShortHistory,
		"image-analysis-model": fleet.HoldGPU,
	} {
		a := assessment(t, r.Plan, name)
		if !slices.Contains(reasons(a), want) || a.After.Amount != a.Now.Amount {
			t.Errorf("%s: holds %v, want %s", name, reasons(a), want)
		}
	}
	for _, name := range []string{"property-valuation", "nightly-comparables"} {
		if a := assessment(t, r.Plan, name); len(a.Verdicts)+len(a.Holds) > 0 {
			t.Errorf("%s is not left alone: %+v", name, a.Verdicts)
		}
	}
	if a := assessment(t, r.Plan, "lead-scoring"); len(a.Verdicts) != 1 || len(a.Verdicts[0].Trims) == 0 {
		t.Errorf("lead-scoring is not trimmed: %+v", a.Verdicts)
	}
	if len(r.Plan.Lint) == 0 || r.Plan.Lint[0].Item != "limits.nvidia.com/gpu" {
		t.Errorf("lint %v", r.Plan.Lint)
	}
	for _, e := range r.Entries {
		if e.Change.Ref.Name == "image-analysis-model" {
			t.Error("the GPU workload was changed")
		}
	}
	if len(r.Refused) > 0 || len(r.Plan.BadPolicies) > 0 {
		t.Errorf("refused %v, bad %v", r.Refused, r.Plan.BadPolicies)
	}
}

// The saving of the whole is the sum over workloads in whole cents, and each of them is priced as it is in the end.
func TestSavingIsTheSumOfTheLines(t *testing.T) {
	r := made(t, Whole)
	var now, after, changes cost.Money
	for _, a := range r.Plan.Assessments {
		now, after = now+a.Now.Amount.Cents(), after+a.After.Amount.Cents()
	}
	for _, c := range r.Plan.Changes {
		changes += c.Saving.Amount
	}
	if now != r.Plan.Now.Amount || after != r.Plan.After.Amount || now-after != changes {
		t.Errorf("now %s of %s, after %s of %s, changes %s", now, r.Plan.Now, after, r.Plan.After, changes)
	}
}

func TestRunIsDeterministic(t *testing.T) {
	one, err1 := json.Marshal(made(t, aWeek))
	two, err2 := json.Marshal(run(t, Builtin(), 1))
	if err1 != nil || err2 != nil || string(one) != string(two) {
		t.Errorf("two runs of one file differ: %v, %v", err1, err2)
	}
}

// holdReasons is every reason that one pass can give; those of applying come with an actuator that
// looks twice (moved), windows, cooldowns and a ledger that can fail.
func holdReasons() []fleet.HoldReason {
	return []fleet.HoldReason{
		fleet.HoldKind, fleet.HoldTwoPolicies, fleet.HoldBadPolicy, fleet.HoldClass, fleet.HoldRollout,
		fleet.HoldNoMetrics, fleet.HoldStaleMetrics, fleet.HoldShortHistory, fleet.HoldGPU, fleet.HoldAutoscaler,
		fleet.HoldNoRequest, fleet.HoldNoSpotNode, fleet.HoldBounds, fleet.HoldLimitRange, fleet.HoldQuota, fleet.HoldQoS, fleet.HoldBudget,
	}
}

func TestEveryHoldReason(t *testing.T) {
	file, err := os.ReadFile("testdata/holds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, file, 0)
	seen := map[fleet.HoldReason]string{}
	for _, a := range r.Plan.Assessments {
		for _, reason := range reasons(a) {
			seen[reason] = a.Ref.Name
		}
	}
	for _, want := range holdReasons() {
		if _, ok := seen[want]; !ok {
			t.Errorf("nothing is held for %s; there are %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// The checks are counted from what Samples gives, the slow way.
func TestChecksAgreeWithTheSamples(t *testing.T) {
	r := made(t, aWeek)
	s, err := parse(Builtin(), 1)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{spec: s, now: s.start}
	for _, e := range r.Entries {
		if e.Outcome == optimizer.Done {
			if err := c.Apply(t.Context(), e.Change); err != nil {
				t.Fatal(err)
			}
		}
	}
	samples, err := c.Samples(t.Context(), r.Settled, r.Settled.Add(7*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range r.Checks {
		asked := find(t, c, k.Ref.Name).Current().Containers[0].Requests
		windows, over := 0, 0
		for _, s := range samples {
			if s.Ref == k.Ref && s.Signal == fleet.CPU {
				windows++
				if s.Mean*1000 > float64(asked.MilliCPU) {
					over++
				}
			}
		}
		if windows != k.Windows || over != k.CPUOver {
			t.Errorf("%s: %d of %d windows, counted %d of %d", k.Ref, k.CPUOver, k.Windows, over, windows)
		}
	}
	if len(r.Checks) == 0 {
		t.Error("nothing was checked")
	}
}

func TestRunStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Builtin(), Options{}); err == nil {
		t.Error("no error after the context ended")
	}
}

func TestWeeksAreBounded(t *testing.T) {
	for _, weeks := range []int{-1, 13} {
		if _, err := Run(t.Context(), Builtin(), Options{Weeks: weeks}); err == nil {
			t.Errorf("%d weeks were simulated", weeks)
		}
	}
}

func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		if _, err := Run(b.Context(), Builtin(), Options{Prices: cost.Builtin()}); err != nil {
			b.Fatal(err)
		}
	}
}
