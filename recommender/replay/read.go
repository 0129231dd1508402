package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mostFaults is how many faults of a file are told one by one.
const mostFaults = 20

// forms is how columns are told: the ending of a column's name gives its unit.
const forms = "t,cpu_mcores,mem_mib or t,cpu_pct or t,value or t,CONTAINER,...; a column ending in _cores, _mcores, _pct, _bytes or _mib is in that unit, any other in cores"

// ReadCSV reads series of use from a table of one row a time. The first column is named t and holds unix seconds or
// RFC 3339 times that ascend; every other column is a series: cpu_mcores and cpu_pct (100 is a core, and what is
// granted), mem_mib and value are called as the file without its folder and endings, others as that and the column. An empty field is no
// sample. Name stands in the series' IDs and in the faults; all faults, at most 20, come at once, each with its
// line. A column without a sample gives no series.
func ReadCSV(r io.Reader, name string) ([]Series, error) {
	t := table{name: name, id: idOf(name), csv: csv.NewReader(r)}
	t.csv.FieldsPerRecord = -1
	t.csv.ReuseRecord = true
	if !t.header() {
		return nil, t.err()
	}
	for t.row() {
	}
	if len(t.faults) == 0 && t.samples == 0 {
		t.fault(0, "holds no samples; write rows of a time and a value under the header")
	}
	if err := t.err(); err != nil {
		return nil, err
	}
	return t.series(), nil
}

// idOf is what a file is called without its folder and endings.
func idOf(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path.Base(name), ".gz"), ".csv")
}

// table is a file being read.
type table struct {
	name    string
	id      string
	csv     *csv.Reader
	columns []column
	last    int64
	any     bool
	samples int
	faults  []error
	more    int
}

// column is a series being read.
type column struct {
	name    string
	id      string
	measure measure
	at      []int64
	used    []float64
}

// measure is what the numbers of a column are in.
type measure struct {
	ending  string
	unit    string
	by      float64 // one of the column's in the series' unit
	divide  bool    // by divides instead: 56/1000 is nearer to 0.056 than 56*0.001
	granted float64
}

func endings() []measure {
	return []measure{
		{ending: "mcores", unit: Cores, by: 1000, divide: true},
		{ending: "cores", unit: Cores, by: 1},
		{ending: "pct", unit: Cores, by: 100, divide: true, granted: 1},
		{ending: "bytes", unit: Bytes, by: 1},
		{ending: "mib", unit: Bytes, by: MiB},
	}
}

// columnOf reads a column's name.
func columnOf(file, name string) column {
	for _, m := range endings() {
		short, ok := strings.CutSuffix(name, "_"+m.ending)
		if !ok {
			continue
		}
		if short == "cpu" || short == "mem" {
			return column{name: name, id: file, measure: m}
		}
		return column{name: name, id: file + "/" + short, measure: m}
	}
	plain := column{name: name, id: file, measure: measure{unit: Cores, by: 1}}
	if name != "value" {
		plain.id += "/" + name
	}
	return plain
}

func (t *table) fault(line int, format string, args ...any) {
	if len(t.faults) == mostFaults {
		t.more++
		return
	}
	place := t.name
	if line > 0 {
		place += ":" + strconv.Itoa(line)
	}
	t.faults = append(t.faults, fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...)))
}

func (t *table) err() error {
	if t.more > 0 {
		t.faults = append(t.faults, fmt.Errorf("%s: %d more faults", t.name, t.more))
	}
	return errors.Join(t.faults...)
}

// header reads the first row.
func (t *table) header() bool {
	record, err := t.csv.Read()
	switch {
	case err == io.EOF:
		t.fault(0, "is empty; write %s", forms)
		return false
	case err != nil:
		t.broken(err)
		return false
	}
	if len(record) == 1 && strings.ContainsAny(record[0], ";\t") {
		t.fault(1, "the header %q has no comma; separate columns by commas, and write 0.5 with a point", record[0])
		return false
	}
	if strings.TrimPrefix(record[0], "\ufeff") != "t" || len(record) < 2 {
		t.fault(1, "the header %q is of no known form; write %s", strings.Join(record, ","), forms)
		return false
	}
	for _, name := range record[1:] {
		t.column(strings.TrimSpace(name))
	}
	return true
}

// column adds a column, which must not make the same series as one before.
func (t *table) column(name string) {
	c := columnOf(t.id, name)
	same := func(o column) bool { return o.id == c.id && o.measure.unit == c.measure.unit }
	if i := slices.IndexFunc(t.columns, same); name == "" || i >= 0 {
		t.fault(1, "column %q: give every column a name of its own", name)
	}
	t.columns = append(t.columns, c)
}

// broken is a row that is not CSV; true: the rows after it can be read.
func (t *table) broken(err error) bool {
	var at *csv.ParseError
	if errors.As(err, &at) {
		t.fault(at.Line, "is not a row of comma-separated values: %v", at.Err)
		return true
	}
	t.fault(0, "cannot be read: %v", err)
	return false
}

// row reads a row; false at the end of what can be read.
func (t *table) row() bool {
	record, err := t.csv.Read()
	if err == io.EOF {
		return false
	}
	if err != nil {
		return t.broken(err)
	}
	line, _ := t.csv.FieldPos(0)
	if len(record) != len(t.columns)+1 {
		t.fault(line, "%d fields where the header has %d; leave a field empty where there is no sample", len(record), len(t.columns)+1)
		return true
	}
	at, ok := t.time(line, record[0])
	for i, field := range record[1:] {
		if v, some := t.value(line, &t.columns[i], field); some && ok {
			t.columns[i].add(at, v)
			t.samples++
		}
	}
	return true
}

func (c *column) add(at int64, v float64) {
	if c.measure.divide {
		v /= c.measure.by
	} else {
		v *= c.measure.by
	}
	c.at = append(c.at, at)
	c.used = append(c.used, v)
}

// mostSeconds is the year 5138: what is later is in other units than seconds.
const mostSeconds = 1e11

// time reads a row's time, which must be later than the one before.
func (t *table) time(line int, field string) (at int64, ok bool) {
	field = strings.TrimSpace(field)
	at, err := strconv.ParseInt(field, 10, 64)
	if err != nil {
		when, err := time.Parse(time.RFC3339, field)
		if err != nil {
			t.fault(line, "the time %q is neither unix seconds nor RFC 3339; write 1767225600 or 2026-01-01T00:00:00Z", field)
			return 0, false
		}
		at = when.Unix()
	}
	switch {
	case at < 0 || at >= mostSeconds:
		t.fault(line, "the time %s is not in seconds since 1970; divide milliseconds by 1000", field)
		return 0, false
	case t.any && at <= t.last:
		t.fault(line, "the time %s is not after that of the row before; sort the rows and leave out repeats", field)
		return 0, false
	}
	t.last, t.any = at, true
	return at, true
}

// mostUse is far above any machine, in any unit of a column.
const mostUse = 1e18

// value reads a field; false: no sample, or a fault.
func (t *table) value(line int, c *column, field string) (v float64, ok bool) {
	field = strings.TrimSpace(field)
	if field == "" {
		return 0, false
	}
	v, err := strconv.ParseFloat(field, 64)
	if err != nil || !(v >= 0 && v <= mostUse) || math.Signbit(v) && v != 0 {
		t.fault(line, "%s is %q; write a number that is not negative, or nothing for no sample", c.name, field)
		return 0, false
	}
	return math.Abs(v), true // no negative zero
}

// series is what was read, in the order of the columns.
func (t *table) series() []Series {
	var out []Series
	for _, c := range t.columns {
		if len(c.at) > 0 {
			out = append(out, Series{
				ID: c.id, Unit: c.measure.unit, Granted: c.measure.granted, Floor: FloorOf(c.measure.unit), At: c.at, Used: c.used,
			})
		}
	}
	return out
}

// FloorOf is the least request that any rule gives, in that unit.
func FloorOf(unit string) float64 {
	if unit == Bytes {
		return BytesFloor
	}
	return CoresFloor
}
