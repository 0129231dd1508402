package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"time"
)

// mostRate is the most requests a second that load sends.
const mostRate = 1e5

// replayOptions are the flags of load that say what of a trace is sent, and how fast.
type replayOptions struct {
	file               string  // empty: no trace
	speed, scale, peak float64 // 0: not given
	from, length       time.Duration
	repeat             bool
}

func (o *replayOptions) settings(s *settings) {
	s.add("trace", "", "", "file of recorded traffic to replay in place of a rate; see below for its forms", o.trace)
	s.add("speed", "", "", "seconds of the trace in one second (1); 60 plays a minute a second, and sends 60 times the rate", number(&o.speed, 1e6))
	s.add("scale", "", "", "requests to send for each of the trace (1)", number(&o.scale, 1e6))
	s.add("peak", "", "", "requests in the busiest second, in place of --scale: the trace is scaled to it", number(&o.peak, mostRate))
	s.add("from", "", "", "begin so far into the trace, in its own time, like 24h (0s)", span(&o.from, 0))
	s.add("for", "", "", "replay so much of it, in its own time (all that is left)", span(&o.length, time.Millisecond))
	s.toggle("repeat", "begin the trace again at its end, until --duration or a signal", &o.repeat)
}

// trace refuses an empty name: without a trace a rate is sent, which nobody who names one means.
func (o *replayOptions) trace(name string) error {
	if name == "" {
		return errors.New("names no file; is a variable unset? Name one, or leave --trace out to send a rate")
	}
	o.file = name
	return nil
}

// replayHelp tells of the files that --trace takes.
const replayHelp = `
--trace takes these files, plain or gzip; t counts in seconds, from anywhere:
  t,req_per_s[,cv,fit,p1,p2]  rates. Gaps vary as the fit says (Gamma or Weibull with shape p1), or by cv, or by chance
  t,requests                  counts (or value, or count); by chance within a row, which lasts as most rows do
  one number on each line     counts of one second each
  t_ms,... or t,a,b,...       a log, a row for each request; only the time is used
The total line ends with asked=: how many requests the trace gives for the time replayed. By chance a few more or
fewer are sent; many fewer mean that the generator or the server (--max-inflight) could not keep up.
`

// check are the faults of these flags among themselves and with those of a rate.
func (o *replayOptions) check(l *loadOptions) (bad faults) {
	if o.file == "" {
		if o.speed > 0 || o.scale > 0 || o.peak > 0 || o.from > 0 || o.length > 0 || o.repeat {
			bad = append(bad, "--speed, --scale, --peak, --from, --for and --repeat are of a trace; give one with --trace")
		}
		return bad
	}
	if l.rate > 0 || l.poisson || l.day.period > 0 {
		bad = append(bad, "--trace has its own rate; leave out --rate (or RATE), --poisson and --diurnal (or DIURNAL)")
	}
	if o.scale > 0 && o.peak > 0 {
		bad = append(bad, "--scale and --peak both say how much of the trace is sent; give one")
	}
	return bad
}

// replay is a trace as it is sent.
type replay struct {
	trace
	speed, scale float64
	most         float64 // requests in the busiest second of the replay
	repeat       bool
}

// open reads the trace and cuts it; nil without --trace.
func (o *replayOptions) open() (*replay, faults) {
	if o.file == "" {
		return nil, nil
	}
	t, bad := readTraceFile(o.file)
	for i := range bad {
		bad[i] = fmt.Sprintf("--trace: %s: %s", o.file, bad[i])
	}
	if len(bad) > 0 {
		return nil, bad
	}
	if o.from >= t.end {
		return nil, faults{fmt.Sprintf("--from: %s is beyond the trace's end; %s is %s long", o.from, o.file, t.end)}
	}
	r := &replay{trace: t.cut(o.from, o.length), speed: o.speed, scale: o.scale, repeat: o.repeat}
	if r.speed == 0 {
		r.speed = 1
	}
	return r, r.fit(o.peak)
}

// fit scales the trace to peak requests in its busiest second, if peak is above 0, and refuses what cannot be sent.
func (r *replay) fit(peak float64) faults {
	busiest := r.busiest(time.Duration(r.speed * float64(time.Second)))
	if busiest == 0 {
		return faults{"--trace: no request comes in this part of it; try another --from or --for"}
	}
	switch {
	case peak > 0:
		r.scale = peak / busiest
	case r.scale == 0:
		r.scale = 1
	}
	if r.most = busiest * r.scale; r.most > mostRate*(1+1e-9) {
		return faults{fmt.Sprintf("--trace: its busiest second asks for %.4g requests, more than %.0f; try a lower --scale or --speed, or --peak", r.most, mostRate)}
	}
	if all := r.requests(r.end) * r.scale; all < 1 {
		return faults{fmt.Sprintf("--trace: this part of it asks for %.2g requests in all; try a higher --scale or a longer --for", all)}
	}
	return nil
}

func readTraceFile(name string) (trace, faults) {
	f, err := os.Open(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return trace{}, faults{err.Error()}
	}
	defer f.Close()
	return readTrace(f)
}

// times gives when each request is meant to be sent, and at last the end; the same seed gives the same times.
func (r *replay) times(begun time.Time, seed uint64) func() (time.Time, bool) {
	p := &player{trace: r.trace, scale: r.scale, repeat: r.repeat, chance: rand.New(rand.NewPCG(seed, 3))}
	return func() (time.Time, bool) {
		at, ok := p.next()
		return begun.Add(r.real(at)), ok
	}
}

// real is how long a time of the trace takes, at most centuries.
func (r *replay) real(d time.Duration) time.Duration {
	return time.Duration(min(float64(d)/r.speed, 1<<62))
}

// asked is how many requests the trace gives for so much time of the replay.
func (r *replay) asked(took time.Duration) float64 {
	at := took.Seconds() * r.speed
	rounds := 0.0
	if end := r.end.Seconds(); r.repeat {
		rounds = math.Floor(at / end)
		at -= rounds * end
	} else {
		at = min(at, end)
	}
	return r.scale * (rounds*r.requests(r.end) + r.requests(time.Duration(at*float64(time.Second))))
}

// String says what will be sent.
func (r *replay) String() string {
	rows := "rates"
	if len(r.trace.times) > 0 {
		rows = "a log"
	}
	return fmt.Sprintf("%s of %s, replayed in %s: %.0f requests, %.4g in the busiest second",
		rows, r.end.Round(time.Millisecond), r.real(r.end).Round(time.Millisecond), r.requests(r.end)*r.scale, r.most)
}
