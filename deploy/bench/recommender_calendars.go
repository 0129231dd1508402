package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"text/tabwriter"

	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/sizing"
)

// calendarScore is how a rule did on one calendar.
type calendarScore struct {
	missed      float64 // minutes of the peak with use above the request
	missedShare float64 // of the peak, percent
	outside     float64 // other minutes with use above it
	peak        float64 // minutes of the peak
	slack       float64 // cores requested and not used, mean
	resizes     float64 // a day
}

// judge scores a rule's requests, one for each sample.
func (c madeCalendar) judge(requests []float64) (s calendarScore) {
	before, n := math.NaN(), 0.0
	for i := c.judged; i < len(requests); i++ {
		used, request := c.series.Used[i], requests[i]
		n++
		if c.peaks[i] {
			s.peak++
		}
		switch over := !(used <= request*(1+1e-9)); {
		case over && c.peaks[i]:
			s.missed++
		case over:
			s.outside++
		}
		s.slack += max(0, request-used)
		if math.Abs(request-before) > 0.01*before {
			s.resizes++
		}
		before = request
	}
	s.slack /= max(n, 1)
	s.missedShare = 100 * s.missed / max(s.peak, 1)
	s.resizes /= max(n, 1) / 1440
	return s
}

// calendarRules are ours with 4 and with 24 changes a day in the zone of the calendar, and those of others.
func calendarRules(c calendarLoad) []replay.Maker {
	return []replay.Maker{
		planned(ours, sizing.Options{Changes: 4, Zone: c.where()}),
		planned("trimtab-24aday-risk-1", sizing.Options{Changes: 24, Zone: c.where()}),
		replay.KRR(), replay.VPA(), replay.VPAHourly(), replay.VPAUpdater(true), replay.Crane(), replay.Attune(),
		replay.P99(), replay.FlatMax(1), replay.Reactive(),
	}
}

// calendars compares the rules on peaks that return.
func (a *advised) calendars() error {
	hard, err := hardCalendars()
	if err != nil {
		return err
	}
	all := append(plainCalendars(), hard...)
	scores := scoresOf(all)
	a.calendarTable(all, scores)
	plain := len(plainCalendars())
	worst, worstHard := worstOf(scores[:plain]), worstOf(scores[plain:])
	of := func(all []calendarScore, figure func(calendarScore) float64) (out []other) {
		for k, m := range calendarRules(calendarLoad{})[1:] {
			out = append(out, other{m.Name, figure(all[k+1])})
		}
		return out
	}
	missed := func(s calendarScore) float64 { return s.missed }
	share := func(s calendarScore) float64 { return s.missedShare }
	slack := func(s calendarScore) float64 { return s.slack }
	return errors.Join(
		a.beside("calendar_missed_minutes", worst[0].missed, "peak minutes in 5 weeks, the worst of 3 calendars", of(worst, missed)...),
		a.beside("calendar_slack_cores", worst[0].slack, "cores requested and not used, the worst of 3 calendars", of(worst, slack)...),
		a.beside("calendar_hard_missed_pct", worstHard[0].missedShare, "% of the peak, the worst of 18", of(worstHard, share)...),
		a.beside("calendar_hard_slack_cores", worstHard[0].slack, "cores requested and not used, the worst of 18", of(worstHard, slack)...),
	)
}

// scoresOf is the scores of each calendar, by rule.
func scoresOf(all []calendarLoad) [][]calendarScore {
	out := make([][]calendarScore, len(all))
	var done sync.WaitGroup
	n := min(runtime.NumCPU(), len(all))
	for k := range n {
		done.Go(func() {
			for i := k; i < len(all); i += n {
				c := all[i].made()
				for _, m := range calendarRules(all[i]) {
					out[i] = append(out[i], c.judge(replay.Run(m, c.series)))
				}
			}
		})
	}
	done.Wait()
	return out
}

// worstOf is, rule by rule and figure by figure, the largest of several calendars.
func worstOf(scores [][]calendarScore) []calendarScore {
	out := make([]calendarScore, len(scores[0]))
	for _, one := range scores {
		for k, s := range one {
			out[k].missed = max(out[k].missed, s.missed)
			out[k].slack = max(out[k].slack, s.slack)
			out[k].missedShare = max(out[k].missedShare, s.missedShare)
		}
	}
	return out
}

func (a *advised) calendarTable(all []calendarLoad, scores [][]calendarScore) {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "calendar\trule\tpeak min\tmissed\t%\telsewhere\tslack cores\tresizes a day\t")
	for i, c := range all {
		for k, m := range calendarRules(c) {
			s := scores[i][k]
			fmt.Fprintf(t, "%s %s\t%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.3f\t%.1f\t\n", c.name, c.variant, m.Name, s.peak, s.missed, s.missedShare, s.outside, s.slack, s.resizes)
		}
	}
	t.Flush()
	for i, c := range all {
		rules := calendarRules(c)
		reactive := scores[i][len(rules)-1]
		if c.variant == movedVariant {
			a.say("%s, moved: trimtab missed %.0f at %.3f cores, reactive %.0f at %.3f", c.name, scores[i][0].missed, scores[i][0].slack, reactive.missed, reactive.slack)
		}
	}
}
