package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// liveReplay is a slice of a trace and how fast it is replayed.
type liveReplay struct {
	file         string
	from, length time.Duration // in the trace's own time
	busiest      time.Duration // when its busiest row begins
	speed, peak  float64       // of the trace's time in one second; requests in the busiest second
	kind, about  string
}

// liveTrace is the recorded trace of a folder that is replayed, and how much faster than it was recorded: a day
// of a production model pool in 24 minutes. (Of the others, m-mid's records lack the hour after its peak.)
const (
	liveTrace = "servegen_m-small_total.csv.gz"
	liveSpeed = 60
)

// findTrace takes the trace that was asked for, or makes one up.
func (l *live) findTrace() (liveReplay, error) {
	if l.traces == "" {
		return l.madeUp()
	}
	file := l.traces
	for _, in := range []string{liveTrace, filepath.Join("requests", liveTrace)} {
		if name := filepath.Join(l.traces, in); exists(name) {
			file = name
		}
	}
	rows, err := readRates(file)
	if err != nil {
		return liveReplay{}, fmt.Errorf("trace %s: %w", file, err)
	}
	r := sliceOf(rows, time.Duration(l.minutes)*time.Minute*liveSpeed)
	r.file, r.speed, r.peak, r.kind = file, liveSpeed, livePeak, "recorded trace"
	if l.from != "" {
		if r.from, err = time.ParseDuration(l.from); err != nil {
			return r, fmt.Errorf("the begin %q is no time like 13h", l.from)
		}
	}
	r.about = fmt.Sprintf("the recorded trace %s from %s on, %d times as fast, its busiest window %g requests/s", filepath.Base(file), r.from, liveSpeed, livePeak)
	return r, nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// rateRow is a time of the trace and how much came from then on, in whatever unit.
type rateRow struct {
	at   time.Duration
	rate float64
}

// readRates reads the first two columns of a CSV with a header, plain or gzip.
func readRates(file string) ([]rateRow, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var text io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if text, err = gzip.NewReader(f); err != nil {
			return nil, err
		}
	}
	lines := bufio.NewScanner(text)
	lines.Scan() // the header
	var rows []rateRow
	for n := 2; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %d has one column; a series of t and a rate or count is needed here", n)
		}
		at, err := strconv.ParseFloat(fields[0], 64)
		rate, err2 := strconv.ParseFloat(fields[1], 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rows = append(rows, rateRow{time.Duration(at * float64(time.Second)), rate})
	}
	if len(rows) < 2 {
		return nil, errors.New("it has fewer than two rows")
	}
	begin := rows[0].at
	for i := range rows {
		rows[i].at -= begin
	}
	return rows, lines.Err()
}

// beforePeak is how much of a slice comes before its busiest row: little, as in minutes no daemon can learn
// a day's calendar, and what is chosen before the peak says nothing about what is chosen for it.
const beforePeak = 0.15

// sliceOf is a part of that length around the busiest row, within the trace.
func sliceOf(rows []rateRow, length time.Duration) liveReplay {
	r := liveReplay{length: length}
	most := math.Inf(-1)
	for _, row := range rows {
		if row.rate > most {
			most, r.busiest = row.rate, row.at
		}
	}
	last := rows[len(rows)-1].at
	r.from = max(0, min(r.busiest-time.Duration(beforePeak*float64(length)), last-length))
	return r
}

// shorter is the part of the slice around the peak that takes so long to replay.
func (r liveReplay) shorter(took time.Duration) liveReplay {
	r.length = time.Duration(float64(took) * r.speed)
	r.from = max(r.from, r.busiest-r.length/4)
	return r
}

const madeUpStep = 5 * time.Second

// madeUp writes a trace for machines without recorded ones: one day's curve as long as an arm, with its
// peak early, its trough at 0.4 of that, and two bursts of 20 seconds to 1.6 times the rate.
func (l *live) madeUp() (liveReplay, error) {
	length := time.Duration(l.minutes) * time.Minute
	var rows []rateRow
	text := "t,req_per_s\n"
	for at := time.Duration(0); at < length; at += madeUpStep {
		rows = append(rows, rateRow{at, madeUpShare(at, length)})
		text += fmt.Sprintf("%g,%.3f\n", at.Seconds(), 100*rows[len(rows)-1].rate)
	}
	r := sliceOf(rows, length)
	r.file, r.speed, r.peak, r.kind, r.from = l.file("made-up.csv"), 1, livePeak, "MADE-UP trace", 0
	r.about = fmt.Sprintf("a MADE-UP trace (a day's curve and two bursts; give --traces FOLDER for a recorded one), its busiest window %g requests/s", livePeak)
	return r, os.WriteFile(r.file, []byte(text), 0o644)
}

func madeUpShare(at, length time.Duration) float64 {
	turn := at.Seconds()/length.Seconds() - beforePeak
	share := 0.4 + 0.6*(1+math.Cos(2*math.Pi*turn))/2
	for _, burst := range []float64{0.4, 0.8} {
		if since := at - time.Duration(burst*float64(length)); since >= 0 && since < 20*time.Second {
			share *= 1.6
		}
	}
	return share
}
