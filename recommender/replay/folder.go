package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Folder is where recorded series lie: tables as ReadCSV reads them and, if there is one, their index.csv. Any file may
// be packed with gzip. The names of its files have slashes and are relative to it.
type Folder struct {
	Files fs.FS
	Name  string // stands before the names of its files in every fault
}

const indexFile = "index.csv"

// All reads every series of use: those that the index lists, or without an index those of all .csv and .csv.gz
// files, not of folders below. It returns either all series, one at least, or all faults.
func (f Folder) All() ([]Series, error) {
	if _, err := fs.Stat(f.Files, indexFile); err != nil {
		return f.unlisted()
	}
	entries, err := f.Entries()
	if err != nil {
		return nil, err
	}
	all, err := f.Of(slices.DeleteFunc(entries, func(e Entry) bool { return !e.Replayable() }))
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: lists no series of the kinds cpu_mem or cpu_pct; add some, or name one file", f.path(indexFile))
	}
	return all, err
}

func (f Folder) unlisted() ([]Series, error) {
	files, err := fs.ReadDir(f.Files, ".") // by name
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be read: %w", f.Name, cause(err))
	}
	tables := slices.DeleteFunc(files, func(e fs.DirEntry) bool {
		return e.IsDir() || !strings.HasSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".csv")
	})
	all, err := gathered(tables, func(e fs.DirEntry) ([]Series, error) { return f.Table(e.Name()) })
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: holds neither an index.csv nor .csv or .csv.gz files; name a folder of series", f.Name)
	}
	return all, err
}

// Entries reads the folder's index.
func (f Folder) Entries() (entries []Entry, err error) {
	err = f.Open(indexFile, func(r io.Reader) (err error) {
		entries, err = ReadIndex(r, f.path(indexFile))
		return err
	})
	return entries, err
}

// Of reads the tables of some entries of the index, which label what is in them: all of it, or all faults.
func (f Folder) Of(entries []Entry) ([]Series, error) {
	return gathered(entries, func(e Entry) ([]Series, error) {
		all, err := f.Table(e.Path)
		return e.Label(all), err
	})
}

// Table reads the series of one file.
func (f Folder) Table(file string) (all []Series, err error) {
	err = f.Open(file, func(r io.Reader) (err error) {
		all, err = ReadCSV(r, f.path(file))
		return err
	})
	return all, err
}

// Open gives a file's text to read, unpacked if it begins as gzip does, whatever it is called.
func (f Folder) Open(file string, read func(io.Reader) error) error {
	opened, err := f.Files.Open(path.Clean(file))
	if err != nil {
		return fmt.Errorf("%s: cannot be read: %w", f.path(file), cause(err))
	}
	defer opened.Close()
	text, err := unpacked(bufio.NewReader(opened))
	if err != nil {
		return fmt.Errorf("%s: cannot be unpacked: %w; write a .gz or a plain file", f.path(file), err)
	}
	return read(text)
}

func unpacked(r *bufio.Reader) (io.Reader, error) {
	if first, _ := r.Peek(2); bytes.Equal(first, []byte{0x1f, 0x8b}) {
		return gzip.NewReader(r)
	}
	return r, nil
}

func (f Folder) path(file string) string { return path.Join(f.Name, file) }

// gathered is what all of them give, or all faults.
func gathered[T any](of []T, read func(T) ([]Series, error)) ([]Series, error) {
	var all []Series
	var faults []error
	for _, one := range of {
		series, err := read(one)
		all, faults = append(all, series...), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return all, nil
}

// cause is an error of opening without the name that the faults begin with.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
