package scaling

// Season says which calendar a forecast follows.
type Season uint8

// The seasons.
const (
	NoSeason Season = iota // recent windows alone
	Day                    // the same hour of the days before
	Week                   // the same hour of the weeks before
)

// String is none, day or week.
func (s Season) String() string { return [...]string{"none", "day", "week"}[s] }

// Reason says what decided a number of replicas; it is one of a closed set.
type Reason string

// The reasons.
const (
	NoCapacity Reason = "no-capacity"  // no capacity of a replica was measured: the advice is Min, change nothing
	NoRates    Reason = "no-rates"     // no window was seen: the advice is Min, change nothing
	ByForecast Reason = "forecast"     // the cheapest for the rates foreseen
	ByFloor    Reason = "recent-rates" // recent windows alone ask for more than the forecast
	ByHold     Reason = "held"         // one replica fewer was asked for only once
	AtMin      Reason = "min"          // Min is more than is needed
	AtMax      Reason = "max"          // Max is less than is needed
)

// Cost is what an advice is expected to cost for one window, in replica-windows.
type Cost struct {
	Run       float64 // replicas that the rates ask for
	Redundant float64 // replicas kept for a loss, or for Min
	Over      float64 // Risk times the chance that all of them do not suffice
}

// Advice is the replicas for one window and why.
type Advice struct {
	Replicas  int
	Forecast  float64 // requests per second in the middle of what is foreseen
	Low, High float64 // requests per second that 5 % and 95 % of the chances do not exceed
	Reason    Reason
	Season    Season
	Cost      Cost
}

// Replicas is how many replicas should serve the window that begins at at (Unix seconds). The error
// sizes it reckons with are those of the window that is decided now, so it is made for windows up to that one; later ones
// are foreseen by the calendar with the same spread.
func (t *Track) Replicas(at int64) Advice {
	if !t.able() {
		return Advice{Replicas: t.o.Min, Reason: NoCapacity}
	}
	if t.s.Seen == 0 {
		return Advice{Replicas: t.o.Min, Reason: NoRates}
	}
	i := int(t.s.Pick)
	o, ok := t.outlook(i, at)
	a := Advice{Forecast: o.quantile(.5), Low: o.quantile(.05), High: o.quantile(.95), Reason: ByForecast}
	if ok {
		a.Season = ways[i].season
	}
	asked := t.advised(&o)
	if asked > o.cheapest(t.o.Capacity, t.risk(), 1) {
		a.Reason = ByFloor
	}
	if n := t.s.Before.settle(asked); n > asked {
		asked, a.Reason = n, ByHold
	}
	return t.bounded(a, asked, &o)
}

// Usual is the mean rate of the hour of the week that at lies in, as it was in the weeks before, or on the days before
// where that is not known: with the edges of the hour, between which Replicas draws a line. False where neither is known.
func (t *Track) Usual(at int64) (rate float64, ok bool) {
	hour, _ := hourOfWeek(at, t.o.Zone)
	root, ok := t.s.Hours.week(hour)
	if !ok {
		root, ok = t.s.Hours.day(hour)
	}
	return root * root, ok
}

// bounded adds redundancy and keeps the advice between Min and Max.
func (t *Track) bounded(a Advice, asked int, o *outlook) Advice {
	n := asked + t.o.Redundancy
	switch {
	case n < t.o.Min:
		a.Replicas, a.Reason = t.o.Min, AtMin
	case n > t.o.Max:
		a.Replicas, a.Reason = t.o.Max, AtMax
	default:
		a.Replicas = n
	}
	run := min(asked, a.Replicas)
	a.Cost = Cost{
		Run:       float64(run),
		Redundant: float64(a.Replicas - run),
		Over:      t.risk() * o.above(a.Replicas, t.o.Capacity),
	}
	return a
}
