package main

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/capacity"
	"trimtab.dev/trimtab/serving/curve"
)

// madeSurvey makes up a survey of a quick model, each of whose repeats finds it so many times as slow, as its core is. A look's
// windows are on a core that is quicker, as usual, and slower.
func madeSurvey(slow ...float64) survey {
	s := scenario{Model: "m", Rate: 50, Burst: 1, SLO: 10 * time.Millisecond, Window: time.Second}
	line := func(by float64) curve.Curve {
		l := curve.Line{Fixed: by * 1e-3, PerRow: by * 1e-4}
		return curve.Curve{Wall: l, CPU: l, Samples: 50, Largest: 64}
	}
	window := func(by float64) seen {
		w := seen{Requests: 50, Seconds: 1, P50: 2e-3, P99: 9e-3 * by, CPU: 0.1 * by, Compute: 0.055 * by, Rows: 50, Batches: 50}
		w.Air.During = pace{by, by}
		return w
	}
	rest, light := seen{Seconds: 1}, seen{Seconds: 1, Rows: 1, Batches: 1, CPU: 2e-3, P50: 3e-3}
	rest.Air.During, light.Air.During = pace{1, 1}, pace{1, 1}
	made := survey{
		Machine: "made up", Sweep: []scenario{s}, Grid: grid(), Places: lessonPlaces()[:3], Rest: rest,
		Classes: map[string]class{"m": {Profile: capacity.Service{Curve: line(1)}, Light: light}},
	}
	for _, by := range slow {
		r := round{Looks: []lesson{{Windows: []seen{window(0.8 * by), window(by), window(1.25 * by)}, Curve: line(by), Memory: 1e6}}}
		for range grid() {
			r.Windows = append(r.Windows, window(by))
		}
		made.Rounds = append(made.Rounds, r)
	}
	return made
}

func TestSurveyIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "windows.json")
	wrote := &tuner{trial: &trial{}, survey: madeSurvey(1, 2), windows: file}
	some := wrote.survey.Rounds[0].Windows[:2]
	here, there := grid()[3], place{16, 1500 * time.Microsecond, 0.5}
	wrote.survey.Again = []rerun{{0, here, some}, {0, there, some}}
	if err := wrote.keep(); err != nil {
		t.Fatal(err)
	}
	read := &tuner{trial: &trial{}, from: file}
	if err := read.resume(); err != nil || !reflect.DeepEqual(read.survey, wrote.survey) || len(read.sweep) != 1 || read.repeats != 2 {
		t.Errorf("%+v, %v", read.survey, err)
	}
	blind := slices.Clone(some)
	blind[1].Air.During = pace{}
	for name, again := range map[string][]rerun{
		"rerun 2 has windows that do not tell": {{0, here, some}, {0, there, blind}}, "others have more or fewer": {{0, here, some}, {0, there, some[:1]}}, "there is no such load": {{1, here, some}},
	} {
		wrote.survey.Again = again
		if err := errors.Join(wrote.keep(), (&tuner{trial: &trial{}, from: file}).resume()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrote.survey.Again = nil
	paced := wrote.survey.Rounds[1].Windows[2].Air.During
	wrote.survey.Rounds[1].Windows[2].Air.During = pace{}
	if err := wrote.keep(); err != nil {
		t.Fatal(err)
	}
	if err := read.resume(); err == nil || !strings.Contains(err.Error(), "repeat 2 has windows that do not tell the core's pace") {
		t.Errorf("a survey that lacks a pace: %v", err)
	}
	wrote.survey.Rounds[1].Windows[2].Air.During = paced
	wrote.survey.Rounds[1].Windows = wrote.survey.Rounds[1].Windows[1:]
	if err := wrote.keep(); err != nil {
		t.Fatal(err)
	}
	if err := read.resume(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("repeat 2 has 1 looks and %d windows", len(grid())-1)) {
		t.Errorf("a survey that lacks a window: %v", err)
	}
}

// judgedAlone judges a survey.
func judgedAlone(s survey) *tuner {
	t := &tuner{trial: &trial{repeats: len(s.Rounds)}, sweep: s.Sweep, survey: s}
	t.judge()
	return t
}

// TestJudgeForesees: what is said of a repeat does not depend on what its windows or later repeats measured, but for the
// pace of the core, by which only the prediction that is for that pace goes.
func TestJudgeForesees(t *testing.T) {
	if testing.Short() {
		t.Skip("some hundred predictions")
	}
	one, other := judgedAlone(madeSurvey(1)).visions[0], madeSurvey(1, 3)
	for i := range other.Rounds[0].Windows {
		w := &other.Rounds[0].Windows[i]
		w.P99, w.CPU, w.Compute, w.Batches = 1, 0.9, 0.8, 7
		w.Air.During = pace{2, 2}
	}
	both := judgedAlone(other)
	for i, v := range both.visions[0] {
		same := one[i]
		if v.Ours != same.Ours || v.P99 != same.P99 || v.Alone != same.Alone || v.MD1 != same.MD1 {
			t.Fatalf("%v: %+v, without what came of it %+v", grid()[i], v, same)
		}
		if v.Paced.Cores < 1.9*same.Paced.Cores || v.Paced.Cores > 2.1*same.Paced.Cores {
			t.Errorf("%v: %g cores where everything takes twice as long, %g else", grid()[i], v.Paced.Cores, same.Paced.Cores)
		}
	}
	if got := both.outcomes[3]; len(got.P99s) != 2 || got.P99s[0] != 1 || math.Abs(got.P99s[1]-27e-3) > 1e-12 {
		t.Errorf("windows %v", got.P99s)
	}
}
