package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// Requests a second of a diurnal day: a peak of six hours, and next to nothing else.
const (
	diurnalPeak = 120.0
	diurnalIdle = 6.0
	peakBegins  = 8 // hours of the day
	peakEnds    = 14
)

// rateAt is the load in an hour since the first midnight.
func rateAt(hour int) float64 {
	if h := hour % dayHours; h >= peakBegins && h < peakEnds {
		return diurnalPeak
	}
	return diurnalIdle
}

// rise is a peak: when it begins, and when it is over.
type rise struct{ at, until time.Time }

// rises are the peaks that begin within a part of the days, of which hour from began at begun.
func rises(begun time.Time, hour time.Duration, from, until int) (out []rise) {
	at := func(h int) time.Time { return begun.Add(time.Duration(h-from) * hour) }
	for h := from + 1; h < until; h++ {
		if rateAt(h) > rateAt(h-1) {
			out = append(out, rise{at: at(h)})
		}
		if n := len(out); n > 0 && out[n-1].until.IsZero() && (h+1 == until || rateAt(h+1) < rateAt(h)) {
			out[n-1].until = at(h + 1)
		}
	}
	return out
}

// traceOf writes a part of the days as rates, an hour a row, after so much idle time.
func traceOf(hour, idle time.Duration, from, until int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "t,req_per_s\n0,%g\n", diurnalIdle)
	for h := from; h < until; h++ {
		fmt.Fprintf(&b, "%g,%g\n", (idle + time.Duration(h-from)*hour).Seconds(), rateAt(h))
	}
	return b.String()
}

// passed is a part of the days as both servers had it.
type passed struct {
	begun       time.Time // of hour from
	from, until int
	hour        time.Duration
	reports     map[string]loadReport
}

func (p passed) end() time.Time { return p.begun.Add(time.Duration(p.until-p.from) * p.hour) }

// replay sends a part of the days to both servers, with the same times of all requests. Where the hour that it
// begins with has passed, it begins with the next one that has not: a day stays a day. Until then they are idle.
func (d *diurnal) replay(ctx context.Context, from, until int) (passed, error) {
	now := time.Now()
	p := passed{from: max(from, hoursUntil(d.midnight, now.Add(startsWithin), d.hour)), until: until, hour: d.hour}
	if p.from >= until {
		return p, fmt.Errorf("hours %d to %d have passed before they began: this machine is too busy", from, until)
	}
	p.begun = d.midnight.Add(time.Duration(p.from) * d.hour)
	file := d.live.file("diurnal.csv")
	if err := os.WriteFile(file, []byte(traceOf(d.hour, p.begun.Sub(now), p.from, until)), 0o644); err != nil {
		return p, err
	}
	d.say("hours %d to %d, from %s to %s", p.from, until, p.begun.Format("15:04:05"), p.end().Format("15:04:05"))
	length := p.end().Sub(now).Round(time.Millisecond)
	var err error
	p.reports, err = both(func(server string) (loadReport, error) {
		return d.live.loadOn(ctx, server, "--trace", file, "--for", length.String(), "--every", d.hour.String())
	})
	p.begun = p.reports[byPlan].Begun.Add(p.begun.Sub(now)) // it took a moment to start
	return p, err
}

// startsWithin is how long the generators take to start.
const startsWithin = time.Second

// hoursUntil is how many hours after one time the first begins that is not before another.
func hoursUntil(begun, t time.Time, hour time.Duration) int {
	return int((t.Sub(begun) + hour - 1) / hour)
}

// hourAfter is when the next hour of the plan begins: both count from 1970.
func hourAfter(t time.Time, hour time.Duration) time.Time {
	return time.Unix(0, 0).Add(time.Duration(hoursUntil(time.Unix(0, 0), t, hour)) * hour)
}

// calibrate is how many cores the peak takes.
func (d *diurnal) calibrate(ctx context.Context) (float64, error) {
	file := d.live.file("peak.csv")
	if err := os.WriteFile(file, fmt.Appendf(nil, "t,req_per_s\n0,%g\n10,%[1]g\n", diurnalPeak), 0o644); err != nil {
		return 0, err
	}
	p, err := d.live.trying(ctx, func() (loadReport, error) {
		return d.live.loadOn(ctx, byPeak, "--trace", file, "--for", "20s", "--every", "20s")
	})
	return p.cores, err
}
