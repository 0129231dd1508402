package recommender

import (
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/recommender/sizing"
)

// Pace is how long an hour of a plan takes. Zero is an hour, as it is in earnest; less is for trials, in which a
// day passes in minutes. The plan, its lead and its changes a day, the replicas foreseen with theirs, and the days of
// memory go by it, and so do the minutes that samples are told apart by until they are counted; the past that
// percentiles and minHistory look at is kept by real minutes. A policy's window, minHistory, staleAfter and cooldown
// are real time.
type Pace time.Duration

// Quickest is the shortest hour.
const Quickest = 10 * time.Second

// Check refuses a pace that cannot be kept: hours are whole seconds from Quickest to one hour, or 0.
func (p Pace) Check() error {
	if d := time.Duration(p); d != 0 && (d < Quickest || d > time.Hour || d%time.Second != 0) {
		return fmt.Errorf("an hour of %s; give whole seconds from %s to 1h", d, Quickest)
	}
	return nil
}

// hour is how many seconds an hour takes.
func (p Pace) hour() int64 {
	if p == 0 {
		return hourSeconds
	}
	return int64(time.Duration(p) / time.Second)
}

const hourSeconds = int64(time.Hour / time.Second)

// planned is when in the plan's time it is at so many unix seconds: both began in 1970.
//
//	hour    3600   20           (an hour is 20 s: 180 times as fast)
//	at      7200   7200
//	        7200   1296000
func (p Pace) planned(at int64) int64 { return at * hourSeconds / p.hour() }

// real is when a time of the plan comes.
func (p Pace) real(t time.Time) time.Time {
	took := t.Unix() * p.hour()
	return time.Unix(took/hourSeconds, took%hourSeconds*int64(time.Second)/hourSeconds).UTC()
}

// steps is a plan's steps in real time. What is given stays as it is.
func (p Pace) steps(planned []sizing.Step) []sizing.Step {
	if p.hour() == hourSeconds {
		return planned
	}
	out := slices.Clone(planned)
	for i := range out {
		out[i].At = p.real(out[i].At)
	}
	return out
}

// minute is a sixtieth of an hour in nanoseconds, of whole seconds as what is kept is told apart by those.
func (p Pace) minute() int64 { return max(1, p.hour()/60) * int64(time.Second) }

// shortened is how long a time of the plan takes, both in nanoseconds.
func (p Pace) shortened(d int64) int64 { return d / hourSeconds * p.hour() }

// lateness is how long after its end a slot still takes samples of slower pods, nanoseconds.
func (p Pace) lateness() int64 { return 2 * p.minute() }
