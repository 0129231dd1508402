package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Entry is one row of a folder's index.csv: a file of series and what is known of it.
type Entry struct {
	ID, Kind, Path, Class string
	Cores                 float64 // granted; 0: unknown
	Memory                float64 // granted, bytes; 0: unknown
	MemoryValid           bool    // its memory column can be trusted
}

// Replayable says whether the entry holds CPU use, alone or with memory.
func (e Entry) Replayable() bool { return e.Kind == "cpu_mem" || e.Kind == "cpu_pct" }

// Label gives series read from the entry's file its name instead of the file's, its class and its grants, reads
// a value of the kind cpu_pct as percent of a core, and leaves out memory that cannot be trusted.
func (e Entry) Label(all []Series) []Series {
	all = slices.DeleteFunc(slices.Clone(all), func(s Series) bool { return s.Unit == Bytes && !e.MemoryValid })
	for i := range all {
		s := &all[i]
		_, column, named := strings.Cut(s.ID, "/")
		s.ID, s.Class = e.ID, e.Class
		if named {
			s.ID += "/" + column
		}
		if e.Kind == "cpu_pct" && s.Granted == 0 {
			*s = s.percent()
		}
		if granted := e.granted(s.Unit); granted > 0 {
			s.Granted = granted
		}
	}
	return all
}

// percent is a series whose column does not say that it is in hundredths of a core.
func (s Series) percent() Series {
	used := make([]float64, len(s.Used))
	for i, v := range s.Used {
		used[i] = v / 100
	}
	s.Used, s.Granted = used, 1
	return s
}

func (e Entry) granted(unit string) float64 {
	if unit == Bytes {
		return e.Memory
	}
	return e.Cores
}

// ReadIndex reads an index.csv: a table with at least the columns id, kind, path and cls, and where they are known
// cpu_prov_mcores, mem_prov_mib and mem_valid (1: yes); other columns are left alone. Paths are relative to the
// index's folder and stay inside it. Name stands in the faults, which come at once, each with its line.
func ReadIndex(r io.Reader, name string) ([]Entry, error) {
	t := table{name: name, csv: csv.NewReader(r)}
	t.csv.FieldsPerRecord = -1
	header, err := t.csv.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: has no header: %w; write id,kind,path,cls and more", name, err)
	}
	x := index{table: &t, columns: header}
	for _, need := range []string{"id", "kind", "path", "cls"} {
		if !slices.Contains(header, need) {
			t.fault(1, "has no column %s; write id,kind,path,cls and more", need)
		}
	}
	if len(t.faults) > 0 {
		return nil, t.err()
	}
	var out []Entry
	for {
		record, err := t.csv.Read()
		if errors.Is(err, io.EOF) {
			return x.all(out)
		}
		if err != nil {
			if t.broken(err) {
				continue
			}
			return x.all(nil)
		}
		out = append(out, x.entry(record))
	}
}

// index is an index being read.
type index struct {
	table   *table
	columns []string
	record  []string
	line    int
}

// all is the entries, or the faults.
func (x *index) all(entries []Entry) ([]Entry, error) {
	if err := x.table.err(); err != nil {
		return nil, err
	}
	return entries, nil
}

func (x *index) entry(record []string) Entry {
	x.record = record
	x.line, _ = x.table.csv.FieldPos(0)
	if len(record) != len(x.columns) {
		x.table.fault(x.line, "%d fields where the header has %d", len(record), len(x.columns))
	}
	e := Entry{
		ID: x.text("id"), Kind: x.text("kind"), Path: x.text("path"), Class: x.text("cls"),
		Cores: x.number("cpu_prov_mcores") / 1000, Memory: x.number("mem_prov_mib") * MiB,
		MemoryValid: x.text("mem_valid") == "1",
	}
	if !e.Replayable() {
		return e
	}
	if e.ID == "" || strings.ContainsAny(e.ID, `/\`) {
		x.table.fault(x.line, "the id %q must be a name without slashes", e.ID)
	}
	if p := path.Clean(e.Path); e.Path == "" || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") {
		x.table.fault(x.line, "the path %q must be a file inside the folder", e.Path)
	}
	return e
}

func (x *index) text(column string) string {
	i := slices.Index(x.columns, column)
	if i < 0 || i >= len(x.record) {
		return ""
	}
	return strings.TrimSpace(x.record[i])
}

// number is 0 for an empty field.
func (x *index) number(column string) float64 {
	text := x.text(column)
	if text == "" {
		return 0
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= mostUse) {
		x.table.fault(x.line, "%s is %q; write a number, or nothing where it is unknown", column, text)
		return 0
	}
	return v
}
