package replay

import (
	"math"
	"time"
)

// ScoreOptions say which samples count and what a unit costs.
type ScoreOptions struct {
	Warmup time.Duration // of a series, from its first sample: not scored
	Every  time.Duration // samples are taken into the score by periods of this length,
	Window time.Duration // each only if so long before its begin
	Least  int           // there were so many samples
	Price  int64         // millionths of a dollar for a core-hour or a GiB-hour; 0: unknown
}

// Standard are the options of the published baselines: three days of warm-up, then every day before which 14
// days held at least 100 samples. Price is in millionths of a dollar for a core-hour or a GiB-hour.
func Standard(price int64) ScoreOptions {
	return ScoreOptions{Warmup: 72 * time.Hour, Every: 24 * time.Hour, Window: 14 * 24 * time.Hour, Least: 100, Price: price}
}

// Scores is how one rule did on one series. Shares are of scored samples unless said otherwise.
type Scores struct {
	Samples  int     // scored
	Without  int     // samples left out because the rule had no request yet, though they would count
	Over     float64 // share of samples above the request
	Ratio    float64 // mean request ÷ granted; 0 where the grant is unknown
	Unmet    float64 // use above the request ÷ all use
	Slack    float64 // mean of 1 - use÷request; below 0 where requests were far too small
	Request  float64 // mean request, in the series' unit
	SlackUse float64 // mean of what was requested and not used, in the series' unit
	Resizes  int     // changes of the request by more than 1 %
	Weeks    float64 // from the first to the last scored sample
	Days     int     // days, counted from the series' first sample, that hold a scored sample
	Excess   int     // of them, days with a sample above the request

	MissedMinutes float64 // samples above the request, times the series' step
	PeakMinutes   float64 // samples above half of the largest scored one, times the step
	PeakMissed    float64 // minutes that are both
	Cost          int64   // millionths of a dollar a week for what is requested; 0 without a price

	sums sums
}

// sums are what pooled figures are made of.
type sums struct{ request, used, above, idle, granted float64 }

// ResizesAWeek is 0 where all samples are of one moment.
func (s Scores) ResizesAWeek() float64 {
	if s.Weeks <= 0 {
		return 0
	}
	return float64(s.Resizes) / s.Weeks
}

// Score measures a line, as Run gives it, against the use. Without a scored sample all is zero.
func Score(s Series, line []float64, o ScoreOptions) Scores {
	t := tally{s: s, o: o, day: -1, largest: largest(s, o)}
	step := s.Step().Minutes()
	eachScored(s, o, func(i int) { t.add(i, line[i], step) })
	return t.scores()
}

// eachScored calls visit for every sample that counts, in order of time.
func eachScored(s Series, o ScoreOptions, visit func(i int)) {
	warm, every, span := int64(o.Warmup/time.Second), int64(o.Every/time.Second), int64(o.Window/time.Second)
	counts := false
	next, head := int64(math.MinInt64), 0
	for i, at := range s.At {
		if at >= next {
			edge := at - (at-s.At[0])%every
			next = edge + every
			for s.At[head] < edge-span {
				head++
			}
			counts = edge-s.At[0] >= warm && i-head >= o.Least
		}
		if counts {
			visit(i)
		}
	}
}

func largest(s Series, o ScoreOptions) float64 {
	most := 0.0
	eachScored(s, o, func(i int) { most = max(most, s.Used[i]) })
	return most
}

// tally adds up one line.
type tally struct {
	s       Series
	o       ScoreOptions
	largest float64
	out     Scores
	slack   float64
	over    int
	before  float64 // the request of the sample before
	day     int64
	excess  bool // this day has one
	from    int64
	to      int64
}

func (t *tally) add(i int, request, step float64) {
	if math.IsNaN(request) {
		t.out.Without++
		return
	}
	at, used := t.s.At[i], t.s.Used[i]
	if t.out.Samples == 0 {
		t.from, t.before = at, request
	}
	t.to = at
	t.out.Samples++
	if math.Abs(request-t.before) > 0.01*t.before {
		t.out.Resizes++
		t.before = request
	}
	t.amounts(request, used)
	t.minutes(at, request, used, step)
}

func (t *tally) amounts(request, used float64) {
	t.out.sums.request += request
	t.out.sums.used += used
	t.out.sums.above += max(0, used-request)
	t.out.sums.idle += max(0, request-used)
	t.out.sums.granted += t.s.Granted
	if request > 0 {
		t.slack += 1 - used/request
	}
}

func (t *tally) minutes(at int64, request, used, step float64) {
	if d := (at - t.s.At[0]) / day; d != t.day {
		t.day, t.excess = d, false
		t.out.Days++
	}
	peak := used > t.largest/2
	if peak {
		t.out.PeakMinutes += step
	}
	if used <= request {
		return
	}
	t.over++
	t.out.MissedMinutes += step
	if peak {
		t.out.PeakMissed += step
	}
	if !t.excess {
		t.excess = true
		t.out.Excess++
	}
}

func (t *tally) scores() Scores {
	out, n := t.out, float64(t.out.Samples)
	if n == 0 {
		return out
	}
	out.Over = float64(t.over) / n
	out.Unmet = ratio(out.sums.above, out.sums.used)
	out.Ratio = ratio(out.sums.request, out.sums.granted)
	out.Slack = t.slack / n
	out.Request = out.sums.request / n
	out.SlackUse = out.sums.idle / n
	out.Weeks = float64(t.to-t.from) / (7 * day)
	out.Cost = t.o.weekly(out.Request, t.s.Unit)
	return out
}

// weekly is the price of holding a request for a week, in millionths of a dollar.
func (o ScoreOptions) weekly(request float64, unit string) int64 {
	if unit == Bytes {
		request /= 1 << 30
	}
	return int64(math.Round(request * 168 * float64(o.Price)))
}

// ratio is 0 where there is nothing to divide by.
func ratio(of, by float64) float64 {
	if by <= 0 {
		return 0
	}
	return of / by
}
