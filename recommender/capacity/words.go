package capacity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const perThousand = " per 1,000 requests"

// Steps says how the tuning came to where it is: every trial, then what follows from them.
func (s State) Steps() []string {
	var out []string
	for _, t := range s.Trials {
		out = append(out, "batch size "+strconv.Itoa(t.Size)+": "+t.words(s.Goal))
	}
	switch {
	case s.Phase == Resting:
		return append(out, fmt.Sprintf("back to batch size %d: %s; nothing is tried before %s", s.Size, s.Why, s.Rest.UTC().Format("2006-01-02 15:04 UTC")))
	case s.Phase != Trying && len(s.Trials) > 0:
		out = append(out, s.choice())
	}
	if s.Over > 0 {
		out = append(out, s.broken())
	}
	return out
}

// Progress is how far the window has come in which Size is being measured.
func (s State) Progress(w Window) string {
	goal := s.Goal
	line := fmt.Sprintf("measuring batch size %d (%d of %d): %s of %s", s.Size, len(s.Trials)+1, goal.count(), whole(w.Elapsed), whole(goal.Trial))
	if n := w.Requests(); n < goal.Needed() {
		line += fmt.Sprintf(", %s of %s requests", thousands(n), thousands(goal.Needed()))
	}
	if q, ok := w.Quantile(goal.Percentile()); ok {
		line += fmt.Sprintf(", %s so far %s", goal.percent(), q)
	}
	return line
}

// Compared is what the size in force changed against the one before, both as measured in their trials.
func (s State) Compared() string {
	from, known := s.Trial(s.Before)
	to, ok := s.Trial(s.Size)
	if !known || !ok {
		return fmt.Sprintf("batch size %d -> %d", s.Before, s.Size)
	}
	return fmt.Sprintf("batch size %d -> %d: %s %s -> %s, %s -> %s", from.Size, to.Size,
		s.Goal.percent(), from.Latency, to.Latency, strings.TrimSuffix(from.price(), perThousand), to.price())
}

// count is how many sizes are measured in all.
func (g Goal) count() int {
	if slices.Contains(g.Sizes, g.Start) {
		return len(g.Sizes)
	}
	return len(g.Sizes) + 1
}

// percent names the percentile: p99, p99.9.
func (g Goal) percent() string {
	return "p" + strconv.FormatFloat(100*g.Percentile(), 'f', -1, 32)
}

// slo is the promise in words.
func (g Goal) slo() string {
	return fmt.Sprintf("the SLO of %s at %s", span(g.SLO.Latency), g.percent())
}

func (t Trial) words(g Goal) string {
	line := fmt.Sprintf("%s %s, %s (%s requests in %s", g.percent(), t.Latency.bounded(), t.price(), thousands(t.Requests), whole(t.Elapsed))
	if t.Errors > 0 {
		line += fmt.Sprintf(", %s of them not answered", thousands(t.Errors))
	}
	line += ")"
	switch {
	case !t.Latency.within(g.SLO.Latency):
		line += "; over " + g.slo()
	case t.Latency.unsure(g.SLO.Latency):
		line += "; within " + g.slo() + " if latencies are spread evenly over their bucket"
	}
	return line
}

// price is the unit cost, or what is known instead.
func (t Trial) price() string {
	cpu := span(t.CPU) + " of CPU a request"
	switch {
	case t.Requests == t.Errors:
		return "no request answered"
	case len(t.Unpriced) > 0:
		return cpu + ", unpriced (no price for " + strings.Join(t.Unpriced, ", ") + ")"
	}
	return t.Cost.String() + perThousand
}

// choice says which size was chosen and why.
func (s State) choice() string {
	best := s.best()
	if !s.Met {
		return fmt.Sprintf("no size keeps %s; batch size %d comes closest", s.Goal.slo(), best.Size)
	}
	line := ""
	if s.Goal.SLO.Latency > 0 {
		line = "of those that keep " + s.Goal.slo() + ", "
	}
	line += fmt.Sprintf("batch size %d is the ", best.Size)
	if n := len(s.cheapest()); n > 1 {
		return line + fmt.Sprintf("quickest of %d that cost the same but for %.0f %%", n, 100*tie)
	}
	return line + "cheapest"
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
