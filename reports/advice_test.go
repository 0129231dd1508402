package reports_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/reports"
)

// imaging is the article's image-analysis-model with two GPUs a pod, on a simulated node, and what is advised.
func imaging() optimizer.Plan {
	w := shop("image-analysis-model", 2, 2000, 4<<30)
	w.Template.Containers[0].Requests.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: 2}}
	use := func(container string, s fleet.Signal, mean, peak float64) recommender.Use {
		return recommender.Use{Container: container, Signal: s, Mean: mean, P50: mean, Percentile: mean, Peak: peak, Total: 2 * mean,
			Samples: 4000, From: at(0).AddDate(0, 0, -7), To: at(0), Pods: 2, Coverage: 1}
	}
	a := optimizer.Assessment{
		Ref: w.Ref, Class: fleet.Online, Policy: "shop", Mode: policies.Recommend, Workload: w, Simulated: true,
		Now: dollars(1905.5), After: dollars(1905.5),
		Use: []recommender.Use{use("gpu 0", fleet.GPU, 0.08, 0.12), use("gpu 0", fleet.GPUMemory, 5<<30, 6<<30),
			use("gpu 1", fleet.GPU, 0.08, 0.1), use("gpu 1", fleet.GPUMemory, 700<<20, 0.7*(1<<30)), use("model-server", fleet.CPU, 0.06, 0.1)},
		Advice: []optimizer.Advice{{Saving: dollars(885.025), Advice: recommender.Advice{
			Reason: fleet.GPUUnderused, MilliGPU: 1000, Confidence: 7, Text: "both GPUs busy 8 %: share (time-slicing or MIG) or remove one",
			Before: "look at the GPU memory in use first", Evidence: "gpu 0 busy 8 % on average",
			Steps: []recommender.Step{{Subject: "gpus", Name: "asked for", Value: "2"}, {Subject: "gpus", Name: "enough to 70 %", Value: "1"}},
		}}},
	}
	return optimizer.Plan{At: at(1), Through: at(0), Assessments: []optimizer.Assessment{a}, Now: a.Now, After: a.After, Simulated: true}
}

// TestAdviceGolden: advice is in the plan and its explanation with its money, is no change, and the node under it is called simulated.
func TestAdviceGolden(t *testing.T) {
	p := imaging()
	for file, write := range map[string]func(io.Writer) error{
		"advice.golden":         func(w io.Writer) error { return reports.PlanText(w, p) },
		"explain-advice.golden": func(w io.Writer) error { return reports.ExplainText(w, p.Assessments[0], p) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, file, got.String())
	}
}

// TestAdviceEverywhere: the page and the summary say the same, with and without a price.
func TestAdviceEverywhere(t *testing.T) {
	p := imaging()
	var page bytes.Buffer
	if err := reports.PlanPage(&page, p, ""); err != nil {
		t.Fatal(err)
	}
	const text = "both GPUs busy 8 %: share (time-slicing or MIG) or remove one: saves $885.03 a month"
	for _, want := range []string{"<h2>Advice (1)</h2>", "<strong>" + text + "</strong>", "look at the GPU memory in use first", "on SIMULATED nodes",
		"There is nothing to change. Advice for people, in no sum: saves $885.03 a month."} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	const gpus = "4 GPUs in shop/image-analysis-model (SIMULATED), $1,905.50 a month; measured, and never judged by CPU; image-analysis-model: "
	if s := reports.Summarize(p); s.GPU != gpus+text || len(s.Held) != 0 || len(s.Actions(9)) != 0 {
		t.Errorf("summary: %s\n%+v", s.GPU, s.Held)
	}
	p.Assessments[0].Advice[0].Saving = cost.Line{Unpriced: []string{"x9.huge in mars-1"}}
	if s := reports.Summarize(p); !strings.HasSuffix(s.GPU, "or remove one: saving unknown, a price is missing") {
		t.Errorf("unpriced: %s", s.GPU)
	}
	p.Assessments[0].Advice[0].Saving = cost.Line{}
	if s := reports.Summarize(p); !strings.HasSuffix(s.GPU, "or remove one") {
		t.Errorf("not known what is freed: %s", s.GPU)
	}
	p.Assessments[0].Holds = []fleet.Hold{{Reason: fleet.HoldGPU, Detail: "not measured for long enough"}}
	if s := reports.Summarize(p); !strings.Contains(s.GPU, "unknown, connect dcgm-exporter") {
		t.Errorf("held as unknown: %s", s.GPU)
	}
}

// TestAutoscalerAdvice: it stands beside that of GPUs, with its money, and is not told of where GPUs are.
func TestAutoscalerAdvice(t *testing.T) {
	p := imaging()
	const text = "HPA imaging: minReplicas 2 -> 4, maxReplicas 10 -> 7, target 80 % -> 62 % CPU"
	p.Assessments[0].Advice = append(p.Assessments[0].Advice, optimizer.Advice{Saving: dollars(-20.5), Advice: recommender.Advice{
		Reason: fleet.ReplicaForecast, Text: text, Before: "it keeps what you set", Evidence: "60 to 90 requests/s", MilliReplicas: -400}})
	var plan, explained bytes.Buffer
	if err := errors.Join(reports.PlanText(&plan, p), reports.ExplainText(&explained, p.Assessments[0], p)); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{plan.String(), explained.String()} {
		flat := strings.Join(strings.Fields(got), " ")
		if !strings.Contains(flat, text+": costs $20.50 more a month") || !strings.Contains(flat, "because 60 to 90 requests/s first it keeps what you set") {
			t.Errorf("it lacks the advice:\n%s", got)
		}
	}
	if s := reports.Summarize(p); strings.Contains(s.GPU, "HPA") {
		t.Errorf("told of as of a GPU: %s", s.GPU)
	}
}
