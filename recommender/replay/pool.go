package replay

import "slices"

// Scored is how a rule did on one series, with what is needed to pool it.
type Scored struct {
	ID, Class string
	Cluster   int // series of the same cluster move together; see Clusters
	Scores    Scores
}

// Measures are the four figures that rules are compared by. For all of them less is better, though not all at once.
type Measures struct {
	Over  float64 `json:"over"`  // share of samples above the request
	Ratio float64 `json:"ratio"` // request ÷ granted; 0: a grant is unknown
	Unmet float64 `json:"unmet"` // use above the request ÷ all use
	Slack float64 `json:"slack"` // of a series the mean of 1 - use÷request; pooled, the share of the requests that was not used
}

// Summary is how a rule did on many series of one unit.
type Summary struct {
	Name   string `json:"name"`   // the rule's, or in Classes the class
	Series int    `json:"series"` // with at least 100 scored samples; the others are left out
	// Mean is over series, Pooled over all their samples (so that a large series counts more), and Worst the
	// mean over the tenth of the series that is worst by that figure.
	Mean   Measures `json:"mean"`
	Pooled Measures `json:"pooled"`
	Worst  Measures `json:"worst"`
	// The 95 % interval of Mean and Pooled, by drawing whole clusters again and again; zero in Classes.
	MeanLow    Measures `json:"meanLow"`
	MeanHigh   Measures `json:"meanHigh"`
	PooledLow  Measures `json:"pooledLow"`
	PooledHigh Measures `json:"pooledHigh"`

	Resizes       float64   `json:"resizesAWeek"`     // a week, mean over series
	MostResizes   float64   `json:"mostResizesAWeek"` // a week, of the series with the most
	ExcessDays    float64   `json:"excessDays"`       // days with an excess ÷ days, pooled
	MissedMinutes float64   `json:"missedMinutes"`    // summed over series, as are those below
	PeakMinutes   float64   `json:"peakMinutes"`
	PeakMissed    float64   `json:"peakMissedMinutes"`
	Request       float64   `json:"request"`        // mean request, in the unit
	SlackUse      float64   `json:"unused"`         // mean of what was requested and not used, in the unit
	Cost          int64     `json:"costAWeek"`      // millionths of a dollar a week
	Without       int       `json:"withoutRequest"` // samples without a request that would have counted
	Classes       []Summary `json:"classes,omitempty"`
}

// leastScored is how many scored samples a series needs to be pooled.
const leastScored = 100

// Pool sums a rule up over series of one unit, in their order.
func Pool(name string, all []Scored) Summary {
	all = slices.DeleteFunc(slices.Clone(all), func(s Scored) bool { return s.Scores.Samples < leastScored })
	out := summary(name, all)
	out.intervals(all)
	for _, class := range classes(all) {
		of := slices.DeleteFunc(slices.Clone(all), func(s Scored) bool { return s.Class != class })
		out.Classes = append(out.Classes, summary(class, of))
	}
	return out
}

// classes are the classes that occur, sorted.
func classes(all []Scored) []string {
	var out []string
	for _, s := range all {
		out = append(out, s.Class)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func summary(name string, all []Scored) Summary {
	out := Summary{Name: name, Series: len(all), Mean: means(all), Pooled: pooled(all), Worst: worst(all)}
	days, excess := 0, 0
	for _, s := range all {
		days += s.Scores.Days
		excess += s.Scores.Excess
		out.add(s.Scores)
	}
	out.ExcessDays = ratio(float64(excess), float64(days))
	out.Resizes = ratio(out.Resizes, float64(len(all)))
	return out
}

func (s *Summary) add(one Scores) {
	s.Resizes += one.ResizesAWeek()
	s.MostResizes = max(s.MostResizes, one.ResizesAWeek())
	s.MissedMinutes += one.MissedMinutes
	s.PeakMinutes += one.PeakMinutes
	s.PeakMissed += one.PeakMissed
	s.Request += one.Request
	s.SlackUse += one.SlackUse
	s.Cost += one.Cost
	s.Without += one.Without
}

func measures(s Scores) Measures { return Measures{s.Over, s.Ratio, s.Unmet, s.Slack} }

// each gives the result of f for every measure.
func (m Measures) each(of Measures, f func(a, b float64) float64) Measures {
	return Measures{f(m.Over, of.Over), f(m.Ratio, of.Ratio), f(m.Unmet, of.Unmet), f(m.Slack, of.Slack)}
}

func add(a, b float64) float64 { return a + b }

// means is over series. The ratio is 0 as soon as one grant is unknown.
func means(all []Scored) Measures {
	var sum Measures
	known := true
	for _, s := range all {
		sum = sum.each(measures(s.Scores), add)
		known = known && s.Scores.sums.granted > 0
	}
	return perSeries(sum, len(all), known)
}

func perSeries(sum Measures, n int, known bool) Measures {
	if n == 0 {
		return Measures{}
	}
	out := sum.each(Measures{}, func(a, _ float64) float64 { return a / float64(n) })
	if !known {
		out.Ratio = 0
	}
	return out
}

func pooled(all []Scored) Measures {
	var p pool
	for _, s := range all {
		p.add(s.Scores)
	}
	return p.measures()
}

// pool is the samples of several series taken together.
type pool struct {
	sums          sums
	over, samples float64
	blind         bool // a grant is unknown
}

func (p *pool) add(s Scores) {
	p.sums.request += s.sums.request
	p.sums.used += s.sums.used
	p.sums.above += s.sums.above
	p.sums.idle += s.sums.idle
	p.sums.granted += s.sums.granted
	p.over += s.Over * float64(s.Samples)
	p.samples += float64(s.Samples)
	p.blind = p.blind || s.sums.granted == 0
}

func (p *pool) measures() Measures {
	out := Measures{
		Over: ratio(p.over, p.samples), Ratio: ratio(p.sums.request, p.sums.granted),
		Unmet: ratio(p.sums.above, p.sums.used), Slack: ratio(p.sums.idle, p.sums.request),
	}
	if p.blind {
		out.Ratio = 0
	}
	return out
}

// worst is, figure by figure, the mean over the tenth of the series where it is largest, at least one.
func worst(all []Scored) Measures {
	of := func(figure func(Measures) float64) float64 {
		values := make([]float64, len(all))
		for i, s := range all {
			values[i] = figure(measures(s.Scores))
		}
		slices.Sort(values)
		tenth, sum := (len(values)+9)/10, 0.0
		for _, v := range values[len(values)-tenth:] {
			sum += v
		}
		return ratio(sum, float64(tenth))
	}
	return Measures{
		Over: of(func(m Measures) float64 { return m.Over }), Ratio: of(func(m Measures) float64 { return m.Ratio }),
		Unmet: of(func(m Measures) float64 { return m.Unmet }), Slack: of(func(m Measures) float64 { return m.Slack }),
	}
}
