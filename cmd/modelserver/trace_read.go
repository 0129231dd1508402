package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	mostTraceText   = 1 << 30 // bytes of text that are read
	mostTraceLine   = 64 << 10
	mostTraceFaults = 5
	mostTraceTime   = 4e9 // seconds: no date is meant beyond the year 2096
	mostTraceRate   = 1e9
)

const traceForms = `a header with t and req_per_s (rates), t and requests, value or count (counts), t_ms, or t alone or with two more ` +
	`columns (a row for each request), or no header and one count a second on each line`

// traceReader reads a trace line by line. A trace in which it finds faults is not used.
type traceReader struct {
	line   int
	column map[string]int // of the header; nil: none was read
	width  int            // columns
	row    func([]string) // takes the fields of a row
	at     []float64      // seconds, of each row that has a time
	rate   []stretch      // of each row; of counts, the count stands for the rate until the rows' length is known
	counts bool
	plain  int  // rows without a time
	whole  bool // every time was a whole one
	unit   time.Duration
	bad    faults
	more   int // faults that are not in bad
}

// readTrace reads a trace, plain or gzip, in any of the forms of traceForms.
func readTrace(r io.Reader) (trace, faults) {
	t := &traceReader{whole: true, unit: time.Second}
	if err := t.read(r); err != nil {
		t.fault("%s", err)
	}
	if t.more > 0 {
		t.bad = append(t.bad, fmt.Sprintf("and %d faults more", t.more))
	}
	if len(t.bad) > 0 {
		return trace{}, t.bad
	}
	return t.made()
}

// fault notes what is wrong in the line that was read last.
func (t *traceReader) fault(format string, a ...any) {
	if len(t.bad) == mostTraceFaults {
		t.more++
		return
	}
	text := fmt.Sprintf(format, a...)
	if t.line > 0 {
		text = fmt.Sprintf("line %d: %s", t.line, text)
	}
	t.bad = append(t.bad, text)
}

func (t *traceReader) read(r io.Reader) error {
	text, err := unpacked(r)
	if err != nil {
		return err
	}
	limited := &io.LimitedReader{R: text, N: mostTraceText}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, mostTraceLine)
	for lines.Scan() {
		t.line++
		one := strings.TrimSpace(lines.Text())
		if one == "" || one[0] == '#' {
			continue
		}
		if t.row == nil && t.begin(one) {
			continue
		}
		if t.row == nil {
			return nil // no form that is known: its rows would all be faults
		}
		t.take(strings.Split(one, ","))
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		t.line++
		return fmt.Errorf("is longer than %d bytes; is this file a trace?", mostTraceLine)
	case err != nil:
		return fmt.Errorf("cannot be read after it: %w", err)
	case limited.N == 0:
		return fmt.Errorf("the file is larger than %d bytes; replay a part of it", mostTraceText)
	}
	return nil
}

// unpacked is r, or what is packed in it.
func unpacked(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if magic, _ := b.Peek(2); string(magic) != "\x1f\x8b" {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("the file begins like gzip and is none: %w", err)
	}
	return z, nil
}

// begin recognises the form by the first line, and reports whether that is a header.
func (t *traceReader) begin(first string) (header bool) {
	if _, err := strconv.ParseFloat(first, 64); err == nil {
		t.width = 1
		t.row = func(f []string) { t.perSecond(f[0]) }
		return false
	}
	names := strings.Split(strings.ToLower(strings.TrimPrefix(first, "\ufeff")), ",")
	t.column, t.width = map[string]int{}, len(names)
	for i, name := range names {
		t.column[strings.Trim(strings.TrimSpace(name), `"`)] = i
	}
	if t.row = t.form(); t.row == nil {
		t.fault("%.100q is no form of a trace; it has %s", first, traceForms)
		return false
	}
	return true
}

// form is what takes the rows below this header; nil: nobody knows it.
func (t *traceReader) form() func([]string) {
	at, timed := t.column["t"]
	if ms, ok := t.column["t_ms"]; ok {
		t.unit = time.Millisecond
		return func(f []string) { t.request(f[ms]) }
	}
	if !timed {
		return nil
	}
	if rate, ok := t.column["req_per_s"]; ok {
		return func(f []string) { t.rated(f, at, rate) }
	}
	for _, name := range []string{"requests", "value", "count"} {
		if n, ok := t.column[name]; ok {
			t.counts = true
			return func(f []string) { t.counted(f, at, n) }
		}
	}
	if t.width == 2 {
		return nil // it may be a rate or a count under another name
	}
	return func(f []string) { t.request(f[at]) }
}

func (t *traceReader) take(fields []string) {
	if len(fields) != t.width {
		t.fault("has %d columns; %d were expected", len(fields), t.width)
		return
	}
	for i := range fields {
		fields[i] = strings.Trim(strings.TrimSpace(fields[i]), `"`)
	}
	t.row(fields)
}

// number reads a number from low to high, or notes a fault.
func (t *traceReader) number(name, field string, low, high float64) (float64, bool) {
	v, err := strconv.ParseFloat(field, 64)
	if err != nil || !(v >= low && v <= high) {
		t.fault("%s is %.40q; a number from %g to %g is expected", name, field, low, high)
		return 0, false
	}
	return v, true
}

// when reads the time of a row. Times of a log may be equal, those of other rows are not.
func (t *traceReader) when(field string, equal bool) bool {
	at, ok := t.number("the time", field, 0, mostTraceTime/t.unit.Seconds())
	if !ok {
		return false
	}
	t.whole = t.whole && at == math.Trunc(at)
	at *= t.unit.Seconds()
	const apart = 1e-6 // seconds between rows at least, so that none has no length
	if n := len(t.at); n > 0 && (at < t.at[n-1] || at < t.at[n-1]+apart && !equal) {
		t.fault("the time %s does not come after the row before; sort the file by time", field)
		return false
	}
	t.at = append(t.at, at)
	return true
}

func (t *traceReader) request(at string) { t.when(at, true) }

func (t *traceReader) perSecond(count string) {
	n, ok := t.number("the count", count, 0, mostTraceRate)
	if last := len(t.rate) - 1; ok && (last < 0 || t.rate[last].rate != n) { // weeks of seconds are many, and often alike
		t.rate = append(t.rate, stretch{rate: n, from: time.Duration(t.plain) * time.Second})
	}
	t.plain++
}

func (t *traceReader) counted(f []string, at, count int) {
	n, ok := t.number("the count", f[count], 0, mostTraceRate)
	if t.when(f[at], false) && ok {
		t.rate = append(t.rate, stretch{rate: n})
	}
}

// rated reads a row of rates. The rate says how many requests come; of the law that was fitted to their gaps
// only the shape is taken: its scale would say the rate again, in some fits far from what was counted.
func (t *traceReader) rated(f []string, at, rate int) {
	v, ok := t.number("the rate", f[rate], 0, mostTraceRate)
	s, fits := t.fitted(f)
	s.rate = v
	if t.when(f[at], false) && ok && fits {
		t.rate = append(t.rate, s)
	}
}

// fitted reads the law of a row's gaps. Without a fit it is the gamma law of the same variation, or poisson.
func (t *traceReader) fitted(f []string) (s stretch, ok bool) {
	field := func(name string) string {
		if i, ok := t.column[name]; ok {
			return f[i]
		}
		return ""
	}
	name, cv := strings.ToLower(field("fit")), field("cv")
	low := map[string]float64{"gamma": 0.005, "weibull": 0.1}[name] // below it gaps vary as nothing does
	switch name {
	case "":
		v, ok := 0.0, true
		if cv != "" {
			v, ok = t.number("cv", cv, 0, 15)
		}
		if v > 0 {
			return stretch{law: gamma, shape: float32(min(1/(v*v), 1000))}, ok
		}
		return stretch{}, ok
	case "gamma":
		s.law = gamma
	case "weibull":
		s.law = weibull
	default:
		t.fault("the fit is %.40q; Gamma, Weibull or nothing is expected", name)
		return s, false
	}
	shape, ok := t.number("p1, the shape of the fit,", field("p1"), low, 1000)
	s.shape = float32(shape)
	return s, ok
}

// made is the trace of the rows that were read.
func (t *traceReader) made() (trace, faults) {
	switch {
	case t.plain > 0:
		out := trace{stretches: t.rate, end: time.Duration(t.plain) * time.Second}
		out.sum()
		return out, nil
	case len(t.at) == 0:
		return trace{}, faults{"has no rows; it needs " + traceForms}
	case t.rate == nil:
		return t.log(), nil
	case len(t.at) == 1:
		return trace{}, faults{"has one row; how long a row lasts is seen from two"}
	}
	step := t.step()
	out := trace{stretches: t.rate, end: t.since(len(t.at)-1) + step}
	for i := range out.stretches {
		out.stretches[i].from = t.since(i)
		if t.counts {
			out.stretches[i].rate /= step.Seconds()
		}
	}
	out.sum()
	return out, nil
}

// since is the time of row i since the first.
func (t *traceReader) since(i int) time.Duration {
	return time.Duration(math.Round((t.at[i] - t.at[0]) * float64(time.Second)))
}

// log ends as late as its last request may have come.
func (t *traceReader) log() trace {
	out := trace{times: make([]time.Duration, len(t.at))}
	for i := range t.at {
		out.times[i] = t.since(i)
	}
	if t.whole {
		out.grain = t.unit
	}
	out.end = out.times[len(t.at)-1] + max(out.grain, time.Millisecond)
	return out
}

// step is how long a row lasts: the median of the times between rows. Where rows are missing the rate
// before stands; of counts that is not the count of a longer time.
func (t *traceReader) step() time.Duration {
	var gaps []float64
	for i := 1; i < len(t.at); i++ {
		gaps = append(gaps, t.at[i]-t.at[i-1])
	}
	slices.Sort(gaps)
	return max(time.Duration(math.Round(gaps[len(gaps)/2]*float64(time.Second))), 1)
}
