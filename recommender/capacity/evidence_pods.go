package capacity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"trimtab.dev/trimtab/serving/curve"
)

// Account is what one pod says of the speed of its model, and of what comes.
type Account struct {
	Curve     curve.Curve `json:"curve"`          // without samples: it does not say
	Instances int         `json:"instances"`      // batches at once
	MaxBatch  int         `json:"max_batch_rows"` // as in Service
	Arrivals  Arrivals    `json:"arrivals"`
}

// Arrivals is how requests came to one pod in the last seconds, up to a minute.
type Arrivals struct {
	Seconds float64 `json:"seconds"` // that it is of; 0: it does not say
	Rate    float64 `json:"rate"`    // requests a second
	Burst   float64 `json:"burst"`   // as in Load
	Peak    float64 `json:"peak"`    // requests in the busiest second
	// BySecond is the requests of each second, the oldest first, and Until is when the last of them ended by
	// the pod's clock, in seconds of Unix time. None: an older server, which does not say.
	BySecond    []float64 `json:"by_second"`
	Until       float64   `json:"until"`
	Rows        float64   `json:"rows"` // mean of a request
	Interactive float64   `json:"interactive"`
	Bulk        float64   `json:"bulk"`
}

// ParseAccount reads a server's answer to GET /v2/models/NAME/curve. What cannot be counted with is an
// error; whether its numbers can be true is for Evidence.Check.
func ParseAccount(body []byte) (Account, error) {
	a := Account{Arrivals: Arrivals{Burst: 1}}
	if err := json.Unmarshal(body, &a); err != nil {
		return Account{}, fmt.Errorf("parse its curve: %w", err)
	}
	c := a.Arrivals
	for _, v := range append([]float64{c.Seconds, c.Rate, c.Burst, c.Peak, c.Rows, c.Interactive, c.Bulk, c.Until}, c.BySecond...) {
		if !(v >= 0 && v <= 1<<53) {
			return Account{}, fmt.Errorf("parse its curve: its arrivals have %v in them", v)
		}
	}
	if a.Instances < 0 || a.MaxBatch < 0 || a.Curve.Samples < 0 {
		return Account{}, fmt.Errorf("parse its curve: %d instances, %d rows at most, %d samples", a.Instances, a.MaxBatch, a.Curve.Samples)
	}
	return a, nil
}

// fewestSeconds is over how long a pod must have counted what came for its rate to say something.
const fewestSeconds = 10

// Together puts into evidence what the pods of a server say. The curve is that of the pod in the middle, by
// what a batch of the window's mean size takes; odd is the places of the pods that are far from it, as one
// with a noisy neighbour is.
func (e Evidence) Together(pods []Account) (all Evidence, odd []int) {
	e.Arrivals = cameTo(pods)
	for _, p := range pods {
		e.Instances, e.MaxBatch = max(e.Instances, p.Instances), max(e.MaxBatch, p.MaxBatch)
	}
	e.Curve, odd = typical(pods, e.Window)
	return e, odd
}

// cameTo adds up what the pods say came to them. The dispersion is that of pods which know nothing of each
// other: variances add up, so that its square is the mean of theirs, weighted by rate. A stream with a
// dispersion c that is spread by chance over n pods has less in each, 1 + (c²-1)/n squared, but to take c back
// from that would also multiply the clumps that one pod gets and the service does not, from a client that
// keeps a connection for some requests. Too little here shows in the window by which every step is judged;
// too much would make every plan a wrong one.
//
//	2 pods of 10 a second with 1.5, 1 of 20 with 1: the root of (20 x 2.25 + 20 x 1)/40, 1.27
func cameTo(pods []Account) Load {
	var l Load
	square := 0.0
	for _, p := range pods {
		a := p.Arrivals
		if a.Seconds < fewestSeconds {
			return Load{}
		}
		l.Rate += a.Rate
		square += a.Rate * a.Burst * a.Burst
		l.Rows += a.Rate * a.Rows
		l.Interactive += a.Rate * a.Interactive
		l.Bulk += a.Rate * a.Bulk
	}
	if l.Rate <= 0 {
		return Load{}
	}
	l.Peak = busiestSecond(pods)
	l.Burst = math.Sqrt(square / l.Rate)
	l.Rows, l.Interactive, l.Bulk = l.Rows/l.Rate, l.Interactive/l.Rate, l.Bulk/l.Rate
	return l
}

// busiestSecond is the most requests that came to the pods together in a second that all of them tell. Where
// there are too few such, it is as if chance alone had made one pod's second busier than another's: what the
// busiest seconds have above the rates adds up as deviations do.
//
//	4 pods of 25 a second, 37 in the busiest: 100 + 2 x 12 = 124, not 4 x 37 = 148
func busiestSecond(pods []Account) float64 {
	if sums := bySecond(pods); len(sums) >= fewestSeconds {
		return slices.Max(sums)
	}
	rate, square := 0.0, 0.0
	for _, p := range pods {
		above := max(0, p.Arrivals.Peak-p.Arrivals.Rate)
		rate += p.Arrivals.Rate
		square += above * above
	}
	return rate + math.Sqrt(square)
}

// bySecond adds up what the pods, one at least, say of the same seconds; those that one of them does not tell
// are left out. A pod's seconds are counted from its own start: each is taken for the second of Unix time that
// is nearest by its clock.
func bySecond(pods []Account) []float64 {
	begin, end := math.Inf(-1), math.Inf(1)
	for _, p := range pods {
		until := math.Round(p.Arrivals.Until)
		begin, end = max(begin, until-float64(len(p.Arrivals.BySecond))), min(end, until)
	}
	if begin >= end {
		return nil
	}
	sums := make([]float64, int(end-begin))
	for _, p := range pods {
		told := p.Arrivals.BySecond
		late := int(math.Round(p.Arrivals.Until) - end) // seconds that it tells and others do not yet
		told = told[len(told)-late-len(sums) : len(told)-late]
		for i, n := range told {
			sums[i] += n
		}
	}
	return sums
}

// strange is by how much a pod's batches must take more or less than those of the others to be named.
const strange = 0.25

// typical is the curve of the pod in the middle and the places of those that are far from it. Where pods that are not
// have computed requests enough to tell what those take, it is the middle one of them.
func typical(pods []Account, w Window) (c curve.Curve, odd []int) {
	rows := 1.0
	if w.Batches > 0 {
		rows = max(1, float64(w.Rows)/float64(w.Batches))
	}
	var known []int
	for i, p := range pods {
		if p.Curve.Known() {
			known = append(known, i)
		}
	}
	if len(known) == 0 {
		return curve.Curve{}, nil
	}
	takes := func(i int) float64 { return pods[i].Curve.Wall.At(rows) }
	sorted := slices.Clone(known)
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(takes(a), takes(b)) })
	middle := sorted[(len(sorted)-1)/2]
	far := func(i int) bool { return math.Abs(takes(i)-takes(middle)) > strange*takes(middle) }
	for _, i := range known {
		if far(i) {
			odd = append(odd, i)
		}
	}
	tell := slices.DeleteFunc(sorted, func(i int) bool { return far(i) || pods[i].Curve.Loaded == curve.Loaded{} })
	if len(tell) > 0 {
		return pods[tell[(len(tell)-1)/2]].Curve, odd
	}
	return pods[middle].Curve, odd
}
