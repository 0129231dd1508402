package capacity

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// How much of what is known a page shows; -o json has all of it.
const (
	shownAlternatives = 8
	shownPairs        = 8
	drawingHeight     = 11 // lines
)

// Text is the page of one server for people, 100 columns wide at most: what is known of it, what is in force,
// what the plan is and why, what else there is, and how tuning came to where it is.
func (s Standing) Text(asked []WhatIf) string {
	p := &page{}
	p.line("%s: model %s %s, mode %s%s", s.Ref(), s.Model, s.Version, s.Mode, asOf(s.At))
	p.line("")
	p.field("PLAN", s.headline())
	if s.Known {
		s.known(p)
		s.compared(p)
		s.whys(p)
		s.candidates(p, asked)
		s.drawing(p)
	}
	s.history(p)
	return p.String()
}

func asOf(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return ", as of " + at.UTC().Format("2006-01-02 15:04 UTC")
}

// headline is the answer in one sentence.
func (s Standing) headline() string {
	now, best := s.Plan.Now, s.Plan.Best
	switch {
	case !s.Known:
		return "none yet: " + s.Missing
	case s.Plan.Held != "":
		return "none: " + s.Plan.Held
	case best.Setting == now.Setting:
		return "it stays as it is; no other setting that keeps the SLO is better"
	}
	line := fmt.Sprintf("%s: %s, p99 %s", now.Setting.Changes(best.Setting), s.saves(), move(tail(now), tail(best)))
	if slo := s.Question.SLO; slo.Latency > 0 && percentileName(slo) == "p99" {
		line += " of " + span(slo.Latency) + " promised"
	}
	return line
}

// saves is what the plan changes in money.
func (s Standing) saves() string {
	now, best := s.Plan.Now, s.Plan.Best
	line := move(s.month(now), s.month(best)) + " a month"
	if now.Month > 0 && now.Month != best.Month {
		line += " (" + signed(float64(best.Month)/float64(now.Month)-1) + ")"
	}
	return line
}

// compared puts what is in force and the plan side by side.
func (s Standing) compared(p *page) {
	all, head := []Candidate{s.Plan.Now}, []string{"", "in force"}
	if s.moves() {
		all, head = append(all, s.Plan.Best), append(head, s.bestName())
	}
	rows := []tableRow{{cells: head}}
	for _, r := range s.facts() {
		row, some := []string{r.name}, false
		for _, c := range all {
			text := r.of(c)
			row, some = append(row, text), some || text != ""
		}
		if some {
			rows = append(rows, tableRow{cells: row})
		}
	}
	p.heading("PREDICTED (in brackets: where it is with a probability of 90 %%)")
	p.table(rows, false)
}

// fact is a line of the comparison; an empty text has nothing to say.
type fact struct {
	name string
	of   func(Candidate) string
}

func (s Standing) facts() []fact {
	percentile := percentileName(s.Question.SLO)
	widened := func(c Candidate, e Estimate) Estimate {
		steep := c.Slowed.Steep(c.slowest())
		if e != c.Degraded {
			steep = min(steep, 1) // it is known of the setting with replicas lost
		}
		return s.Question.Calibration.widened(e, steep)
	}
	p99 := func(c Candidate) Estimate { return c.Prediction.P99 }
	if percentile == "p99" {
		p99 = func(c Candidate) Estimate { return widened(c, c.Prediction.P99) }
	}
	return append(settingFacts(), []fact{
		{"p50", func(c Candidate) string { return latency(c, c.Prediction.P50) }},
		{"p99", func(c Candidate) string { return latency(c, p99(c)) }},
		{s.lostName(), func(c Candidate) string {
			return unless(s.Question.Room.Redundancy == 0, latency(c, widened(c, c.Degraded)))
		}},
		{percentile, func(c Candidate) string {
			return unless(percentile == "p99", latency(c, widened(c, c.Prediction.Tail)))
		}},
		{s.slowedName(), func(c Candidate) string { return c.Slowed.words() }},
		{"sure of the SLO", func(c Candidate) string { return unless(s.Question.SLO.Latency == 0, chanceText(c.Chance)) }},
		{"late or refused", func(c Candidate) string { return unless(s.Question.SLO.Latency == 0, share(c.Prediction.Lost)) }},
		{"goodput", func(c Candidate) string {
			return unless(s.Question.SLO.Latency == 0, decimal(c.Prediction.Goodput)+"/s within the SLO")
		}},
		{"cores used", func(c Candidate) string { return coresUsed(c.Prediction.Cores) + " of " + requested(c) + " requested" }},
		{"memory used", func(c Candidate) string { return unless(c.Prediction.Memory == 0, memoryUsed(c)) }},
		{"instances busy", func(c Candidate) string { return share(c.Prediction.Busy) }},
		{"mean batch", func(c Candidate) string { return decimal(c.Prediction.MeanBatch) + " rows" }},
		{"a month", func(c Candidate) string { return s.month(c) }},
		{"per 1,000 in SLO", func(c Candidate) string { return s.unit(c) }},
		{"found by", func(c Candidate) string { return method(c) }},
	}...)
}

func settingFacts() []fact {
	return []fact{
		{"batch", func(c Candidate) string { return fleet.Count(c.Setting.Batch, "row") + " at most" }},
		{"delay", func(c Candidate) string { return c.Setting.Delay.String() + " at most" }},
		{"replicas", func(c Candidate) string { return strconv.Itoa(c.Setting.Replicas) }},
		{"cpu of a pod", func(c Candidate) string { return fleet.FormatCPU(c.Setting.CPU) + " (" + c.Setting.limit() + ")" }},
		{"memory of a pod", func(c Candidate) string { return fleet.FormatMemory(c.Setting.Memory) }},
		{"instances", func(c Candidate) string { return unless(c.Setting.Instances == 0, strconv.Itoa(c.Setting.Instances)) }},
		{"capacity", func(c Candidate) string { return unless(!c.Setting.Spot, string(c.Setting.capacity())) }},
	}
}

// lostName is the latency at the SLO's percentile with the replicas lost that may be.
func (s Standing) lostName() string {
	return fmt.Sprintf("%s, %d lost", percentileName(s.Question.SLO), s.Question.Room.Redundancy)
}

// slowedName is the latency that a promise must bear where computing takes longer than was learnt.
func (s Standing) slowedName() string {
	name := percentileName(s.Question.SLO)
	if s.Question.Room.Redundancy > 0 {
		name = s.lostName()
	}
	return name + ", slower CPU"
}

func (s Slowed) words() string {
	what := span(s.Tail)
	switch {
	case s.Times == 0:
		return "" // it cannot answer all even at the pace that was learnt
	case s.Full:
		what = "too much comes"
	}
	return fmt.Sprintf("%s (%s slower)", what, percentText(s.Times-1))
}

func unless(silent bool, text string) string {
	if silent {
		return ""
	}
	return text
}

func method(c Candidate) string {
	if c.Prediction.Closed {
		return "formula"
	}
	return "simulation"
}

// memoryUsed is what all pods of a candidate hold, of what they request.
func memoryUsed(c Candidate) string {
	line := memory(c.Prediction.Memory)
	if all := c.Setting.Memory * int64(c.Setting.Replicas); all > 0 {
		line += " of " + fleet.FormatMemory(all) + " requested"
	}
	return line
}

// whys is what decided, and what hinders what is in force.
func (s Standing) whys(p *page) {
	var all []string
	if why := s.Plan.Now.Why; why != "" && !strings.Contains(strings.Join(s.Plan.Why, "\n"), why) {
		all = append(all, "what is in force: "+why)
	}
	if all = append(all, s.Plan.Why...); len(all) == 0 {
		return
	}
	p.heading("WHY")
	p.items(all)
	switch {
	case s.Plan.Held != "" || !s.moves():
	case s.Mode == "enforce":
		p.items([]string{"mode enforce: Trimtab makes it so, one change at a time, and takes back what does not hold"})
	default:
		p.items([]string{"mode " + s.Mode + ": Trimtab only shows it; mode enforce in the server's document makes it so"})
	}
}

// drawing is dollars against latency, and the lines for the document.
func (s Standing) drawing(p *page) {
	if len(s.Plan.Frontier) > 1 {
		p.line("")
		p.WriteString(s.Plan.Curve(pageColumns, drawingHeight))
	}
	if s.Plan.Held != "" || !s.moves() {
		return
	}
	p.heading("TO COPY into the server's document")
	p.line("")
	p.hang("  ", "Each key below replaces the document's own of that name. All others stay, also those beside it: "+
		"limits, batch.sizes, batch.trial and tune.")
	p.line("")
	p.WriteString(indented(PolicyLines(s.Plan.Best, s.Question.Room)))
}

// moves tells whether the plan's best is another setting than that in force.
func (s Standing) moves() bool { return s.Plan.Best.Setting != s.Plan.Now.Setting }

// bestName is what the plan's best is: where there is no plan it only comes closest to the SLO.
func (s Standing) bestName() string {
	if s.Plan.Held != "" {
		return "closest"
	}
	return "plan"
}

// month is what a candidate costs; "~" where that is at rates that nobody pays.
func (s Standing) month(c Candidate) string {
	if s.Plan.Proxy != "" {
		return "~" + c.Month.String()
	}
	return c.Month.String()
}

func (s Standing) unit(c Candidate) string {
	if s.Plan.Proxy != "" || c.Unit == 0 {
		return ""
	}
	return c.Unit.String()
}
