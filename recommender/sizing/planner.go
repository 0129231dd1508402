package sizing

import (
	"time"
)

// horizon is how many slots a plan looks ahead.
const horizon = 24

// Options say what a shortfall and a change are worth and how often requests may change.
type Options struct {
	Zone    *time.Location // whose hours and weekdays count; nil: UTC
	Floor   float64        // cores that are never gone below
	Risk    float64        // price of a shortfall, as a multiple of the usual; 0: 1
	Changes float64        // of the request, a day; 0: 2
	Lead    time.Duration  // by how much growth comes before the hour it is for; 0: 10 minutes
	Warm    time.Duration  // nothing is requested before so much has passed since the first sample; 0: a day
	Flat    bool           // the calendar is not looked at
}

// What the words of a policy's risk are as Options.Risk.
const (
	RiskLow    = 0.3
	RiskNormal = 1.0
	RiskHigh   = 4.0
)

// The usual prices. Reserving a core for an hour costs 1.
const (
	excessPrice = 1.0 // of an hour with an excess, in hours of mean use
	missedPrice = 2.4 // of each core by which its peak exceeds the request
	changePrice = 1.0 // of a change, in hours of mean use
	scarce      = 3.0 // times changePrice where less than one change is left
)

const (
	headroom  = 1.15       // over a use that exceeded the request again, or was cut off
	nearly    = 0.95       // of such a use: hours that came so far are like it
	holdAfter = 3600       // seconds after an excess in which nothing shrinks
	lagging   = 7 * perDay // slots after which a choice's cost counts half
	learning  = 0.1        // how much an hour of mean use that an outlook cost more takes from its trust
	doubt     = 0.02       // share of its first trust that an outlook always has
	bank      = 7          // days for which changes that were not made are kept
)

// prior is how far each outlook is believed before it was tried.
var prior = [outlooks]float64{flat: 0.2, daily: 0.25, weekly: 0.3, recent: 0.25}

// Planner plans requests for any number of tracks. It is not safe for use by several goroutines at once.
type Planner struct {
	o       Options
	odds    odds
	line    line
	days    unpacked
	one     row
	cost    [horizon]row // expected, of each slot ahead
	course  [horizon]row // the cheapest course from each slot on
	clock   clock        // of the slot that is planned for
	clocked int64        // that slot
	trusted [outlooks]float64
	laid    laid // what cost and course are for
	again   bool // the container and the instant are still those of laid
}

// NewPlanner is a planner with options of which the zero ones are filled in.
func NewPlanner(o Options) *Planner {
	if o.Risk == 0 {
		o.Risk = 1
	}
	if o.Changes == 0 {
		o.Changes = 2
	}
	if o.Lead == 0 {
		o.Lead = 10 * time.Minute
	}
	if o.Warm == 0 {
		o.Warm = 24 * time.Hour
	}
	return &Planner{o: o}
}

// Add records use, and answers an excess of the request that the planner holds to be in force. With the first use of
// an hour the request falls, where the plan has it so, but not below that use: a peak may last longer than it did.
func (p *Planner) Add(t *Track, at int64, used float64, limited bool) {
	v := p.view(&t.Profile, &t.Standing, at)
	p.pass(v, at)
	slot, _ := slotOf(at)
	first := v.hours.at(slot) == 0
	if !t.Record(at, used, limited) {
		return
	}
	if limited {
		used *= headroom
	}
	v = p.view(&t.Profile, &t.Standing, at)
	switch r, ok := p.value(v); {
	case ok && used > r:
		p.react(v, at, used)
		v.held = at + holdAfter
	case ok && first:
		p.renew(v, slot, at, p.still(v, at, levelOf(used)))
	}
}

// Request is what to request at an instant, not before the last one: cores; false while too little is known.
// It is taken to be in force from then on.
func (p *Planner) Request(t *Track, at int64) (float64, bool) {
	return p.request(p.view(&t.Profile, &t.Standing, at), at)
}

func (p *Planner) request(t view, at int64) (float64, bool) {
	p.pass(t, at)
	return p.value(t)
}

// value is the request in force.
func (p *Planner) value(t view) (float64, bool) {
	switch {
	case t.level == 0:
		return 0, false
	case t.level <= levelOf(p.o.Floor):
		return p.o.Floor, true
	}
	return worth[t.level], true
}

// pass lets time go on: before the turn of an hour a plan for the hour to come is made, or else at its turn. Requests
// only grow by it.
func (p *Planner) pass(t view, at int64) {
	slot, into := slotOf(at)
	if t.first == 0 {
		return
	}
	if slot > t.turned {
		p.turn(t, slot)
		if t.level == 0 || t.ahead < slot {
			p.renew(t, slot, at, t.level)
		}
	}
	if lead := int64(p.o.Lead / time.Second); into >= slotSeconds-lead && t.ahead <= slot && t.level != 0 {
		t.ahead = slot + 1
		if next := p.plan(t, slot+1, 0); next > t.level {
			p.change(t, next, Rise)
		}
	}
}

// turn lets outlooks pay for each slot that has passed, and choose for the next; what is further back than a
// week is not made up for.
func (p *Planner) turn(t view, slot int64) {
	t.changes = min(t.changes+float32(p.o.Changes*float64(slot-t.turned)/perDay), float32(p.o.Changes*bank))
	if t.turned < slot-lagging {
		t.turned, t.choice = slot-lagging, [outlooks]uint8{}
	}
	for ; t.turned < slot; t.turned++ {
		p.settle(t, t.turned)
		p.await(t, t.turned)
		p.choose(t, t.turned+1)
	}
}

// renew makes the plan with which a slot begins, or goes on, at must at least.
func (p *Planner) renew(t view, slot, at int64, must uint8) {
	if t.level == 0 && at-t.first < int64(p.o.Warm/time.Second) {
		return
	}
	switch next := p.plan(t, slot, must); {
	case t.level == 0:
		t.level, t.reason = next, Settled
	case next < t.level && at >= t.held:
		p.change(t, next, Fall)
	case next > t.level:
		p.change(t, next, Rise)
	}
}

// needed is how many changes must be left for one.
var needed = [...]float32{Fall: 0.5, Rise: 0, Excess: -1}

// change makes another request, where the budget allows it: growth may borrow a change, and one more where use
// exceeds the request already, so that a shrink just before does no harm.
func (p *Planner) change(t view, next uint8, why Reason) {
	if next == t.level || t.changes < needed[why] {
		return
	}
	t.changes--
	t.level, t.reason = next, why
}

// react answers an excess: the cheapest request for the hours in which use came as far as now. Headroom over it is for
// use that goes on growing, which a second excess within the hour tells.
func (p *Planner) react(t view, at int64, used float64) {
	least := levelOf(used)
	if at < t.held {
		least = levelOf(used * headroom)
	}
	near := levelOf(used * nearly)
	for age := int64(1); age < kept; age++ {
		if l := t.peak(t.now - age); l >= near {
			p.odds.add(max(l, least), faded[age/perDay])
		}
	}
	p.odds.add(least, 1)
	sp := p.span(t, least)
	p.one = row{}
	p.odds.priced(&p.one, sp, p.prices(t), 1)
	must := max(sp.cheapest(&p.one, holdAfter/slotSeconds), least, t.level)
	p.change(t, max(p.plan(t, t.now, must), must), Excess)
}
