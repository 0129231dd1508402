package capacity

import (
	"cmp"
	"math"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Room is what may be chosen. The zero value of a bound leaves that part of a setting as it is.
type Room struct {
	Batches    []int             `json:"batches,omitempty"`  // most rows in a batch, ascending; none: stays
	MaxDelay   time.Duration     `json:"maxDelay,omitempty"` // the longest delay that may be chosen; 0: stays
	Replicas   [2]int            `json:"replicas"`           // least and most; zeros: stays
	CPU        [2]int64          `json:"cpu"`                // millicores of a pod, least and most; zeros: stays
	Memory     [2]int64          `json:"memory"`             // bytes of a pod, least and most; zeros: stays
	Redundancy int               `json:"redundancy"`         // replicas that may be lost in the busiest minute without breaking the SLO
	Margin     float64           `json:"margin"`             // of requested CPU over what is predicted to be used in the busiest minute
	Quota      fleet.Resources   `json:"quota,omitzero"`     // that all pods together may request; zero: no bound
	Nodes      []fleet.Resources `json:"nodes,omitempty"`    // what is free on each node, with what this server's pods hold there; none: no bound
	Cores      int64             `json:"cores"`              // millicores of the largest node: what a pod without a limit may use; 0: not known
	// Refused says why the namespace's own rules would not let the pods be so, in the place of Quota; none: they
	// would. It only looks, and is not remembered. Nil: Quota is all that is known of them.
	Refused func(Setting) []string `json:"-"`
}

// Question is all that a plan follows from.
type Question struct {
	Now         Setting     `json:"now"`
	Service     Service     `json:"service"`
	Load        Load        `json:"load"`
	SLO         fleet.SLO   `json:"slo"`
	Probability float64     `json:"probability"` // with which the SLO is to be kept; 0: 0.95
	Room        Room        `json:"room"`
	Price       Price       `json:"price"`
	Least       int         `json:"least,omitempty"` // the fewest replicas that an autoscaler runs; 0: there is none
	Spot        *Price      `json:"spot,omitempty"`  // of capacity that may be taken away; nil: a pod stays on the capacity that it is on
	Calibration Calibration `json:"calibration"`
}

// Candidate is a setting with what it would do and cost.
type Candidate struct {
	Setting    Setting    `json:"setting"`
	Prediction Prediction `json:"prediction"`
	Degraded   Estimate   `json:"degraded"` // Prediction.Tail with Room.Redundancy replicas lost; without redundancy the same
	Slowed     Slowed     `json:"slowed"`   // the same where computing takes longer than was learnt
	Chance     float64    `json:"chance"`   // that the SLO is kept, with those replicas lost too and at whatever pace computing has
	Month      cost.Money `json:"month"`    // of what all pods request, at Question.Price, or at what Plan.Proxy says
	Unit       UnitCost   `json:"unit"`     // Month over the requests that are answered within the SLO
	Meets      bool       `json:"meets"`
	Why        string     `json:"why,omitempty"` // it does not
}

// Slowed is what becomes of a tail latency where computing takes longer than was learnt.
type Slowed struct {
	Times float64       `json:"times"` // as long as learnt
	Tail  time.Duration `json:"tail"`
	Full  bool          `json:"full,omitempty"` // more comes then than can be answered
}

// Steep is by how many percent a latency rises when computing takes 1 % longer, where it is usual at the pace that was
// learnt: below 1 where it is mostly waiting for others, far above where a pod is nearly full.
func (s Slowed) Steep(usual time.Duration) float64 {
	const most = 10
	switch {
	case s.Full:
		return most
	case !(s.Times > 1) || usual <= 0 || s.Tail <= usual:
		return 0
	}
	return min(most, math.Log(float64(s.Tail)/float64(usual))/math.Log(s.Times))
}

// SlowedBy is what becomes of a setting's tail latency where computing takes so many times as long.
func SlowedBy(times float64, s Service, l Load, at Setting, slo fleet.SLO) Slowed {
	return slowed(times, Predict(s.Slower(times), l, at, slo))
}

// slowed is Slowed by a prediction.
func slowed(times float64, then Prediction) Slowed { return Slowed{times, then.Tail.Value, then.Full} }

// Plan is the answer: what is, what would be best, and what else there is.
type Plan struct {
	SLO          fleet.SLO   `json:"slo"` // that it was made for
	Now          Candidate   `json:"now"`
	Best         Candidate   `json:"best"`            // Now where nothing is better
	Alternatives []Candidate `json:"alternatives"`    // others that keep the SLO, the cheapest first, one for each batch limit and number of replicas
	Frontier     []Candidate `json:"frontier"`        // the cheapest for each latency: dollars against Degraded, the quickest first
	Why          []string    `json:"why"`             // what decided, in words
	Proxy        string      `json:"proxy,omitempty"` // what settings were compared by, where there is no price
	Held         string      `json:"held,omitempty"`  // why there is no plan, and what would have to change
}

const (
	planProbability = 0.95
	// Tie is by how much amounts may differ and still count as the same.
	Tie = 0.01
	// planMemory is requested over the memory that a pod holds.
	planMemory = 0.15
)

// Best finds the cheapest setting that keeps the SLO with the probability asked for, in the busiest
// minute and with the replicas lost that may be lost. Delays are parts of
// the SLO, finer below the first that is too long. Of settings within 1 % of the cheapest the one with the
// fewest changes is taken, then the quickest, then the one with the smallest batch and delay.
func Best(q Question) Plan { return best(q, learned(q)) }

// Try is one setting under the same question: what-if. It is taken as it is given, whatever the room, but
// Why says every bound that it breaks. A CPU or memory of 0 is sized by the rule of the plan; replicas or a
// batch of 0 are those that are in force.
func Try(q Question, at Setting) Candidate { return newPlanner(q, learned(q)).try(at).Candidate }

// oracle is what a plan asks about settings.
type oracle struct {
	predict func(Service, Load, Setting, fleet.SLO) Prediction
	chance  func(predicted, most time.Duration) float64
	pace    float64 // as Calibration.Pace
}

// learned asks the capacity model and what was learnt about it.
func learned(q Question) oracle {
	return oracle{Predict, q.Calibration.Chance, q.Calibration.Pace()}
}

// best is Best with another oracle.
func best(q Question, o oracle) Plan {
	p := newPlanner(q, o)
	plan := Plan{SLO: p.SLO, Proxy: p.proxy}
	if plan.Held = p.unknown(); plan.Held != "" {
		plan.Now = Candidate{Setting: q.Now, Month: p.month(q.Now)}
		plan.Best = plan.Now
		return plan
	}
	s := newPlanSearch(p)
	plan.Now = s.pool[0].Candidate
	if plan.Held = p.narrow(); plan.Held != "" {
		plan.Best = plan.Now
		return plan
	}
	chosen, ok := s.cheapest()
	if !ok {
		chosen = s.closest()
		plan.Held = s.stuck(chosen)
	}
	if ok {
		chosen = s.finer(chosen)
	}
	s.neighbours(chosen)
	s.ladder()
	if again, better := s.chosen(); better {
		chosen, plan.Held = again, "" // what was looked at for other questions may have answered this one
	}
	plan.Best = chosen.Candidate
	plan.Alternatives = s.alternatives(chosen)
	plan.Frontier = s.frontier()
	plan.Why = s.why(chosen)
	return plan
}

// planner is a question with its gaps filled, and what was predicted for it so far.
type planner struct {
	Question
	oracle
	proxy   string
	follows bool    // a pod's limit is its request
	use     float64 // cores of a pod as it is now
	memo    map[pacedSetting]Prediction
	denied  map[Setting][]string // what Room.Refused said, by what is requested
	spent   int                  // predictions that were simulated
}

// pacedSetting is a setting where computing takes so many times as long as learnt.
type pacedSetting struct {
	Setting
	times float64
}

func newPlanner(q Question, o oracle) *planner {
	q.Probability = cmp.Or(q.Probability, planProbability)
	q.Load.Mean = cmp.Or(q.Load.Mean, q.Load.Rate)
	q.Now.Replicas, q.Now.Batch = max(1, q.Now.Replicas), max(1, q.Now.Batch)
	p := &planner{Question: q, oracle: o, memo: map[pacedSetting]Prediction{}}
	p.follows = q.Now.Limit > 0 && q.Now.Limit == q.Now.CPU
	p.Price, p.proxy = orProxy(q.Price)
	if q.Spot != nil {
		spot, proxy := orProxy(*q.Spot)
		if p.Spot = &spot; proxy != "" || p.proxy != "" {
			p.Spot = nil // without both prices nobody knows what is saved
		}
	}
	if q.Service.Curve.Known() && q.Load.Rate > 0 {
		p.use = p.predict(q.Now).Cores / float64(q.Now.Replicas)
	}
	return p
}

// predict is what a setting does where computing takes as long as learnt.
func (p *planner) predict(at Setting) Prediction { return p.paced(at, 1) }

// paced asks the oracle once for settings that differ only in what is requested.
func (p *planner) paced(at Setting, times float64) Prediction {
	at.CPU, at.Memory, at.Spot = 0, 0, false
	if at.Limit == 0 {
		at.Limit = p.Room.Cores
	}
	key := pacedSetting{at, times}
	known, ok := p.memo[key]
	if !ok {
		known = p.oracle.predict(p.Service.Slower(times), p.Load, at, p.SLO)
		p.memo[key] = known
		if !known.Closed {
			p.spent++
		}
	}
	return known
}
