package capacity

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

const perThousand = " per 1,000 requests within the SLO"

// Steps says in short how the tuning came to where it is: the last step that was judged, then how it stands.
func (s State) Steps() []string { return s.steps(last(s.Past, 1)) }

// Trail is Steps with all steps that are remembered, oldest first.
func (s State) Trail() []string { return s.steps(s.Past) }

func (s State) steps(past []Step) []string {
	var out []string
	for _, step := range past {
		out = append(out, step.words(s.Goal))
	}
	switch {
	case s.Phase == Resting:
		out = append(out, fmt.Sprintf("back to %s: %s; nothing is tried before %s", inWords(s.Setting), s.Why, moment(s.Rest)))
	case s.Phase == TakingBack:
		out = append(out, fmt.Sprintf("goes back to %s: %s", inWords(s.Setting), s.Why))
	case s.Phase == Settled && s.Why != "":
		out = append(out, inWords(s.Setting)+" stays: "+s.Why)
	case s.Phase == Settled && s.Baseline.known():
		out = append(out, s.choice())
	case s.Why != "":
		out = append(out, s.Why)
	}
	if s.Over > 0 {
		out = append(out, s.broken())
	}
	if s.Lies != "" {
		out = append(out, s.Lies+"; nothing is changed")
	}
	return out
}

// choice says that nothing is better, and what was measured of what there is.
func (s State) choice() string {
	m := s.Baseline
	line := fmt.Sprintf("%s: %s %s, %s of CPU a request (%s requests in %s); nothing that keeps ", inWords(s.Setting), s.Goal.percent(),
		m.Latency.bounded(), span(m.CPU), thousands(m.Requests), whole(m.Elapsed))
	if s.Goal.SLO.Latency > 0 {
		line += s.Goal.slo() + " "
	} else {
		line = strings.TrimSuffix(line, "that keeps ")
	}
	return line + fmt.Sprintf("is cheaper by %.0f %%", 100*tie)
}

// Progress is how far the window has come in which Setting is measured.
func (s State) Progress(w Window) string {
	what := "measuring "
	if s.Step != nil {
		what = "comparing "
	}
	line := fmt.Sprintf("%s%s: %s of %s", what, inWords(s.Setting), whole(w.Elapsed), whole(s.Goal.Trial))
	n, needed := w.Requests(), s.Goal.Needed()
	switch {
	case n < needed && w.Elapsed >= s.Goal.Trial:
		return fmt.Sprintf("%s%s: %s requests in %s; %s are needed to judge a setting: nothing is tried", what, inWords(s.Setting), thousands(n), whole(w.Elapsed), thousands(needed))
	case n < needed:
		line += fmt.Sprintf(", %s of %s requests", thousands(n), thousands(needed))
	}
	if q, ok := w.Quantile(s.Goal.Percentile()); ok {
		line += fmt.Sprintf(", %s so far %s", s.Goal.percent(), q)
	}
	return line
}

// Compared is what the step under way or the last one changed, as measured and as predicted.
func (s State) Compared() string {
	switch {
	case s.Step != nil:
		return s.Step.measured(s.Goal)
	case len(s.Past) > 0:
		return s.Past[len(s.Past)-1].measured(s.Goal)
	}
	return inWords(s.Setting)
}

// Kept is the last step with what became of it.
func (s State) Kept() string {
	if len(s.Past) == 0 {
		return inWords(s.Setting)
	}
	return s.Past[len(s.Past)-1].words(s.Goal)
}

// words is a step with what became of it.
func (st Step) words(g Goal) string {
	if st.Kept {
		return st.measured(g) + ": kept"
	}
	return st.measured(g) + ": taken back, " + st.Why
}

// measured is a step with both of its windows, and its price as predicted and realised.
func (st Step) measured(g Goal) string {
	line := st.From.Changes(st.To)
	if !st.After.known() {
		return line + st.price()
	}
	line += fmt.Sprintf(": %s %s -> %s, CPU a request %s -> %s", g.percent(), st.Before.Latency, st.After.Latency, span(st.Before.CPU), span(st.After.CPU))
	return line + st.price()
}

// price is what the SLO-met requests cost before, as predicted and, once known, as realised, each with the rate that
// it is for: the fewer come, the dearer is each.
func (st Step) price() string {
	switch {
	case len(st.Unpriced) > 0:
		return ", unpriced (no price for " + strings.Join(st.Unpriced, ", ") + ")"
	case st.Unit == 0 && st.Predicted == 0:
		return ""
	}
	line, rates := fmt.Sprintf(", %s -> predicted %s", st.Unit, st.Predicted), "at "+figure(st.Before.Rate)+" a second"
	if st.Realised > 0 {
		line += fmt.Sprintf(", realised %s", st.Realised)
		rates = fmt.Sprintf("predicted %s, realised at %s", rates, figure(cmp.Or(st.RealisedRate, st.Before.Rate)))
	}
	return line + perThousand + " (" + rates + ")"
}

// inWords is a setting for people: "batch 8, delay 5ms, 2 replicas of 250m and 64Mi".
func inWords(s Setting) string {
	line := fmt.Sprintf("batch %d, delay %s", s.Batch, s.Delay)
	switch {
	case s.Replicas == 0:
		return line
	case s.Replicas == 1:
		line += ", 1 replica of "
	default:
		line += fmt.Sprintf(", %d replicas of ", s.Replicas)
	}
	return line + fleet.FormatCPU(s.CPU) + " and " + fleet.FormatMemory(s.Memory)
}

// moment is a time for people.
func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }

// percent names the percentile: p99, p99.9.
func (g Goal) percent() string {
	return "p" + strconv.FormatFloat(100*g.Percentile(), 'f', -1, 32)
}

// slo is the promise in words.
func (g Goal) slo() string {
	return fmt.Sprintf("the SLO of %s at %s", span(g.SLO.Latency), g.percent())
}

// broken says how the SLO was broken since the choice.
func (s State) broken() string {
	return fmt.Sprintf("%s %s, over %s in %d windows in a row", s.Goal.percent(), s.Worst, s.Goal.slo(), s.Over)
}

// String is the estimate alone: "38 ms", "above 10 s".
func (q Quantile) String() string {
	if q.To == 0 {
		return "above " + span(q.From)
	}
	return span(q.At)
}

// bounded is the estimate with what is sure: "38 ms (between 30 ms and 50 ms)".
func (q Quantile) bounded() string {
	switch {
	case q.To == 0 || q.At == q.To:
		return q.String()
	case q.From == 0:
		return fmt.Sprintf("%s (at most %s)", q, span(q.To))
	}
	return fmt.Sprintf("%s (between %s and %s)", q, span(q.From), span(q.To))
}

// span is a duration for people: two digits that count below 10 ms, whole milliseconds below a second.
func span(d time.Duration) string {
	unit, name := time.Second, " s"
	if d < time.Second {
		unit, name = time.Millisecond, " ms"
	}
	value := float64(d) / float64(unit)
	digits := 2
	for limit := 1.0; digits > 0 && value >= limit; limit *= 10 {
		digits--
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + name
}

// whole is a duration in whole seconds, "14 s", from two minutes on "2m30s".
func whole(d time.Duration) string {
	if d = d.Round(time.Second); d < 2*time.Minute {
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return d.Round(time.Second).String()
}

// thousands is a count in groups of three digits.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
