package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"trimtab.dev/trimtab/recommender/replay"
)

// index reads the list of the folder's series.
func (a *advised) index() error {
	name := filepath.Join(a.traces, "index.csv")
	return unpackedFile(name, func(r io.Reader) (err error) {
		a.entries, err = replay.ReadIndex(r, name)
		return err
	})
}

// of is the entries of a kind.
func (a *advised) of(kind string) []replay.Entry {
	return slices.DeleteFunc(slices.Clone(a.entries), func(e replay.Entry) bool { return e.Kind != kind })
}

func (a *advised) path(e replay.Entry) string {
	return filepath.Join(a.traces, filepath.FromSlash(e.Path))
}

// series is those of a kind and a unit. A folder that has none is not at fault.
func (a *advised) series(kind, unit string) ([]replay.Series, error) {
	if a.read[kind] == nil {
		all, err := a.readKind(kind)
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

func (a *advised) readKind(kind string) (all []replay.Series, err error) {
	var faults []error
	for _, e := range a.of(kind) {
		err := unpackedFile(a.path(e), func(r io.Reader) error {
			s, err := replay.ReadCSV(r, e.Path)
			all = append(all, e.Label(s)...)
			return err
		})
		faults = append(faults, err)
	}
	return all, errors.Join(faults...)
}

// unpackedFile gives a file's text to read, unpacked if it begins as gzip does.
func unpackedFile(name string, read func(io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	if first, _ := r.Peek(2); !bytes.Equal(first, []byte{0x1f, 0x8b}) {
		return read(r)
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return read(z)
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
