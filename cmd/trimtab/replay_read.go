package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"trimtab.dev/trimtab/recommender/replay"
)

// readSeries reads a file of series, or a folder: by its index.csv, or else all its .csv and .csv.gz files.
// Every fault of every file comes at once.
func readSeries(path string) ([]replay.Series, error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, badInput("%s: cannot be read: %v", path, errors.Unwrap(err))
	}
	if !about.IsDir() {
		return readFile(path)
	}
	index := filepath.Join(path, "index.csv")
	if _, err := os.Stat(index); err == nil {
		return readIndexed(path, index)
	}
	return readFolder(path)
}

// readFolder reads every table of a folder, not of those below it.
func readFolder(dir string) ([]replay.Series, error) {
	files, err := os.ReadDir(dir) // by name
	if err != nil {
		return nil, badInput("%s: cannot be read: %v", dir, err)
	}
	var all []replay.Series
	var faults []error
	for _, f := range files {
		if f.IsDir() || !strings.HasSuffix(strings.TrimSuffix(f.Name(), ".gz"), ".csv") {
			continue
		}
		series, err := readFile(filepath.Join(dir, f.Name()))
		all, faults = append(all, series...), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, badInput("%s: holds neither an index.csv nor .csv or .csv.gz files; name a folder of series", dir)
	}
	return all, nil
}

// readIndexed reads the series of use that an index lists.
func readIndexed(dir, index string) ([]replay.Series, error) {
	var entries []replay.Entry
	err := opened(index, func(r io.Reader) (err error) {
		entries, err = replay.ReadIndex(r, index)
		return err
	})
	if err != nil {
		return nil, err
	}
	var all []replay.Series
	var faults []error
	for _, e := range entries {
		if !e.Replayable() {
			continue
		}
		series, err := readFile(filepath.Join(dir, filepath.FromSlash(e.Path)))
		all, faults = append(all, e.Label(series)...), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, badInput("%s: lists no series of the kinds cpu_mem or cpu_pct; add some, or name one file", index)
	}
	return all, nil
}

func readFile(path string) (all []replay.Series, err error) {
	err = opened(path, func(r io.Reader) (err error) {
		all, err = replay.ReadCSV(r, filepath.ToSlash(path))
		return err
	})
	return all, err
}

// opened gives a file's text to read, unpacked if it is packed. What is wrong with it is the person's.
func opened(path string, read func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return badInput("%s: cannot be read: %v", path, errors.Unwrap(err))
	}
	defer f.Close()
	r, err := unpacked(bufio.NewReader(f))
	if err != nil {
		return badInput("%s: cannot be unpacked: %v; write a .gz or a plain file", path, err)
	}
	if err := read(r); err != nil {
		return badInput("%v", err)
	}
	return nil
}

// unpacked tells gzip by its first two bytes, whatever the file is called.
func unpacked(r *bufio.Reader) (io.Reader, error) {
	if first, _ := r.Peek(2); bytes.Equal(first, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(r)
	}
	return r, nil
}
