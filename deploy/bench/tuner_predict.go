package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"text/tabwriter"

	"trimtab.dev/trimtab/recommender/capacity"
)

// vision is what was said of a combination before it was run.
type vision struct {
	Ours      capacity.Prediction `json:"ours"`
	P99       capacity.Estimate   `json:"p99"`   // of ours, corrected by how the calibration's own windows were predicted
	Paced     capacity.Prediction `json:"paced"` // as ours, for the pace that the core had in the window
	PacedP99  capacity.Estimate   `json:"pacedP99"`
	Published capacity.Prediction `json:"published"` // as ours, by the curve that the server published, as the daemon
	ToldP99   capacity.Estimate   `json:"toldP99"`   // of Published, corrected as P99 is
	Alone     capacity.Prediction `json:"alone"`     // by the self-profile alone, without a window
	MD1       rivalAnswer         `json:"-"`
	MeanValue rivalAnswer         `json:"-"`
}

// foresee predicts every combination by what is known, and by what servers told. Of its windows only the pace of the core is looked at, and only for
// Paced.
func (t *tuner) foresee(k, told knowledge, windows []seen) []vision {
	visions := make([]vision, len(t.combinations()))
	for _, c := range t.combinations() {
		known, load, at := k.of(c.of, 1), c.load(), c.place.setting()
		ours := capacity.Predict(known, load, at, c.promise())
		its := k.of(c.of, k.usual.slowness(windows[c.index].Air.During))
		paced := capacity.Predict(its, load, at, c.promise())
		published := capacity.Predict(told.of(c.of, 1), load, at, c.promise())
		visions[c.index] = vision{
			Ours:      ours,
			P99:       k.records[c.of].Correct(ours.P99.Value, steep(ours, known, load, at)),
			Paced:     paced,
			PacedP99:  k.records[c.of].Correct(paced.P99.Value, 0),
			Published: published,
			ToldP99:   told.records[c.of].Correct(published.P99.Value, steep(published, told.of(c.of, 1), load, at)),
			Alone:     t.alone(c),
			MD1:       single(known, load, 1),
			MeanValue: meanValue(known, load, at),
		}
	}
	return visions
}

// alone is what the self-profile says of a combination, which does not change with what is learnt.
func (t *tuner) alone(c combination) capacity.Prediction {
	if len(t.visions) > 0 {
		return t.visions[0][c.index].Alone
	}
	return capacity.Predict(onCore(t.survey.Classes[c.Model].Profile), c.load(), c.place.setting(), c.promise())
}

// foreseen is what was said of a combination: as its windows count by their median, the predictions of the repeats
// count by the one of the median p99.
func (t *tuner) foreseen(i int) vision {
	var all []vision
	for _, of := range t.visions {
		all = append(all, of[i])
	}
	slices.SortStableFunc(all, func(a, b vision) int { return cmp.Compare(a.answer().p99, b.answer().p99) })
	return all[(len(all)-1)/2]
}

// answer is what we say.
func (v vision) answer() rivalAnswer { return corrected(v.Ours, v.P99) }

// corrected is a prediction with a p99 that was corrected.
func corrected(p capacity.Prediction, p99 capacity.Estimate) rivalAnswer {
	a := answer(p)
	if !p.Full {
		a.p99 = p99.Value.Seconds()
	}
	return a
}

// answer is a prediction in the rivals' form.
func answer(p capacity.Prediction) rivalAnswer {
	if p.Full {
		return rivalAnswer{math.Inf(1), p.Cores}
	}
	return rivalAnswer{p.P99.Value.Seconds(), p.Cores}
}

// worstError stands for a prediction that is more than ten times off, or of a server that cannot follow.
const worstError = 10

// off is how far a prediction is from what was measured, as a share of that.
func off(predicted, measured float64) float64 {
	if math.IsNaN(predicted) {
		return worstError
	}
	return min(math.Abs(predicted-measured)/measured, worstError)
}

// judged is one way to predict with its errors.
type judged struct {
	name       string
	p99, cores []float64
}

// errorsOf compares every combination that the server could follow. Cores are those at the core's usual pace, but of the
// prediction for each window's own, and of the self-profile, which knows none.
func (t *tuner) errorsOf() []judged {
	evenly := func(o outcome) float64 { return o.Used }
	asRun := func(o outcome) float64 { return o.AsRun }
	ways := []struct {
		name  string
		of    func(vision) rivalAnswer
		cores func(outcome) float64
	}{
		{"capacity model", vision.answer, evenly},
		{"without its calibration", func(v vision) rivalAnswer { return answer(v.Ours) }, evenly},
		{"capacity model, for each window's pace", func(v vision) rivalAnswer { return corrected(v.Paced, v.PacedP99) }, asRun},
		{"capacity model, cores as run", vision.answer, asRun},
		{"by the published curve, as the daemon", func(v vision) rivalAnswer { return corrected(v.Published, v.ToldP99) }, evenly},
		{"self-profile alone", func(v vision) rivalAnswer { return answer(v.Alone) }, asRun},
		{"M/D/1", func(v vision) rivalAnswer { return v.MD1 }, evenly},
		{"mean-value queue", func(v vision) rivalAnswer { return v.MeanValue }, evenly},
		{"M/D/1, cores as run", func(v vision) rivalAnswer { return v.MD1 }, asRun},
	}
	var all []judged
	for _, w := range ways {
		j := judged{name: w.name}
		for i, o := range t.outcomes {
			if o.followed() {
				a := w.of(t.foreseen(i))
				j.p99, j.cores = append(j.p99, off(a.p99, o.P99)), append(j.cores, off(a.cores, w.cores(o)))
			}
		}
		all = append(all, j)
	}
	return all
}

// followed tells that the server kept up with what came: a queue that grows through the whole window has no
// p99 of its own, but one of the window's length.
func (o outcome) followed() bool {
	return o.Bad < mostBad && o.P99 < 1 && o.AsRun < o.restful()*o.Cores
}

// restful is the share of its limit that a server may use to be compared. A queue comes to rest within some 1/(1-share)²
// times what it waits for: where a quota bounds it, that is the kernel's period, so that a window of 2.5 s shows a server
// at rest up to 0.8; where only its core does, it is a batch of milliseconds.
func (o outcome) restful() float64 {
	if !o.limited() {
		return mostUsed
	}
	return 1 - math.Sqrt(quotaPeriod/o.Window.Seconds())
}

const (
	mostBad     = 0.01 // share of requests without an answer
	mostUsed    = 0.95
	quotaPeriod = 0.1 // seconds, the kernel's own
)

// prediction runs the sweep and compares.
func (t *tuner) prediction() error {
	if err := t.run(); err != nil {
		return err
	}
	t.printVisions()
	t.printWorst()
	all := t.errorsOf()
	if len(all[0].p99) == 0 {
		return errors.New("no server followed its load: nothing can be compared; is the machine busy?")
	}
	printErrors(all)
	return errors.Join(t.predictionFigures(all), t.writeOut())
}

func (t *tuner) predictionFigures(all []judged) error {
	var faults []error
	ours, raw, paced, asRun, published, alone := all[0], all[1], all[2], all[3], all[4], all[5]
	unit := fmt.Sprintf("%% of the measured, %d combinations", len(ours.p99))
	for _, rival := range all[6:8] {
		faults = append(faults,
			t.beside("p99_median_error_pct", 100*share(ours.p99, 0.5), unit, rival.name, 100*share(rival.p99, 0.5)),
			t.beside("p99_p90_error_pct", 100*share(ours.p99, 0.9), unit, rival.name, 100*share(rival.p99, 0.9)),
			t.beside("cores_error_pct", 100*share(ours.cores, 0.5), "median, at the core's usual pace, "+unit, rival.name, 100*share(rival.cores, 0.5)))
	}
	covered, of, wide := t.covered()
	return errors.Join(append(faults,
		t.tuned("uncalibrated_p99_median_error_pct", 100*share(raw.p99, 0.5), unit),
		t.tuned("uncalibrated_p99_p90_error_pct", 100*share(raw.p99, 0.9), unit),
		t.tuned("paced_p99_median_error_pct", 100*share(paced.p99, 0.5), "for the pace that the core had in each window; "+unit),
		t.tuned("paced_p99_p90_error_pct", 100*share(paced.p99, 0.9), unit),
		t.tuned("paced_cores_error_pct", 100*share(paced.cores, 0.5), "median, for the pace that the core had in each window; "+unit),
		t.beside("cores_as_run_error_pct", 100*share(asRun.cores, 0.5), "median, of the cores at whatever pace the core had, "+unit, "M/D/1", 100*share(all[8].cores, 0.5)),
		t.tuned("published_p99_median_error_pct", 100*share(published.p99, 0.5), "by the curve that the server published in the last look, as the daemon predicts; "+unit),
		t.tuned("published_p99_p90_error_pct", 100*share(published.p99, 0.9), unit),
		t.tuned("published_cores_error_pct", 100*share(published.cores, 0.5), "median, "+unit),
		t.tuned("profile_only_p99_median_error_pct", 100*share(alone.p99, 0.5), unit),
		t.tuned("profile_only_cores_error_pct", 100*share(alone.cores, 0.5), "median, "+unit),
		t.tuned("coverage_pct", 100*float64(covered)/float64(of), fmt.Sprintf("%% of %d measured p99 inside the 90 %% interval", of)),
		t.tuned("interval_pct", 100*wide, "% of the prediction to either side of it on average, median of these intervals"),
		t.tuned("combinations", float64(len(t.outcomes)), fmt.Sprintf("really run, of them %d that the server followed", len(ours.p99))))...)
}

// share is the value that share p of all do not exceed.
func share(all []float64, p float64) float64 { return quantile(slices.Sorted(slices.Values(all)), p) }

// covered counts the measured p99 that are inside their interval, of which half the width is told, as a share, in the middle.
func (t *tuner) covered() (inside, of int, wide float64) {
	var widths []float64
	for i, o := range t.outcomes {
		if e := t.foreseen(i).P99; o.followed() {
			of++
			widths = append(widths, (e.High-e.Low).Seconds()/2/e.Value.Seconds())
			if o.P99 >= e.Low.Seconds() && o.P99 <= e.High.Seconds() {
				inside++
			}
		}
	}
	return inside, of, share(widths, 0.5)
}

func printErrors(all []judged) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "error %\tp99 median\tp90\tworst\tcores median\tp90\tworst\t\n")
	for _, j := range all {
		fmt.Fprintf(w, "%s\t", j.name)
		for _, errors := range [][]float64{j.p99, j.cores} {
			fmt.Fprintf(w, "%.1f\t%.1f\t%.1f\t", 100*share(errors, 0.5), 100*share(errors, 0.9), 100*share(errors, 1))
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

// printVisions shows every combination, measured and predicted. Beside the batch, the CPU of the model for
// each batch and the CPU beside it for each request say where a prediction goes wrong.
func (t *tuner) printVisions() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	var last scenario
	for i, o := range t.outcomes {
		if o.scenario != last {
			last = o.scenario
			fmt.Fprintf(w, "%s\tp50 ms\tsaid\tp99 ms\tsaid\tfrom\tto\tprofile\tM/D/1\tmean\tcores\tsaid\tbatch\tsaid\tmodel us\tsaid\tbeside us\tlate us\tbad %%\t\n", last)
		}
		v, curve := t.foreseen(i), t.latest.of(i/len(grid()), 1).Curve
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t\n", o.place,
			1e3*o.P50, 1e3*v.Ours.P50.Value.Seconds(), 1e3*o.P99, 1e3*v.answer().p99, 1e3*v.P99.Low.Seconds(), 1e3*v.P99.High.Seconds(),
			1e3*answer(v.Alone).p99, 1e3*v.MD1.p99, 1e3*v.MeanValue.p99, o.Used, v.Ours.Cores, o.MeanBatch, v.Ours.MeanBatch,
			1e6*o.PerBatch, 1e6*curve.CPU.At(o.MeanBatch), 1e6*o.PerRequest, 1e6*o.Late, 100*o.Bad)
	}
	w.Flush()
}

// printWorst names the combinations whose p99 was predicted worst.
func (t *tuner) printWorst() {
	var order []int
	for i, o := range t.outcomes {
		if o.followed() {
			order = append(order, i)
		}
	}
	wrong := func(i int) float64 { return off(t.foreseen(i).answer().p99, t.outcomes[i].P99) }
	slices.SortStableFunc(order, func(a, b int) int {
		if wrong(a) > wrong(b) {
			return -1
		}
		return 1
	})
	for _, i := range order[:min(5, len(order))] {
		o := t.outcomes[i]
		t.say("  far off: %s, %s: p99 %.2f ms, said %.2f ms (%+.0f %%); its windows %s ms", o.scenario, o.place, 1e3*o.P99,
			1e3*t.foreseen(i).answer().p99, 100*(t.foreseen(i).answer().p99/o.P99-1), millisText(o.P99s))
	}
}

func millisText(all []float64) (text string) {
	for i, v := range all {
		text += ", "[:2*min(1, i)] + fmt.Sprintf("%.2f", 1e3*v)
	}
	return text
}

// writeOut writes a JSON line for each combination. Infinite latencies, which JSON lacks, are absent.
func (t *tuner) writeOut() error {
	if t.out == nil {
		return nil
	}
	for i, o := range t.outcomes {
		text, err := json.Marshal(struct {
			outcome
			vision
			MD1       *float64         `json:"md1_p99_s"`
			MeanValue *float64         `json:"mean_value_p99_s"`
			Known     capacity.Service `json:"known"` // after the last calibration
		}{o, t.foreseen(i), finite(t.foreseen(i).MD1.p99), finite(t.foreseen(i).MeanValue.p99), t.latest.of(i/len(grid()), 1)})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(t.out, "%s\n", text); err != nil {
			return err
		}
	}
	return nil
}

func finite(x float64) *float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}
