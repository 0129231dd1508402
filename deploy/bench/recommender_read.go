package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"trimtab.dev/trimtab/recommender/replay"
)

// of is the entries of a kind.
func (a *advised) of(kind string) []replay.Entry {
	return slices.DeleteFunc(slices.Clone(a.entries), func(e replay.Entry) bool { return e.Kind != kind })
}

// series is those of a kind and a unit. A folder that has none is not at fault.
func (a *advised) series(kind, unit string) ([]replay.Series, error) {
	if a.read[kind] == nil {
		all, err := a.folder.Of(a.of(kind))
		if err != nil {
			return nil, err
		}
		a.read[kind] = all // whole: a later step must not measure what an earlier one could read
	}
	all := slices.DeleteFunc(slices.Clone(a.read[kind]), func(s replay.Series) bool { return s.Unit != unit })
	if len(all) == 0 {
		a.say("the index lists no series of the kind %s in %s; nothing to measure", kind, unit)
	}
	return all, nil
}

// readColumns reads a table whose first column is unix seconds that ascend: the times and the columns asked for, by name, ""
// being the second one. A field that is empty is NaN.
func readColumns(r io.Reader, name string, wanted ...string) (at []int64, values [][]float64, err error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) < 2 || len(rows[0]) < 2 {
		return nil, nil, fmt.Errorf("%s:1: has no rows of a time and a value; write t,value and rows under it", name)
	}
	places, faults := make([]int, len(wanted)), []error(nil)
	for i, w := range wanted {
		if places[i] = max(slices.Index(rows[0], w), 0); places[i] == 0 && w != "" {
			faults = append(faults, fmt.Errorf("%s:1: has no column %s", name, w))
		} else if w == "" {
			places[i] = 1
		}
	}
	if len(faults) > 0 {
		return nil, nil, errors.Join(faults...)
	}
	values = make([][]float64, len(wanted))
	for n, row := range rows[1:] {
		t, err := strconv.ParseInt(row[0], 10, 64)
		if err == nil && n > 0 && t <= at[n-1] {
			err = fmt.Errorf("the time %d is not after that of the row before; sort the rows and leave out repeats", t)
		}
		faults = append(faults, placed(err, name, n+2))
		at = append(at, t)
		for i, place := range places {
			v, err := numberIn(row[place])
			faults = append(faults, placed(err, name, n+2))
			values[i] = append(values[i], v)
		}
	}
	return at, values, errors.Join(faults...)
}

func placed(err error, name string, row int) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s:%d: %w", name, row, err)
}

// numberIn is NaN for an empty field.
func numberIn(field string) (float64, error) {
	if field == "" {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(field, 64)
	if err == nil && !(v >= 0 && v <= math.MaxFloat64) {
		err = fmt.Errorf("%q is no amount; write a number that is not negative, or nothing for no sample", field)
	}
	return v, err
}
