package capacity

import (
	"fmt"
	"strconv"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// candidates is a table of what else there is and of what somebody asked about.
func (s Standing) candidates(p *page, asked []WhatIf) {
	rows := []tableRow{{cells: []string{"", "batch", "delay", "replicas", "cpu", "memory", "p99", "SLO kept", "cores", "a month", "per 1,000"}}}
	rows = append(rows, s.row("in force", s.Plan.Now))
	if s.moves() {
		rows = append(rows, s.row(s.bestName(), s.Plan.Best))
	}
	rows = append(rows, s.others()...)
	for _, w := range asked {
		r := s.row("what if", w.Candidate)
		r.notes = append([]string{w.Asked}, r.notes...)
		rows = append(rows, r)
	}
	if len(rows) < 3 {
		return // the comparison says as much
	}
	p.heading("ALTERNATIVES")
	p.table(rows, true)
}

// others is the alternatives that say something new: a larger batch limit that is never reached changes nothing.
func (s Standing) others() []tableRow {
	var rows []tableRow
	rest, last := 0, s.Plan.Best
	for _, c := range s.Plan.Alternatives {
		if c.Setting == s.Plan.Now.Setting || c.Setting == s.Plan.Best.Setting {
			continue
		}
		if len(rows) == shownAlternatives || c.like(last) {
			rest++
			continue
		}
		rows, last = append(rows, s.row("or", c)), c
	}
	if n := len(rows); rest > 0 && n > 0 {
		rows[n-1].notes = append(rows[n-1].notes, fmt.Sprintf("and %d more, or the same with another batch; -o json has them all", rest))
	}
	return rows
}

// like tells whether two candidates differ in their batch limit alone, and that in nothing that counts.
func (c Candidate) like(o Candidate) bool {
	at := c.Setting
	at.Batch = o.Setting.Batch
	return at == o.Setting && c.Prediction.P99 == o.Prediction.P99 && c.Chance == o.Chance
}

// row is a candidate in a line of the table, and below it what no column has and why it will not do.
func (s Standing) row(name string, c Candidate) tableRow {
	at, kept := c.Setting, "-"
	if s.Question.SLO.Latency > 0 {
		kept = chanceText(c.Chance)
	}
	r := tableRow{cells: []string{name, strconv.Itoa(at.Batch), at.Delay.String(), strconv.Itoa(at.Replicas), fleet.FormatCPU(at.CPU),
		fleet.FormatMemory(at.Memory), tail(c), kept, coresUsed(c.Prediction.Cores), s.month(c), s.unit(c)}}
	if note := s.unlike(at); note != "" && name != "what if" { // whose text says it
		r.notes = append(r.notes, note)
	}
	if c.Why != "" && name != "in force" { // whose reason is under WHY
		r.notes = append(r.notes, c.Why)
	}
	return r
}

// unlike is what the table has no column for, where it is not as it is in force.
func (s Standing) unlike(at Setting) string {
	now := s.Plan.Now.Setting
	if now.Limit == now.CPU && at.Limit == at.CPU {
		at.Limit = now.Limit // it follows the request
	}
	same := now
	same.Limit, same.Instances, same.Spot = at.Limit, at.Instances, at.Spot
	if same == now {
		return ""
	}
	return now.Changes(same)
}

// StandingsText is a list of servers for people, one line each, 100 columns wide at most.
func StandingsText(all []Standing) string {
	p := &page{}
	if len(all) == 0 {
		p.line("Trimtab has no inference server here; it keeps those of InferenceServer documents.")
		return p.String()
	}
	rows := []tableRow{{cells: []string{"SERVER", "MODEL", "IN FORCE", "P99", "SLO", "A MONTH", "PLANNED"}}}
	for _, s := range all {
		rows = append(rows, s.listed())
	}
	p.table(rows, false)
	p.line("")
	p.line("`trimtab tune NAMESPACE/NAME` shows one of them: the plan, why, and what else there is.")
	return p.String()
}

// listed is a server in a line, and below it why there is no plan.
func (s Standing) listed() tableRow {
	head := []string{s.Ref(), s.Model + " " + s.Version}
	if !s.Known {
		return tableRow{cells: append(head, "-", "-", "-", "-", "none yet"), notes: []string{s.Missing}}
	}
	now, best, slo := s.Plan.Now, s.Plan.Best, "-"
	if s.Question.SLO.Latency > 0 {
		slo = span(s.Question.SLO.Latency)
	}
	at := now.Setting
	r := tableRow{cells: append(head, fmt.Sprintf("%d x %s, batch %d", at.Replicas, fleet.FormatCPU(at.CPU), at.Batch), tail(now), slo, s.month(now))}
	switch {
	case s.Plan.Held != "":
		r.cells, r.notes = append(r.cells, "none"), []string{s.Plan.Held}
	case best.Setting == at:
		r.cells = append(r.cells, "stays")
	default:
		r.cells = append(r.cells, s.month(best))
	}
	return r
}
