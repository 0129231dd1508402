package reports_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/reports"
)

func at(hour int) time.Time { return time.Date(2026, 6, 29, hour, 0, 0, 0, time.UTC) }

func dollars(d float64) cost.Line { return cost.Line{Amount: cost.Money(d * float64(cost.Dollar))} }

// shop is a workload of one container with requests of that much CPU and memory.
func shop(name string, replicas int32, milli, memory int64) fleet.Workload {
	c := fleet.Container{Name: "model-server", Role: fleet.Main, Requests: fleet.Resources{MilliCPU: milli, Memory: memory}}
	w := fleet.Workload{Ref: fleet.Deployment("shop", name), Replicas: replicas, Class: fleet.Online, Capacity: fleet.OnDemand}
	w.Template.Containers = []fleet.Container{c}
	return w
}

func uses(cpu, memory, requests float64) []recommender.Use {
	u := func(s fleet.Signal, container string, v float64) recommender.Use {
		return recommender.Use{Container: container, Signal: s, Mean: v, P50: v, Percentile: v * 1.5, Peak: v * 2, Total: v * 3,
			Samples: 4000, From: at(0).AddDate(0, 0, -7), To: at(0), Pods: 3, Coverage: 0.998}
	}
	return []recommender.Use{u(fleet.Requests, "", requests), u(fleet.CPU, "model-server", cpu), u(fleet.Memory, "model-server", memory)}
}

func requests(milli, memory int64) fleet.Target {
	return fleet.Target{Requests: []fleet.ContainerRequests{{Container: "model-server", Requests: fleet.Resources{MilliCPU: milli, Memory: memory}}}}
}

// plan has one of everything: two changes of which one is partly held, a held one of every sort, one
// to leave, a node without a price, bad policies, lint, and a name that tries to be markup.
func plan() optimizer.Plan {
	big := shop("ranking", 3, 2000, 4<<30)
	fit := requests(200, 1<<30)
	changed := optimizer.Assessment{
		Ref: big.Ref, Class: fleet.Online, Policy: "shop", Mode: policies.Enforce, Workload: big,
		Use: uses(0.12, 600<<20, 5), Now: dollars(150), After: dollars(14.004),
		Verdicts: []optimizer.Verdict{{
			Recommendation: recommender.Recommendation{Ref: big.Ref, Reason: fleet.CPUUnderused, Confidence: 7, Evidence: "used 120m of 2 requested (6 %)",
				Steps: []recommender.Step{{Subject: "model-server cpu", Name: "p95", Value: "170m"}, {Subject: "model-server cpu", Name: "margin 15 %", Value: "195m"}, {Subject: "model-server cpu", Name: "rounded up", Value: "200m"}}},
			Target: fit, Saving: dollars(135.996),
			Trims: []admission.Trim{{Rule: "LimitRange min", Part: "min", Container: "model-server", Resource: "memory", From: 700 << 20, To: 1 << 30}},
		}, {
			Recommendation: recommender.Recommendation{Ref: big.Ref, Reason: fleet.FewRequests, Confidence: 7, Evidence: "5 requests/s for each of 3 ready replicas"},
			Target:         fleet.Target{Replicas: 2}, Holds: []fleet.Hold{{Reason: fleet.HoldQuota, Detail: "the quota has no room"}}, Saving: dollars(50),
		}},
	}
	grows := shop("search", 2, 500, 1<<30)
	up := optimizer.Assessment{
		Ref: grows.Ref, Class: fleet.Online, Policy: "shop", Mode: policies.Recommend, Workload: grows, Use: uses(0.1, 900<<20, 30),
		Now: dollars(20), After: dollars(21.5),
		Verdicts: []optimizer.Verdict{{
			Recommendation: recommender.Recommendation{Ref: grows.Ref, Reason: fleet.CPUUnderused, Confidence: 3.5, Evidence: "memory is short"},
			Target:         requests(400, 2<<30), Saving: dollars(-1.5),
		}},
	}
	gpu := shop("vision", 2, 2000, 4<<30)
	gpu.Template.Containers[0].Requests.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: 1}}
	unpriced := cost.Line{Amount: 3 * cost.Dollar, Unpriced: []string{"x9.huge in mars-1"}}
	held := optimizer.Assessment{Ref: gpu.Ref, Class: fleet.Online, Policy: "shop", Mode: policies.Recommend, Workload: gpu,
		Use: uses(0.1, 1<<30, 2), Now: unpriced, After: unpriced,
		Holds: []fleet.Hold{{Reason: fleet.HoldGPU, Detail: "1 GPU a pod: not judged by CPU; connect dcgm-exporter to see whether they are busy"}}}
	markup := shop("<script>alert(1)</script>", 1, 1000, 1<<30)
	hostile := optimizer.Assessment{Ref: markup.Ref, Workload: markup, Now: dollars(9), After: dollars(9),
		Holds: []fleet.Hold{{Reason: fleet.HoldTwoPolicies, Detail: "a & b both select it"}}}
	fine := shop("valuation", 4, 1000, 2<<30)
	left := optimizer.Assessment{Ref: fine.Ref, Class: fleet.Online, Policy: "shop", Mode: policies.Recommend, Workload: fine,
		Use: uses(0.5, 1800<<20, 40), Now: dollars(80), After: dollars(80)}

	p := optimizer.Plan{At: at(1), Through: at(0), Assessments: []optimizer.Assessment{hostile, changed, up, left, held}}
	for _, a := range []optimizer.Assessment{changed, up} {
		p.Changes = append(p.Changes, optimizer.Change{ID: "6277a818", Ref: a.Ref, From: a.Workload, To: a.Workload.With(a.Target()), Policy: a.Policy, Mode: a.Mode, Saving: a.Now.Sub(a.After)})
	}
	for _, a := range p.Assessments {
		p.Now, p.After = p.Now.Add(a.Now), p.After.Add(a.After)
	}
	p.BadPolicies = []policies.Bad{{Source: "trimtab/a.yaml", Faults: []string{"trimtab/a.yaml:7: spec.minHistory: soon is not a duration"}}, {Source: "trimtab/b.yaml", Faults: []string{"trimtab/b.yaml:1: is empty"}, Kept: true}}
	p.Troubles = []string{"ml/ranker: not changed, because the ledger does not have it: forbidden"}
	p.Kept = []optimizer.Kept{
		{Document: "Governance ml", Kind: "ResourceQuota", Namespace: "ml", Name: "quota", State: optimizer.Repaired, Detail: "requests.cpu was 60, the document asks 50"},
		{Document: "Governance ml", Kind: "LimitRange", Namespace: "ml", Name: "limits", State: optimizer.AsAsked},
	}
	p.Lint = []admission.Finding{{Namespace: "shop", Object: "ResourceQuota models", Item: "limits.nvidia.com/gpu", Text: "is accepted and never enforced by Kubernetes; remove it"}}
	return p
}

func TestGolden(t *testing.T) {
	p := plan()
	for _, c := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{"plan.golden", func(w io.Writer) error { return reports.PlanText(w, p) }},
		{"plan.golden.html", func(w io.Writer) error { return reports.PlanPage(w, p, "./") }},
		{"empty.golden", func(w io.Writer) error { return reports.PlanText(w, optimizer.Plan{At: at(1)}) }},
		{"explain-changed.golden", func(w io.Writer) error { return reports.ExplainText(w, p.Assessments[1], p) }},
		{"explain-held.golden", func(w io.Writer) error { return reports.ExplainText(w, p.Assessments[4], p) }},
		{"explain-fine.golden", func(w io.Writer) error { return reports.ExplainText(w, p.Assessments[3], p) }},
		{"simulation.golden", func(w io.Writer) error { return reports.SimulationText(w, simulation(), "") }},
	} {
		var got bytes.Buffer
		if err := c.write(&got); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, c.file, got.String())
	}
}

// simulation ends in another state than its first plan says, with something refused and no rest.
func simulation() reports.Simulation {
	p := plan()
	after := plan()
	after.Assessments[1].Workload = after.Assessments[1].Workload.With(fleet.Target{Replicas: 2})
	after.Assessments[1].Now = dollars(100)
	return reports.Simulation{
		Fleet: "test", Start: at(0).AddDate(0, 0, -28), End: at(0), Settled: at(0).AddDate(0, 0, 28), Plan: p, After: after,
		Refused: []string{"no spot node has room"},
		Checks: []reports.Check{
			{Ref: p.Assessments[3].Ref, Windows: 4000},
			{Ref: p.Assessments[1].Ref, Windows: 4000, CPUOver: 100, MemoryOver: 2, OOM: 1},
		},
	}
}

// TestOldIsSaidFirst: nobody takes the plan of a daemon in trouble for one of now.
func TestOldIsSaidFirst(t *testing.T) {
	p := plan()
	p.Old, p.SeriesSince = "the newest pass did not work: no <answer>", time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	var text, explained, html bytes.Buffer
	if err := errors.Join(reports.PlanText(&text, p), reports.ExplainText(&explained, p.Assessments[0], p), reports.PlanPage(&html, p, "")); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*bytes.Buffer{&text, &explained} {
		if !strings.HasPrefix(b.String(), "OLD       the newest pass did not work: no <answer>\n") {
			t.Errorf("the text begins %.80q", b)
		}
	}
	if !strings.Contains(html.String(), "OLD: the newest pass did not work: no &lt;answer&gt;") {
		t.Error("the page does not say that it is old")
	}
	if !strings.Contains(text.String(), "series since 2026-11-01 08:00 UTC") {
		t.Errorf("the text does not say how far back the series go:\n%s", &text)
	}
}

func TestTextIsAtMostHundredColumns(t *testing.T) {
	var b bytes.Buffer
	p := plan()
	_ = reports.PlanText(&b, p)
	_ = reports.SimulationText(&b, simulation(), "page.html")
	for _, a := range p.Assessments {
		_ = reports.ExplainText(&b, a, p)
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if n := len([]rune(l)); n > 100 {
			t.Errorf("%d columns: %s", n, l)
		}
		if strings.TrimRight(l, " ") != l {
			t.Errorf("spaces at the end of %q", l)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	var b bytes.Buffer
	if err := reports.SimulationHTML(&b, simulation()); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script", "http://", "https://", "url(", "@import", "<link", "<img", "ZgotmplZ", "style=\"\""} {
		if strings.Contains(b.String(), bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	if !strings.Contains(b.String(), "&lt;script&gt;") || !strings.Contains(b.String(), "SIMULATED") {
		t.Error("the page lacks the escaped name or its mark")
	}
}

func TestSimulatedIsSaidOnlyWhereItIs(t *testing.T) {
	for _, simulated := range []bool{false, true} {
		p := plan()
		p.Simulated = simulated
		var text, html, explain bytes.Buffer
		_ = reports.PlanText(&text, p)
		_ = reports.PlanPage(&html, p, "")
		_ = reports.ExplainText(&explain, p.Assessments[1], p)
		for _, out := range []string{text.String(), html.String(), explain.String()} {
			if strings.Contains(out, "SIMULATED") != simulated || strings.Contains(out, "SIMULATED: some nodes of this cluster are not real") != simulated {
				t.Errorf("simulated %v:\n%s", simulated, out)
			}
		}
		if strings.Contains(explain.String(), "on SIMULATED nodes") {
			t.Errorf("a workload on real nodes is called simulated:\n%s", explain.String())
		}
	}
}

// Which models a plan's word SIMULATED is about is said in the same words everywhere.
func TestWhichModelsAreOnUnrealNodes(t *testing.T) {
	for _, c := range []struct {
		on   int
		want string
	}{{0, "no model is on them"}, {1, "SIMULATED: 1 of 5 models is on"}, {2, "SIMULATED: 2 of 5 models are on"}, {5, "SIMULATED: every model is on"}} {
		p := plan()
		p.Simulated = true
		for i := range c.on {
			p.Assessments[i].Simulated = true
		}
		var text, html, letter bytes.Buffer
		_ = reports.PlanText(&text, p)
		_ = reports.PlanPage(&html, p, "")
		_ = reports.ReportHTML(&letter, reports.Build(reports.Input{Plan: p, Period: reports.Between(at(0), at(1), time.UTC), At: at(1)}), reports.Links{})
		for _, out := range []string{text.String(), html.String(), letter.String()} {
			if !strings.Contains(out, c.want) {
				t.Errorf("%d of %d: no %q in\n%s", c.on, len(p.Assessments), c.want, out)
			}
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriteErrorsAreGiven(t *testing.T) {
	p := plan()
	for i, err := range []error{
		reports.PlanText(full{}, p), reports.PlanPage(full{}, p, ""), reports.ExplainText(full{}, p.Assessments[0], p),
		reports.SimulationText(full{}, simulation(), ""), reports.SimulationHTML(full{}, simulation()),
	} {
		if err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("writer %d: %v", i, err)
		}
	}
}

// TestLittleUse: what is little does not read as none, and plan and explanation write it alike.
func TestLittleUse(t *testing.T) {
	p := plan()
	a := &p.Assessments[1]
	a.Use = []recommender.Use{
		{Container: "model-server", Signal: fleet.CPU, Mean: 0.0035, Peak: 0.00996},
		{Signal: fleet.Latency, Mean: 0.0004, Peak: 0.012},
	}
	var text, explain bytes.Buffer
	_ = reports.PlanText(&text, p)
	_ = reports.ExplainText(&explain, *a, p)
	if !strings.Contains(text.String(), "cpu 3.5m of 2 requested") {
		t.Errorf("the plan writes 3.5m otherwise:\n%s", text.String())
	}
	for _, want := range []string{" 3.5m ", " 10m ", " 0.4 ms ", " 12 ms "} {
		if !strings.Contains(explain.String(), want) {
			t.Errorf("no %q in\n%s", want, explain.String())
		}
	}
}
