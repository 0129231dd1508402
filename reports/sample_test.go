package reports_test

import (
	"fmt"
	"slices"
	"time"
	_ "time/tzdata"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/policies/admission"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/reports"
)

var berlin = func() *time.Location {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return loc
}()

// monday begins the week 47 that the sample tells of.
var monday = time.Date(2026, 11, 16, 0, 0, 0, 0, berlin)

const sampleHours = 14 * 24

// sample is two weeks of a fleet of more models than a mail lists, with everything a report has to say:
// changes done, failed, taken back and under way, a tuned server, a GPU that nobody measures, a model
// without a price, hours that are not covered and a broken document.
func sample() reports.Input {
	p := samplePlan()
	return reports.Input{
		Name: "weekly", Period: reports.Between(monday, monday.AddDate(0, 0, 7), berlin),
		At: monday.AddDate(0, 0, 7).Add(9 * time.Hour), Version: "1.2.3", Plan: p, Entries: sampleEntries(p), Diary: sampleDiary(p),
	}
}

// sampleDiary has a pass every ten minutes of both weeks but for an hour of a Thursday; recommendation-model
// was trimmed on Tuesday of the second.
func sampleDiary(p optimizer.Plan) *cost.Diary {
	d := &cost.Diary{}
	for m := 0; m <= sampleHours*6; m++ {
		at, h := monday.Add(time.Duration(m)*10*time.Minute-168*time.Hour), m/6
		if h == 250 {
			continue
		}
		var rates []cost.Rate
		for _, a := range p.Assessments {
			now := a.Now
			if a.Ref.Name == "recommendation-model" && h <= 168+34 {
				now = dollars(43.39)
			}
			if a.Ref.Name == "small-09" && h < 200 {
				continue // it is new
			}
			rates = append(rates, cost.Rate{Ref: a.Ref, Monthly: now})
		}
		d.Add(at, 30*time.Minute, rates)
	}
	return d
}

func ml(name string, replicas int32, milli, memory int64) fleet.Workload {
	w := shop(name, replicas, milli, memory)
	w.Ref = fleet.Deployment("ml-production", name)
	return w
}

func judged(w fleet.Workload, month cost.Line, rate float64) optimizer.Assessment {
	return optimizer.Assessment{Ref: w.Ref, Class: w.Class, Policy: "ml-production", Mode: policies.Recommend, Workload: w,
		Use: []recommender.Use{{Signal: fleet.Requests, Total: rate}}, Now: month, After: month}
}

func samplePlan() optimizer.Plan {
	trimmed := judged(ml("recommendation-model", 3, 10, 32<<20), dollars(0.97), 4.9)
	trimmed.Verdicts = []optimizer.Verdict{{
		Recommendation: recommender.Recommendation{Ref: trimmed.Ref, Reason: fleet.FewRequests, Confidence: 6.8,
			Evidence: "4.87 requests/s over 7 days, 1.62 for each of 3 ready replicas, below 10; 2 would be enough, one is taken away at a time"},
		Target: fleet.Target{Replicas: 2}, Saving: dollars(0.32),
	}}
	batch := ml("image-batch", 1, 150, 64<<20)
	batch.Class = fleet.Batch
	spot := judged(batch, dollars(3.61), 2.5)
	spot.Verdicts = []optimizer.Verdict{{
		Recommendation: recommender.Recommendation{Ref: spot.Ref, Reason: fleet.BatchOnDemand, Confidence: 0.2,
			Evidence: "class batch on on-demand capacity; one of its pods would fit on 1 ready spot node"},
		Target: fleet.Target{Capacity: fleet.Spot}, Saving: dollars(2.17),
	}}
	gpu := judged(ml("image-analysis-model", 2, 4000, 16<<30), dollars(1769.52), 0)
	gpu.Use, gpu.Simulated = nil, true
	gpu.Holds = []fleet.Hold{{Reason: fleet.HoldGPU, Detail: "2 GPUs a pod: not judged by CPU; connect dcgm-exporter"}}
	idle := judged(ml("ocr", 1, 2000, 8<<30), dollars(383.98), 0.4)
	idle.Advice = []optimizer.Advice{{Advice: recommender.Advice{Reason: fleet.GPUUnderused,
		Text: "remove 1 of 2 GPUs of each pod", Evidence: "gpu 1 was never above 2 % in 7 days"}, Saving: dollars(191.99)}}
	unpriced := judged(ml("translation", 2, 1000, 2<<30), cost.Line{Unpriced: []string{"x9.huge in mars-1"}}, 12)
	dark := judged(ml("summaries", 1, 500, 1<<30), dollars(14.46), 0)
	dark.Use, dark.Holds = nil, []fleet.Hold{{Reason: fleet.HoldNoMetrics, Detail: "nothing was measured"}}
	all := []optimizer.Assessment{trimmed, spot, gpu, idle, unpriced, dark, judged(ml("property-valuation", 2, 140, 48<<20), dollars(6.67), 25)}
	for i := range 9 {
		all = append(all, judged(ml(fmt.Sprintf("small-%02d", i+1), 1, 100, 128<<20), dollars(2.345+float64(i)/100), 1))
	}
	slices.SortFunc(all, func(a, b optimizer.Assessment) int { return a.Ref.Compare(b.Ref) })
	p := optimizer.Plan{At: monday.AddDate(0, 0, 7).Add(9*time.Hour - 20*time.Second), Assessments: all, Enforcing: true, Simulated: true}
	for _, a := range []optimizer.Assessment{spot, trimmed} {
		p.Changes = append(p.Changes, optimizer.Change{ID: "p-" + a.Ref.Name[:4], Ref: a.Ref, From: a.Workload, To: a.Workload.With(a.Verdicts[0].Target),
			Policy: a.Policy, Mode: policies.Recommend, Saving: a.Verdicts[0].Saving})
	}
	p.Kept = []optimizer.Kept{
		{Document: "Governance ml-production", Kind: "ResourceQuota", Namespace: "ml-production", Name: "models", State: optimizer.Repaired, Detail: "requests.cpu was 80, is 50 again"},
		{Document: "Governance ml-production", Kind: "LimitRange", Namespace: "ml-production", Name: "models", State: optimizer.AsAsked},
		{Document: "InferenceServer valuation", Kind: "ConfigMap", Namespace: "ml-production", Name: "model-config", State: optimizer.AsAsked,
			Detail: "batch size 8: p99 41 ms of 50 ms, $0.0021 for 1,000 requests; with 1: p99 19 ms, $0.0074"},
	}
	p.Lint = []admission.Finding{{Namespace: "ml-production", Object: "ResourceQuota ml-models-quota", Item: "limits.nvidia.com/gpu", Text: "is accepted and never enforced by Kubernetes; remove it"}}
	p.BadPolicies = []policies.Bad{{Source: "trimtab/night.yaml", Faults: []string{"trimtab/night.yaml:7: spec.window: soon is not a duration"}, Kept: true}}
	p.Prices = []cost.Row{{InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.OnDemand, Hourly: 96_000, Source: "AWS EC2 on-demand list price", Date: "2026-07-20"}}
	return p
}

// sampleEntries is a ledger: the trim of recommendation-model done on Tuesday, a spot move taken back on
// Wednesday that had been made the week before, a refusal, a tuned batch size and a change under way.
func sampleEntries(p optimizer.Plan) []optimizer.Entry {
	find := func(name string) fleet.Workload {
		i := slices.IndexFunc(p.Assessments, func(a optimizer.Assessment) bool { return a.Ref.Name == name })
		return p.Assessments[i].Workload
	}
	hour := func(h int) time.Time { return monday.Add(time.Duration(h) * time.Hour) }
	now := find("recommendation-model")
	was := now.With(requests(500, 1<<30))
	batch := find("image-batch")
	onSpot := batch.With(fleet.Target{Capacity: fleet.Spot})
	val := find("property-valuation")
	tuned := val
	val.BatchSize, tuned.BatchSize = 1, 8
	small := find("small-03")
	return []optimizer.Entry{
		{ID: "e-1", Change: optimizer.Change{Ref: batch.Ref, From: batch, To: onSpot, Saving: dollars(2.17)}, Begun: hour(-50), Ended: hour(-49), Outcome: optimizer.Done},
		{ID: "e-2", Change: optimizer.Change{Ref: now.Ref, From: was, To: now, Saving: dollars(42.42), By: "jo@example.com"}, Begun: hour(34), Ended: hour(34).Add(2 * time.Minute), Outcome: optimizer.Done},
		{ID: "e-3", Change: optimizer.Change{Ref: batch.Ref, From: onSpot, To: batch, Saving: dollars(-2.17), Reverts: "e-1", By: "ops@example.com"}, Begun: hour(60), Ended: hour(61), Outcome: optimizer.Done, Detail: ""},
		{ID: "e-4", Change: optimizer.Change{Ref: small.Ref, From: small, To: small.With(requests(2000, 1<<30)), Saving: dollars(-40)}, Begun: hour(70), Ended: hour(70), Outcome: optimizer.Failed,
			Detail: `pods "small-03-x" is forbidden: exceeded quota: models, requested: requests.cpu=1900m, used: requests.cpu=49, limited: requests.cpu=50`},
		{ID: "e-5", Change: optimizer.Change{Ref: val.Ref, From: val, To: tuned, Keeper: "managed", Policy: "InferenceServer valuation"}, Begun: hour(80), Ended: hour(82), Outcome: optimizer.Done,
			Detail: "p99 19 ms -> 41 ms of 50 ms, $0.0074 -> $0.0021 for 1,000 requests"},
		{ID: "e-6", Change: optimizer.Change{Ref: small.Ref, From: small, To: small.With(requests(50, 64<<20)), Saving: dollars(1.17)}, Begun: hour(167), Detail: "1 of 1 pods are being resized"},
	}
}
