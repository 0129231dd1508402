package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// survey is all that a sweep measured, and nothing that was made of it: predictions are made from it and judged in one
// way, whether it was measured just now or read from a file.
type survey struct {
	Machine string           `json:"machine"`
	Sweep   []scenario       `json:"sweep"`
	Grid    []place          `json:"grid"`
	Places  []lessonPlace    `json:"places"`  // of the looks
	Rest    seen             `json:"rest"`    // a server without load
	Classes map[string]class `json:"classes"` // by model
	Rounds  []round          `json:"rounds"`  // the repeats
	Again   []rerun          `json:"again"`   // what was chosen, run in turns after the repeats
	Air     air              `json:"air"`
}

// round is one repeat.
type round struct {
	Looks   []lesson `json:"looks"`   // by scenario, before the windows
	Windows []seen   `json:"windows"` // by combination: scenarios before settings
}

// rerun is a setting that was chosen, with what it did when it ran again.
type rerun struct {
	Of      int    `json:"of"` // index of its scenario
	Place   place  `json:"place"`
	Windows []seen `json:"windows"` // of each turn
}

// judge predicts each repeat's windows from what was seen before them, and sums up what they were.
func (t *tuner) judge() {
	rounds := t.survey.Rounds
	for i, r := range rounds {
		t.latest = t.survey.known(0, i+1, byWindows)
		t.looks = append(t.looks, t.survey.known(i, i+1, byWindows))
		t.told = append(t.told, t.survey.known(i, i+1, byServer))
		t.visions = append(t.visions, t.foresee(t.latest, t.survey.known(0, i+1, byServer), r.Windows))
	}
	t.outcomes = t.outcomesAt(t.latest.usual)
}

// outcomesAt is what every combination did, its CPU as on a core of the usual pace.
func (t *tuner) outcomesAt(usual standard) []outcome {
	all := make([]outcome, len(t.combinations()))
	for _, c := range t.combinations() {
		var windows []seen
		for _, r := range t.survey.Rounds {
			windows = append(windows, r.Windows[c.index])
		}
		all[c.index] = outcomeOf(c, windows, usual)
	}
	return all
}

// keep writes what was measured until now, if somebody wants it.
func (t *tuner) keep() error {
	if t.windows == "" {
		return nil
	}
	text, err := json.MarshalIndent(t.survey, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(t.windows, append(text, '\n'), 0o644)
}

// resume reads what was measured before.
func (t *tuner) resume() error {
	text, err := os.ReadFile(t.from)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &t.survey); err != nil {
		return fmt.Errorf("%s: %w", t.from, err)
	}
	t.sweep, t.repeats = t.survey.Sweep, len(t.survey.Rounds)
	return t.survey.whole(t.from)
}

// whole refuses a survey that lacks windows, or is of another grid than this program's.
func (s survey) whole(name string) error {
	if !slices.Equal(s.Grid, grid()) || len(s.Rounds) == 0 {
		return fmt.Errorf("%s: no repeat, or of other settings than this program judges", name)
	}
	for i, r := range s.Rounds {
		if slices.ContainsFunc(r.Looks, func(l lesson) bool { return len(l.Windows) != len(s.Places) || len(s.Places) == 0 }) {
			return fmt.Errorf("%s: repeat %d looks at a load in other windows than at the %d places that it names", name, i+1, len(s.Places))
		}
		if !s.paced(r) {
			return fmt.Errorf("%s: repeat %d has windows that do not tell the core's pace", name, i+1)
		}
		if len(r.Looks) != len(s.Sweep) || len(r.Windows) != len(s.Sweep)*len(s.Grid) {
			return fmt.Errorf("%s: repeat %d has %d looks and %d windows of %d loads and %d settings", name, i+1, len(r.Looks), len(r.Windows), len(s.Sweep), len(s.Grid))
		}
	}
	for i, r := range s.Again {
		if r.Of < 0 || r.Of >= len(s.Sweep) || len(r.Windows) != len(s.Again[0].Windows) {
			return fmt.Errorf("%s: rerun %d, of load %d, has %d windows: there is no such load, or others have more or fewer", name, i+1, r.Of, len(r.Windows))
		}
		if !pacesTold(r.Windows) {
			return fmt.Errorf("%s: rerun %d has windows that do not tell the core's pace", name, i+1)
		}
	}
	return nil
}

// paced tells whether every window of a repeat, and every one before the first, tells the core's pace.
func (s survey) paced(r round) bool {
	all := append([]seen{s.Rest}, r.Windows...)
	for _, l := range r.Looks {
		all = append(all, l.Windows...)
	}
	for _, c := range s.Classes {
		all = append(all, c.Light)
	}
	return pacesTold(all)
}

func pacesTold(all []seen) bool {
	return !slices.ContainsFunc(pacesOf(all), func(p pace) bool { return !(p.Model > 0 && p.Text > 0) })
}
