package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/recommender/replay"
)

// replayed is what a replay came to.
type replayed struct {
	compared []replay.Comparison
	drawn    []replay.Drawn
}

// run lets the chosen rules size the series, writing their lines as they come.
func (a replayAsk) run(all []replay.Series) (replayed, error) {
	var out replayed
	units := slices.DeleteFunc(a.units(all), func(unit string) bool { return len(a.chosen(unit)) == 0 })
	for _, unit := range units {
		a.progress.of += len(ofUnit(all, unit)) * len(a.chosen(unit))
	}
	for _, unit := range units {
		if err := a.runUnit(unit, ofUnit(all, unit), &out); err != nil {
			return out, fmt.Errorf("write the requests: %w", err)
		}
	}
	return out, nil
}

// runUnit does it for series of one unit, and adds what it came to.
func (a replayAsk) runUnit(unit string, of []replay.Series, out *replayed) (failed error) {
	drawn := a.toDraw(of)
	visit := func(m replay.Maker, i int, line []float64) {
		a.progress.one(m.Name)
		if d, ok := drawn[i]; ok {
			d.Lines = append(d.Lines, replay.DrawnLine{Rule: m.Name, Line: slices.Clone(line)})
		}
		if failed == nil && a.lines != "" {
			failed = writeLine(a.lineFile(m.Name, of[i]), of[i].At, line)
		}
	}
	out.compared = append(out.compared, replay.Compare(of, a.chosen(unit), a.options(unit), visit))
	for _, i := range slices.Sorted(maps.Keys(drawn)) {
		out.drawn = append(out.drawn, *drawn[i])
	}
	return failed
}

// toDraw picks the series to draw, by index: in turn the one of most use of each class.
func (a replayAsk) toDraw(all []replay.Series) map[int]*replay.Drawn {
	out := map[int]*replay.Drawn{}
	if a.page == "" {
		return out
	}
	order := make([]int, len(all))
	mean := make([]float64, len(all))
	for i, s := range all {
		order[i], mean[i] = i, s.Mean()
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case mean[i] > mean[j]:
			return -1
		case mean[i] < mean[j]:
			return 1
		}
		return 0
	})
	for before := -1; len(out) < min(a.plots, len(all)) && len(out) != before; {
		before = len(out)
		taken := map[string]bool{}
		for _, i := range order {
			if _, ok := out[i]; !ok && !taken[all[i].Class] && len(out) < a.plots {
				taken[all[i].Class] = true
				out[i] = &replay.Drawn{Series: all[i]}
			}
		}
	}
	return out
}

// lineFile is where a rule's requests for a series go.
func (a replayAsk) lineFile(rule string, s replay.Series) string {
	return filepath.Join(a.lines, rule, lineName(s))
}

// lineName is a file name of a series' ID: what is not a letter, digit, dot or dash is an underscore.
func lineName(s replay.Series) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.') {
			return r
		}
		return '_'
	}, s.ID)
	if strings.Trim(name, ".") == "" {
		name = "_" + name
	}
	if s.Unit == replay.Bytes {
		name += ".memory"
	}
	return name + ".csv"
}

// namesApart says which series are not to be told apart, in the tables or in the folder of requests.
func (a replayAsk) namesApart(all []replay.Series) error {
	var faults []error
	seen := map[string]string{}
	for _, s := range all {
		name := lineName(s)
		if before, ok := seen[name]; ok {
			faults = append(faults, badInput("trimtab replay: two series are called %q and %q; rename one of them", before, s.ID))
		}
		seen[name] = s.ID
	}
	return errors.Join(faults...)
}

// writeLine writes one row for each sample that has a request.
func writeLine(path string, at []int64, line []float64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	w.WriteString("t,request\n") // what goes wrong is told by Flush
	var row []byte
	for i, v := range line {
		if math.IsNaN(v) {
			continue
		}
		row = strconv.AppendInt(row[:0], at[i], 10)
		row = strconv.AppendFloat(append(row, ','), v, 'f', -1, 64)
		w.Write(append(row, '\n'))
	}
	return errors.Join(w.Flush(), f.Close())
}

// canBeWritten tells of a file or a folder to be made, before minutes are spent on what goes there, whether something
// is in its way; a folder may be there and is made with those above it. An empty path is none.
func canBeWritten(path string, folder bool) bool {
	if path == "" {
		return true
	}
	if at, err := os.Stat(path); err == nil {
		return at.IsDir() == folder
	}
	above, err := os.Stat(filepath.Dir(path))
	return folder || err == nil && above.IsDir()
}

// shownAtFirst are the rules whose lines the page shows before a reader chooses.
func shownAtFirst() []string { return []string{"trimtab", "krr", "vpa-inplace", "reactive"} }

// writePage writes the page that --html asks for.
func (a replayAsk) writePage(title string, done replayed) error {
	if a.page == "" {
		return nil
	}
	f, err := os.Create(a.page)
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	w := bufio.NewWriter(f)
	err = replay.Page(w, "Trimtab replay of "+title, done.compared, done.drawn, shownAtFirst())
	if err := errors.Join(err, w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
