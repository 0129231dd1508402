package main

import (
	"io"
	"slices"

	"trimtab.dev/trimtab/recommender/replay"
)

// tables replays the series of each unit and writes the tables of package replay
// for them: its own rules first, then the genuine ones.
func tables(w io.Writer, g genuine, all []replay.Series, o replay.CompareOptions) error {
	var out []replay.Comparison
	for _, unit := range []string{replay.Cores, replay.Bytes} {
		of := slices.DeleteFunc(slices.Clone(all), func(s replay.Series) bool { return s.Unit != unit })
		if len(of) > 0 {
			out = append(out, replay.Compare(of, slices.Concat(replay.Rules(unit, nil), g.makers(unit)), o, nil))
		}
	}
	return replay.Text(w, out)
}
