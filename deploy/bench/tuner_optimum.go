package main

import (
	"errors"
	"math"
	"slices"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/recommender/capacity"
)

// What is paid for the cores that are used and the memory that is held, a month: a c5.xlarge on demand at
// $0.17 an hour is $124.10 for 4 cores and 8 GiB; with a core at the price of 7 GiB that is 36 GiB.
const (
	gibMonth  = 124.10 / 36
	coreMonth = 7 * gibMonth
)

// found is what a search found in a scenario: an index of its points, or -1, and how many it had measured.
type found struct {
	at       int
	measured int
	beyond   place // instead of a point: a setting that is not on the grid
}

// nothing tells that a search found no setting.
func (f found) nothing() bool { return f.at < 0 && f.beyond == (place{}) }

// place is the setting that was found.
func (f found) place() place {
	if f.at < 0 {
		return f.beyond
	}
	return grid()[f.at]
}

// foundAt is a setting as found, on the grid or beyond it.
func foundAt(p place) found {
	if at := slices.Index(grid(), p); at >= 0 {
		return found{at: at}
	}
	return found{at: -1, beyond: p}
}

// searched is a scenario with what each search found.
type searched struct {
	scenario
	points     []outcome
	best, hill found
	plans
	again map[place]outcome // of the settings that were chosen, what they did when they ran again
}

// plans are what the plan chooses from each look at a scenario.
type plans struct {
	free []found // as the daemon plans: any delay, by the curves that servers published, with the usual probability of keeping the SLO
	told []found // the same among the points of the grid
	sure []found // as told, by windows instead of the curves
	even []found // as told, with an even chance of keeping the SLO, as the best of a sweep has
}

// optimum compares what the plan chooses, from one look and the core's pace in earlier windows, with the best of the sweep.
func (t *tuner) optimum() error {
	if err := t.run(); err != nil {
		return err
	}
	err := t.again()
	all := t.searches(t.latest.usual)
	printSearched(all)
	return errors.Join(err, t.optimumFigures(all))
}

// searches are what each way finds in every scenario, where costs are those on a core of such a pace.
func (t *tuner) searches(usual standard) (all []searched) {
	n, outcomes := len(grid()), t.outcomesAt(usual)
	t.choose()
	for i, s := range t.sweep {
		one := searched{scenario: s, points: outcomes[i*n : (i+1)*n], again: t.ranAgain(i, usual)}
		one.best = found{at: cheapest(one.points, s), measured: n}
		one.plans = t.chosen[i]
		one.hill = climb(grid(), func(at int) (float64, bool) { return one.points[at].rank(s) })
		all = append(all, one)
	}
	return all
}

// choose makes the plans, once: what they are judged by does not change them.
func (t *tuner) choose() {
	for i := len(t.chosen); i < len(t.sweep); i++ {
		var all plans
		for k := range t.looks {
			all.free = append(all.free, t.free(i, t.told[k]))
			all.sure = append(all.sure, t.planned(i, t.looks[k], 0))
			all.told = append(all.told, t.planned(i, t.told[k], 0))
			all.even = append(all.even, t.planned(i, t.told[k], 0.5))
		}
		t.chosen = append(t.chosen, all)
	}
}

// overs are the costs over the best, %, at most brokenCost, of what was chosen where anything keeps its SLO.
func overs(all []searched, of func(searched) []found) (costs []float64) {
	for _, s := range all {
		if s.best.at < 0 {
			continue
		}
		for _, p := range of(s) {
			costs = append(costs, min(100*s.over(p), brokenCost))
		}
	}
	return costs
}

func planOf(s searched) []found { return s.free }
func hillOf(s searched) []found { return []found{s.hill} }

// month is what a point costs at the core's usual pace, in dollars.
func (o outcome) month() float64 { return o.costing(o.Used) }

// costing is what the point costs a month if it uses so many cores.
func (o outcome) costing(cores float64) float64 { return cores*coreMonth + o.Memory/(1<<30)*gibMonth }

// keeps tells whether a point keeps the promise as measured, whether or not its queue has come to rest in the window.
func (o outcome) keeps(s scenario) bool { return o.Bad < mostBad && o.P99 <= s.SLO.Seconds() }

// rank orders points for a search: by cost where the promise is kept, else by latency, and then false.
func (o outcome) rank(s scenario) (float64, bool) {
	if o.keeps(s) {
		return o.month(), true
	}
	return o.P99, false
}

// better compares ranks.
func better(a float64, aKeeps bool, b float64, bKeeps bool) bool {
	if aKeeps != bKeeps {
		return aKeeps
	}
	return a < b
}

// cheapest is the best point as measured; -1 where none keeps the promise.
func cheapest(points []outcome, s scenario) int {
	best := -1
	for i, p := range points {
		if p.keeps(s) && (best < 0 || p.month() < points[best].month()) {
			best = i
		}
	}
	return best
}

// question is what the plan is asked of a scenario by what is known, for a server with such a limit.
func (t *tuner) question(i int, k knowledge, cores float64) capacity.Question {
	at := place{Batch: largest, Cores: cores}.setting()
	known := k.of(i, 1)
	at.Memory = known.Memory
	var room capacity.Room
	for _, p := range grid() {
		room.Batches, room.MaxDelay = append(room.Batches, p.Batch), max(room.MaxDelay, p.Delay)
	}
	slices.Sort(room.Batches)
	room.Batches = slices.Compact(room.Batches)
	room.Replicas, room.CPU, room.Cores = [2]int{1, 1}, [2]int64{10, at.CPU}, at.CPU
	return capacity.Question{
		Now: at, Service: known, Load: t.sweep[i].load(), SLO: t.sweep[i].promise(), Room: room,
		Calibration: k.records[i],
		Price:       capacity.Price{Core: money(coreMonth), GiB: money(gibMonth)},
	}
}

func money(dollars float64) cost.Money {
	return cost.Money(math.Round(dollars * float64(cost.Dollar)))
}

// planned is the plan's choice among the points of the grid: of those that it thinks keep the promise with
// a probability, 0 for the usual, the one that it thinks uses the fewest cores; where there are none, the likeliest.
func (t *tuner) planned(i int, k knowledge, probability float64) found {
	var seen []capacity.Candidate
	for _, p := range grid() {
		q := t.question(i, k, p.Cores)
		q.Probability = probability
		seen = append(seen, capacity.Try(q, p.setting()))
	}
	return found{at: chosen(seen)}
}

// free is the plan's choice as the daemon makes it, which may take any delay: the best of those for each limit of the grid.
func (t *tuner) free(i int, k knowledge) found {
	limits := coresOf(grid())
	var seen []capacity.Candidate
	for _, cores := range limits {
		q := t.question(i, k, cores)
		if q.Now.Limit > 0 {
			q.Now.CPU = q.Room.CPU[0] // the limit stays where it is, and does not follow the request
		}
		seen = append(seen, capacity.Best(q).Best)
	}
	at := chosen(seen)
	p := place{seen[at].Setting.Batch, seen[at].Setting.Delay, limits[at]}
	if p.Batch == 1 {
		p.Delay = grid()[0].Delay // it waits for nobody
	}
	return foundAt(p)
}

// coresOf are the limits that points have, ascending.
func coresOf(points []place) (all []float64) {
	for _, p := range points {
		all = append(all, p.Cores)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// chosen is the candidate that a plan takes, by the plan's own rule: among those whose cores differ by no more than a
// tie the quickest.
func chosen(all []capacity.Candidate) int {
	rank := func(c capacity.Candidate) (float64, bool) {
		if c.Meets {
			return c.Prediction.Cores, true
		}
		return -c.Chance, false
	}
	best := 0
	for i, c := range all {
		a, aMeets := rank(c)
		b, bMeets := rank(all[best])
		if better(a, aMeets, b, bMeets) {
			best = i
		}
	}
	most, keeps := rank(all[best])
	for i, c := range all {
		if keeps && c.Meets && c.Prediction.Cores <= most*(1+capacity.Tie) && c.Prediction.P99.Value < all[best].Prediction.P99.Value {
			best = i
		}
	}
	return best
}

// climb is hill climbing as Triton's Model Analyzer does in its quick search: from the smallest setting it
// measures the neighbours, one step up or down in one coordinate each, goes to the best of them, and ends
// where none is better. Steps go along the values of the grid. rank is a measurement.
func climb(points []place, rank func(int) (float64, bool)) found {
	measured := map[int]bool{0: true}
	for at := 0; ; {
		best := at
		for _, i := range neighbours(points, at) {
			measured[i] = true
			a, aKeeps := rank(i)
			if b, bKeeps := rank(best); better(a, aKeeps, b, bKeeps) {
				best = i
			}
		}
		if best == at {
			return found{at: at, measured: len(measured)}
		}
		at = best
	}
}

// neighbours are the points that differ from one in a single coordinate, by one step. Without batches there
// is the least delay only.
func neighbours(points []place, of int) []int {
	var all []int
	axes := axesOf(points)
	for i, p := range points {
		a, b := axes(points[of]), axes(p)
		steps := 0
		for k := range a {
			steps += max(a[k]-b[k], b[k]-a[k])
		}
		if steps == 1 {
			all = append(all, i)
		}
	}
	return all
}

// axesOf gives the coordinates of a point as places among the values that there are.
func axesOf(points []place) func(place) [3]int {
	var values [3][]int64
	raw := func(p place) [3]int64 { return [3]int64{int64(p.Batch), int64(p.Delay), int64(1000 * p.Cores)} }
	for _, p := range points {
		for k, v := range raw(p) {
			values[k] = append(values[k], v)
		}
	}
	for k := range values {
		slices.Sort(values[k])
		values[k] = slices.Compact(values[k])
	}
	return func(p place) (at [3]int) {
		for k, v := range raw(p) {
			at[k], _ = slices.BinarySearch(values[k], v)
		}
		return at
	}
}

// over is how much more than the best a choice costs as measured, as a share; infinite where it does not
// keep the promise though something does.
func (s searched) over(f found) float64 {
	switch {
	case s.best.at < 0:
		return 0 // nothing keeps it: no choice is wrong
	case f.at < 0 || !s.points[f.at].keeps(s.scenario):
		return math.Inf(1)
	}
	return s.points[f.at].month()/s.points[s.best.at].month() - 1
}
