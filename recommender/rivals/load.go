package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"trimtab.dev/trimtab/recommender/replay"
)

// load reads the series of a folder with an index.csv, if one is given, and those
// of the files. It returns either all series or all faults.
func load(folder string, files []string) ([]replay.Series, error) {
	var (
		out    []replay.Series
		faults []error
	)
	keep := func(s []replay.Series, err error) {
		out = append(out, s...)
		faults = append(faults, err)
	}
	if folder != "" {
		keep(loadFolder(folder))
	}
	for _, f := range files {
		keep(loadFile(f))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no series: give --traces FOLDER with an index.csv of cpu_mem or cpu_pct rows, or CSV files")
	}
	return out, nil
}

// loadFolder reads the series that the folder's index.csv names.
func loadFolder(folder string) ([]replay.Series, error) {
	index := filepath.Join(folder, "index.csv")
	f, err := os.Open(index)
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	defer f.Close()
	entries, err := replay.ReadIndex(f, index)
	if err != nil {
		return nil, err
	}
	var (
		out    []replay.Series
		faults []error
	)
	for _, e := range entries {
		if !e.Replayable() {
			continue
		}
		s, err := loadFile(filepath.Join(folder, filepath.FromSlash(e.Path)))
		faults = append(faults, err)
		out = append(out, e.Label(s)...)
	}
	return out, errors.Join(faults...)
}

// loadFile reads the series of one CSV file, packed if its name ends in .gz.
func loadFile(name string) ([]replay.Series, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read a series: %w", err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		defer unpacked.Close()
		r = unpacked
	}
	return replay.ReadCSV(r, name)
}
