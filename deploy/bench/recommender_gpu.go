package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/sharing"
)

const (
	gpuLearn  = 12 * time.Hour // before the first plan
	gpuAgain  = time.Hour      // between plans
	gpuBusy   = 0.8            // the busiest that a shared card may be, at p99
	gpuRecent = 3              // slots after its last sample in which a pod still counts as running
)

// gpuFleet is the pods with GPU series on one clock.
type gpuFleet struct {
	pods  []sharing.Pod
	first []int // slot in which each was measured first, and last
	last  []int
	slots int
	step  time.Duration
}

// gpuCards are the models that the pods are taken to run on: the trace does not say which they had.
func gpuCards() []sharing.Card {
	return slices.DeleteFunc(sharing.Cards(), func(c sharing.Card) bool { return c.Name != "A100-80GB" && c.Name != "H200" })
}

// gpuRule is a way to plan.
type gpuRule struct {
	name string
	plan func(before sharing.Sharing, pods []sharing.Pod) sharing.Sharing
}

// gpuRules are ours by turns and in slices, and Kruize's at its two percentiles.
func gpuRules(step time.Duration) []gpuRule {
	with := func(way sharing.Way) func(sharing.Sharing, []sharing.Pod) sharing.Sharing {
		o := sharing.DefaultOptions()
		o.Way = way
		return func(before sharing.Sharing, pods []sharing.Pod) sharing.Sharing {
			return sharing.Replan(before, pods, o)
		}
	}
	kruize := func(q float64) func(sharing.Sharing, []sharing.Pod) sharing.Sharing {
		return func(before sharing.Sharing, pods []sharing.Pod) sharing.Sharing {
			return sharing.PlanKruize(before, nominal(pods), step, q)
		}
	}
	return []gpuRule{
		{"trimtab time-slice", with(sharing.TimeSlice)}, {"trimtab MIG", with(sharing.MIG)},
		{"kruize performance", kruize(sharing.KruizePerformance)}, {"kruize cost", kruize(sharing.KruizeCost)},
	}
}

// nominal gives every slice the memory that its name says, as Kruize reckons.
func nominal(pods []sharing.Pod) []sharing.Pod {
	out := slices.Clone(pods)
	for i := range out {
		out[i].Card = nominalCard(out[i].Card)
	}
	return out
}

func nominalCard(c sharing.Card) sharing.Card {
	c.Profiles = slices.Clone(c.Profiles)
	for i := range c.Profiles {
		c.Profiles[i].Memory = c.Memory * int64(c.Profiles[i].Size) / int64(c.Slots)
	}
	return c
}

// gpuScore is how a rule did.
type gpuScore struct {
	before, after int     // card-hours without and with sharing
	overflow      int     // slots in which memory ran out on a card
	moved         int     // pods that had to start again
	shared, hot   int     // cards that were shared, and those of them above gpuBusy at p99
	worst, pooled float64 // p99 of the summed duty, of the worst card and of all shared ones
}

func (s gpuScore) ratio() float64 { return float64(s.after) / float64(max(s.before, 1)) }

// gpu compares how the pods share cards.
func (a *advised) gpu() error {
	fleet, err := a.gpuFleet()
	if err != nil || len(fleet.pods) == 0 {
		a.say("%d pods with GPU series", len(fleet.pods))
		return err
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "card\trule\tcard-hours before\tafter\tratio\toverflow min\tp99 duty of shared cards\tworst card\tcards above 80 %\tmoved\t")
	var faults []error
	for _, card := range gpuCards() {
		var scores []gpuScore
		for _, rule := range gpuRules(fleet.step) {
			s := fleet.score(card, rule)
			scores = append(scores, s)
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.3f\t%.0f\t%.2f\t%.2f\t%d of %d\t%d\t\n", card.Name, rule.name, s.before, s.after, s.ratio(),
				fleet.minutes(s.overflow), s.pooled, s.worst, s.hot, s.shared, s.moved)
		}
		faults = append(faults, a.gpuFigures(card, fleet, scores))
	}
	t.Flush()
	return errors.Join(faults...)
}

func (f gpuFleet) minutes(slots int) float64 { return float64(slots) * f.step.Minutes() }

func (a *advised) gpuFigures(card sharing.Card, f gpuFleet, scores []gpuScore) error {
	of := func(figure func(gpuScore) float64) (out []other) {
		for k, rule := range gpuRules(f.step)[1:] {
			out = append(out, other{rule.name, figure(scores[k+1])})
		}
		return out
	}
	overflow := func(s gpuScore) float64 { return f.minutes(s.overflow) }
	return errors.Join(
		a.beside("gpu_ratio", scores[0].ratio(), fmt.Sprintf("cards after ÷ before, %s, time-slice, p99 duty of shared cards %.2f, worst %.2f", card.Name, scores[0].pooled, scores[0].worst), of(gpuScore.ratio)...),
		a.beside("gpu_overflow_minutes", overflow(scores[0]), "minutes in which memory ran out on a card, "+card.Name, of(overflow)...),
	)
}

// gpuFleet reads the pods. One without GPU series is left out.
func (a *advised) gpuFleet() (gpuFleet, error) {
	var f gpuFleet
	var times [][]int64
	var columns [][][]float64
	var faults []error
	start := int64(math.MaxInt64)
	for _, e := range a.of("gpu_pod") {
		faults = append(faults, a.folder.Open(e.Path, func(r io.Reader) error {
			at, values, err := readColumns(r, e.Path, "gpu_util_pct", "gpu_mem_mib")
			if err == nil && slices.ContainsFunc(values[1], func(v float64) bool { return !math.IsNaN(v) }) {
				f.pods, times, columns = append(f.pods, sharing.Pod{Name: e.ID}), append(times, at), append(columns, values)
				start = min(start, at[0])
			}
			return err
		}))
	}
	for i := range f.pods {
		f.step = max(f.step, replay.Series{At: times[i]}.Step())
	}
	if err := errors.Join(faults...); err != nil {
		return gpuFleet{}, err
	}
	if f.step == 0 {
		return gpuFleet{}, nil // no pod was measured twice
	}
	for i := range f.pods {
		f.place(i, times[i], columns[i], start)
	}
	return f, nil
}

// place puts a pod's samples into slots.
func (f *gpuFleet) place(i int, at []int64, values [][]float64, start int64) {
	step := int64(f.step / time.Second)
	n := int((at[len(at)-1]-start+step/2)/step) + 1
	p := &f.pods[i]
	p.Duty, p.Memory = unmeasured(n), unmeasured(n)
	first, last := -1, -1
	for k := range at {
		slot := int((at[k] - start + step/2) / step)
		if !math.IsNaN(values[0][k]) {
			p.Duty[slot] = values[0][k] / 100
		}
		if !math.IsNaN(values[1][k]) {
			p.Memory[slot] = values[1][k] * replay.MiB
			if last = slot; first < 0 {
				first = slot
			}
		}
	}
	f.first, f.last = append(f.first, first), append(f.last, last)
	f.slots = max(f.slots, last+1)
}

func unmeasured(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// score plans every hour by what was measured until then, and judges by the hour that follows. A pod that comes
// within an hour has a card for itself until its end.
func (f gpuFleet) score(card sharing.Card, rule gpuRule) (s gpuScore) {
	judgeCard := card
	if rule.name[0] == 'k' {
		judgeCard = nominalCard(card)
	}
	whole := f.on(judgeCard, f.slots)
	duty := map[int][]float64{}
	var plan sharing.Sharing
	hour := int(gpuAgain / f.step)
	for from := int(gpuLearn / f.step); from < f.slots; from += hour {
		to := min(f.slots, from+hour)
		known, fresh := f.running(card, from, to)
		plan = rule.plan(plan, known)
		s.before += len(known) + fresh
		s.after += len(plan.Groups) + fresh
		s.moved += len(plan.Moved)
		for _, u := range sharing.Judge(plan, whole, from, to) {
			s.overflow += u.Overflow
			if u.Pods > 1 {
				duty[u.Number] = append(duty[u.Number], u.Duty...)
			}
		}
	}
	s.duties(duty)
	return s
}

func (s *gpuScore) duties(ofCard map[int][]float64) {
	var all []float64
	for _, duty := range ofCard { // sums and the largest: the order does not matter
		all = append(all, duty...)
		p99 := sharing.Percentile(duty, 0.99)
		s.worst = max(s.worst, p99)
		s.shared++
		if p99 > gpuBusy {
			s.hot++
		}
	}
	s.pooled = sharing.Percentile(all, 0.99)
}

// on is the pods on a card, as far as they were measured before a slot.
func (f gpuFleet) on(card sharing.Card, before int) []sharing.Pod {
	out := slices.Clone(f.pods)
	for i := range out {
		n := min(before, len(out[i].Duty))
		out[i].Card, out[i].Duty, out[i].Memory = card, out[i].Duty[:n], out[i].Memory[:n]
	}
	return out
}

// running is the pods that are known and still there at a slot, and how many others come before another.
func (f gpuFleet) running(card sharing.Card, from, to int) (known []sharing.Pod, fresh int) {
	for i, p := range f.on(card, from) {
		switch {
		case f.first[i] < from && f.last[i] >= from-gpuRecent:
			known = append(known, p)
		case f.first[i] >= from && f.first[i] < to:
			fresh++
		}
	}
	return known, fresh
}
