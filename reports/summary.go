package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Simulation is what a simulated fleet came to: its plan after the weeks of observation, and the
// same fleet after every change of every later plan was made as well.
type Simulation struct {
	Fleet   string
	Start   time.Time // of observation
	End     time.Time // of observation, when Plan was made
	Settled time.Time // the pass of After
	Quiet   bool      // the last passes changed nothing
	Plan    optimizer.Plan
	After   optimizer.Plan
	Refused []string // changes that could not be made, and why
	Checks  []Check
}

// Check is one container of a changed workload in the week after the last change: in how many windows
// of five minutes a pod used more than it then requested.
type Check struct {
	Ref        fleet.Ref `json:"ref"`
	Container  string    `json:"container"`
	Windows    int       `json:"windows"`    // of all its pods
	CPUOver    int       `json:"cpuOver"`    // mean use above the request
	MemoryOver int       `json:"memoryOver"` // peak above the request
	OOM        int       `json:"oom"`        // killed: it wanted more than its limit
}

// Span is the time that a Summary's costs are for.
type Span string

// A cluster's plan is in months, as all else that is said of it; a simulated fleet, watched for weeks, in weeks.
const (
	Week  Span = "week"
	Month Span = "month"
)

// of is a month's line as one of the span, in whole cents.
func (s Span) of(month cost.Line) cost.Line {
	if s == Week {
		month.Amount = month.Amount.Times(cost.WeekHours, cost.MonthHours)
	}
	return month.Cents()
}

// Summary is what a person should know within a minute. Text, page and JSON are made of it.
type Summary struct {
	Simulated bool      `json:"simulated,omitempty"`
	Per       Span      `json:"per"` // what every cost in it is for
	Fleet     string    `json:"fleet,omitempty"`
	From      time.Time `json:"from,omitzero"`
	To        time.Time `json:"to"`
	Models    int       `json:"models"`
	Now       cost.Line `json:"now"`   // the sum of Lines
	After     cost.Line `json:"after"` // the sum of Lines
	Lines     []Line    `json:"lines"` // every model, the largest saving first
	GPU       string    `json:"gpu"`
	Held      []Held    `json:"held,omitempty"`
	Checks    []Check   `json:"checks,omitempty"` // the worst first
	Notes     []string  `json:"notes,omitempty"`
}

// Line is one model in a Summary.
type Line struct {
	Ref   fleet.Ref `json:"ref"`
	Now   cost.Line `json:"now"`
	After cost.Line `json:"after"`
	Moves []string  `json:"moves,omitempty"` // "replicas 3 -> 2"
	Why   []string  `json:"why,omitempty"`
}

// Saving is what the model costs less.
func (l Line) Saving() cost.Line { return l.Now.Sub(l.After) }

// Held is one model that is left alone, with the first reason.
type Held struct {
	Ref    fleet.Ref        `json:"ref"`
	Reason fleet.HoldReason `json:"reason"`
	Detail string           `json:"detail"`
}

// Summarize is the summary of one plan, with its own changes made and no others.
func Summarize(p optimizer.Plan) Summary {
	s := Summary{Simulated: p.Simulated, Per: Month, To: p.At, Models: len(p.Assessments), GPU: gpus(p, Month)}
	for _, a := range p.Assessments {
		s.add(s.line(a, a.Workload.With(a.Target()), a.After))
		s.hold(a)
	}
	return s.sorted()
}

// Summary compares the fleet as it was observed with the fleet as it became.
func (m Simulation) Summary() Summary {
	s := Summary{
		Simulated: true, Per: Week, Fleet: m.Fleet, From: m.Start, To: m.End, Models: len(m.Plan.Assessments),
		GPU: gpus(m.Plan, Week), Checks: m.Checks,
	}
	for _, a := range m.Plan.Assessments {
		to, after := a.Workload, a.Now
		for _, b := range m.After.Assessments {
			if b.Ref == a.Ref {
				to, after = b.Workload, b.Now
			}
		}
		l := s.line(a, to, after)
		switch {
		case len(l.Moves) == 0:
			s.hold(a)
		case len(l.Why) == 0:
			l.Why = []string{"proposed by a later plan, made once there was enough to go by"}
			s.Notes = append(s.Notes, a.Ref.String()+" is changed by a later plan than the one of "+m.End.Format(time.DateOnly)+", made once there was enough to go by")
		}
		s.add(l)
	}
	if !m.Quiet {
		s.Notes = append(s.Notes, "the plans still changed something when the simulation ended on "+m.Settled.Format(time.DateOnly))
	}
	for _, r := range m.Refused {
		s.Notes = append(s.Notes, "a change could not be made: "+r)
	}
	return s.sorted()
}

func (s Summary) line(a optimizer.Assessment, to fleet.Workload, after cost.Line) Line {
	l := Line{Ref: a.Ref, Now: s.Per.of(a.Now), After: s.Per.of(after), Moves: moves(a.Workload, to)}
	for _, v := range a.Verdicts {
		if !v.Held() {
			l.Why = append(l.Why, v.Recommendation.Evidence)
		}
	}
	return l
}

func (s *Summary) add(l Line) {
	s.Now, s.After = s.Now.Add(l.Now), s.After.Add(l.After)
	s.Lines = append(s.Lines, l)
}

// hold notes a workload for which nothing at all is proposed, though a rule had something to say.
func (s *Summary) hold(a optimizer.Assessment) {
	holds := slices.Clone(a.Holds)
	for _, v := range a.Verdicts {
		if !v.Held() {
			return
		}
		holds = append(holds, v.Holds...)
	}
	if len(holds) > 0 {
		s.Held = append(s.Held, Held{a.Ref, holds[0].Reason, holds[0].Detail})
	}
}

func (s Summary) sorted() Summary {
	slices.SortStableFunc(s.Lines, func(a, b Line) int {
		return cmp.Compare(b.Saving().Amount, a.Saving().Amount)
	})
	s.Checks = slices.Clone(s.Checks)
	slices.SortStableFunc(s.Checks, func(a, b Check) int { return cmp.Compare(b.share(b.CPUOver), a.share(a.CPUOver)) })
	return s
}

// SimulationJSON writes the summary and the plan for programs; amounts are millionths of a dollar.
func SimulationJSON(w io.Writer, m Simulation) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Summary
		Plan optimizer.Plan `json:"plan"`
	}{m.Summary(), m.Plan})
	if err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// Actions is the lines with a change, the largest saving first, n at most.
func (s Summary) Actions(n int) []Line {
	var out []Line
	for _, l := range s.Lines {
		if len(l.Moves) > 0 && len(out) < n {
			out = append(out, l)
		}
	}
	return out
}

// gpus is one sentence on the GPUs of a plan: what they cost, whether anyone knows what they do, and what
// people should do about them.
func gpus(p optimizer.Plan, per Span) string {
	var all, unknown int64
	var sum cost.Line
	var names, advice []string
	for _, a := range p.Assessments {
		n := a.Workload.GPUs() * int64(a.Workload.Replicas)
		if n == 0 {
			continue
		}
		all += n
		sum = sum.Add(per.of(a.Now))
		names = append(names, a.Ref.String()+unrealMark(a))
		if !knownGPUs(a) {
			unknown += n
		}
		for _, adv := range a.Advice {
			if adv.Reason != fleet.GPUUnderused {
				continue
			}
			advice = append(advice, "; "+a.Ref.Name+": "+adv.Text+relief(per.of(adv.Saving), per))
		}
	}
	if all == 0 {
		return "no model asks for a GPU"
	}
	s := fmt.Sprintf("%s in %s, %s a %s", fleet.Count(all, "GPU"), strings.Join(names, ", "), sum, per)
	if unknown > 0 {
		s += ": unknown, connect dcgm-exporter; nothing is proposed without it"
	} else {
		s += "; measured, and never judged by CPU"
	}
	return s + strings.Join(advice, "")
}

// unrealMark follows the name of a workload that is on nodes that are not real.
func unrealMark(a optimizer.Assessment) string {
	if a.Simulated {
		return " (" + simulated + ")"
	}
	return ""
}

// knownGPUs tells whether every GPU of the workload was measured well enough to be judged.
func knownGPUs(a optimizer.Assessment) bool {
	unknown := slices.ContainsFunc(a.Holds, func(h fleet.Hold) bool { return h.Reason == fleet.HoldGPU })
	return !unknown && measured(a.Use, fleet.GPU)
}
