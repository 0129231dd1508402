package capacity

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/serving/curve"
)

// known is what the plan follows from: the model, what comes to it, what is promised and what it costs.
func (s Standing) known(p *page) {
	q := s.Question
	p.line("")
	p.field("MODEL", q.Service.words()...)
	p.field("LOAD", q.Load.words()...)
	p.field("SLO", q.promise())
	if s.Plan.Proxy == "" { // which the plan says under WHY
		p.field("PRICE", fmt.Sprintf("%s a core and %s a GiB a month, of what pods request", q.Price.Core, q.Price.GiB))
	}
}

// words is what a batch and a request cost.
func (s Service) words() []string {
	c := s.published()
	if !c.Known() {
		return []string{"how long its batches take is not known yet"}
	}
	out := []string{fmt.Sprintf("a batch takes %s (%s); half of %s batches were within %s of that, the largest had %s",
		lineWords(c.Wall), c.Wall.Form, thousands(int64(c.Samples)), share(c.Error), fleet.Count(c.Largest, "row"))}
	if s.Published.Known() {
		cpu := s.Curve.CPU
		line := "under the load that comes its CPU is on average " + shortTime(cpu.At(1)) + " with one row"
		if s.MaxBatch == 0 || s.MaxBatch >= 32 {
			line += fmt.Sprintf(", %s with 8 and %s with 32", shortTime(cpu.At(8)), shortTime(cpu.At(32)))
		}
		out = append(out, line)
	}
	if s.MaxBatch == 1 {
		out = append(out, "its batch axis is fixed: rows are never put together")
	} else {
		out = append(out, s.gains())
	}
	if beside := s.beside(); beside != "" {
		out = append(out, beside)
	}
	return out
}

// lineWords is a line for people: "700 us + 85 us a row".
func lineWords(l curve.Line) string {
	switch l.Form {
	case curve.Hinge:
		return fmt.Sprintf("%s, or %s a row where that is more", shortTime(l.Fixed), shortTime(l.PerRow))
	case curve.Doubling:
		return fmt.Sprintf("%s, and %s more for each doubling of its rows", shortTime(l.Fixed), shortTime(l.PerRow))
	}
	return fmt.Sprintf("%s + %s a row", shortTime(l.Fixed), shortTime(l.PerRow))
}

// gains is what batching saves: the CPU of a row alone, and in batches.
func (s Service) gains() string {
	c, guess := s.Curve, 0
	var parts []string
	for _, rows := range []int{8, 32, 64} {
		if s.MaxBatch > 0 && rows > s.MaxBatch {
			break
		}
		if guess == 0 && rows > c.Largest {
			guess = rows
		}
		parts = append(parts, fmt.Sprintf("%s in batches of %d (%sx)", shortTime(c.CPU.At(float64(rows))/float64(rows)), rows, decimal(c.Gain(rows))))
	}
	line := "CPU of a row: " + strings.Join(append([]string{shortTime(c.CPU.At(1)) + " alone"}, parts...), ", ")
	if guess > 0 {
		line += fmt.Sprintf("; from %d on by the line alone, as no batch was that large", guess)
	}
	return line + "; batching " + worth(c.Gain(64))
}

// worth is a gain in a word.
func worth(gain float64) string {
	switch {
	case gain < 1.2:
		return "saves next to nothing"
	case gain < 3:
		return "saves some"
	}
	return "saves most of it"
}

// beside is what a request and a pod take beside the model.
func (s Service) beside() string {
	var parts []string
	switch { // of Reach, Path is a part
	case s.Reach > 0:
		parts = append(parts, fmt.Sprintf("a request takes %s, %s of it CPU", shortTime(s.Reach), shortTime(s.Path)))
	case s.Path > 0:
		parts = append(parts, "a request takes "+shortTime(s.Path)+" of CPU")
	}
	if s.PerBatch > 0 {
		parts = append(parts, "a batch "+shortTime(s.PerBatch)+" of CPU")
	}
	if s.PerWake > 0 {
		parts = append(parts, shortTime(s.PerWake)+" more where a timer begins it")
	}
	if s.Idle > 0 {
		parts = append(parts, "an idle pod uses "+fleet.FormatCPU(int64(math.Round(1000*s.Idle))))
	}
	if s.Memory > 0 {
		parts = append(parts, "a pod holds "+memory(s.Memory))
	}
	if len(parts) == 0 {
		return ""
	}
	return "beside the model: " + strings.Join(parts, ", ")
}

// words is what comes to the server.
func (l Load) words() []string {
	line := decimal(l.Rate) + " requests a second in the busiest minute"
	if l.Mean > 0 && l.Mean != l.Rate {
		line += ", " + decimal(l.Mean) + " on average"
	}
	if l.Peak > 0 {
		line += ", " + decimal(l.Peak) + " in its busiest second"
	}
	line += fmt.Sprintf("; how many come in 10 ms varies %.2g times as much as by chance (%s)", l.Burst, regularity(l.Burst))
	out := []string{line}
	if l.Rows > 1 || l.Interactive > 0 || l.Bulk > 0 {
		rest := decimal(max(l.Rows, 1)) + " rows a request"
		if l.Interactive > 0 || l.Bulk > 0 {
			rest += fmt.Sprintf("; %s of priority interactive, %s of priority batch", share(l.Interactive), share(l.Bulk))
		}
		out = append(out, rest)
	}
	return out
}

// regularity says what a dispersion looks like.
func regularity(burst float64) string {
	switch {
	case burst < 0.5:
		return "even"
	case burst <= 1.25:
		return "as requests of many independent clients"
	}
	return "in bursts"
}

// promise is the SLO and how surely it is to be kept.
func (q Question) promise() string {
	if q.SLO.Latency == 0 {
		return "nothing is promised"
	}
	line := fmt.Sprintf("%s within %s, to be kept with a probability of %s",
		percentileName(q.SLO), span(q.SLO.Latency), chanceText(cmp.Or(q.Probability, planProbability)))
	if n := q.Room.Redundancy; n > 0 {
		line += ", also with " + fleet.Count(n, "replica") + " fewer"
	}
	return line
}
