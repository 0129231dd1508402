package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"trimtab.dev/trimtab/recommender/capacity"
)

// survey is all that a sweep measured, and nothing that was made of it: predictions are made from it and judged in one
// way, whether it was measured just now or read from a file.
type survey struct {
	Machine string           `json:"machine"`
	Sweep   []scenario       `json:"sweep"`
	Grid    []place          `json:"grid"`
	Rest    seen             `json:"rest"`    // a server without load
	Classes map[string]class `json:"classes"` // by model
	Rounds  []round          `json:"rounds"`  // the repeats
	Air     air              `json:"air"`
}

// round is one repeat.
type round struct {
	Looks   []lesson `json:"looks"`   // by scenario, before the windows
	Windows []seen   `json:"windows"` // by combination: scenarios before settings
}

// judge predicts each repeat's windows from what was seen before them, and sums up what they were.
func (t *tuner) judge() {
	t.even = make([][]capacity.Service, len(t.sweep))
	t.lessons, t.records = make([][]capacity.Service, len(t.sweep)), make([]capacity.Calibration, len(t.sweep))
	for _, r := range t.survey.Rounds {
		t.learn(r.Looks)
		t.foresee(r.Windows)
	}
	t.outcomes = make([]outcome, len(t.combinations()))
	for _, c := range t.combinations() {
		var windows []seen
		for _, r := range t.survey.Rounds {
			windows = append(windows, r.Windows[c.index])
		}
		t.outcomes[c.index] = outcomeOf(c, windows)
	}
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
		if slices.ContainsFunc(r.Looks, func(l lesson) bool { return len(l.Windows) != len(lessonPlaces()) }) {
			return fmt.Errorf("%s: repeat %d looks at a load in other windows than the %d of this program", name, i+1, len(lessonPlaces()))
		}
		if len(r.Looks) != len(s.Sweep) || len(r.Windows) != len(s.Sweep)*len(s.Grid) {
			return fmt.Errorf("%s: repeat %d has %d looks and %d windows of %d loads and %d settings", name, i+1, len(r.Looks), len(r.Windows), len(s.Sweep), len(s.Grid))
		}
	}
	return nil
}
