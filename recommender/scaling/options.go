package scaling

import (
	"math"
	"time"
)

// Options are what a server's owner says of it. The zero value of every field but Capacity is usable.
type Options struct {
	// Capacity is the requests per second that one replica was measured to answer within its SLO.
	Capacity float64
	// Target is the share of Capacity that the newest window's rate may fill, above 0 and at most 1;
	// 0 means 2/3.
	Target float64
	// Min and Max bound the advice. Min 0 means 1, Max 0 means no bound.
	Min, Max int
	// Redundancy is how many replicas may be lost at once with the rest still enough: 1 is N-1.
	Redundancy int
	// Zone is where the hours of the calendar are read; nil means UTC.
	Zone *time.Location
	// Window is the length of the windows that Add is told of; 0 means 5 minutes.
	Window time.Duration
	// Lead is the time from a decision until a new replica answers requests. It is planned for in
	// whole windows, 3 at most: with a longer lead use longer windows.
	Lead time.Duration
	// Risk is what a window over full capacity costs, in replicas running for a window; 0 means 40.
	// It is for a server of up to 8 replicas and grows with the server above that, so that the
	// share of windows over capacity does not depend on the size of the server.
	Risk float64
}

const (
	defaultTarget = 2. / 3
	defaultWindow = 5 * time.Minute
	defaultRisk   = 40
	longestWindow = 24 * time.Hour
	mostReplicas  = math.MaxUint16 // of any advice
)

// settled is the options with their defaults in place; what makes no sense is put right as well, so that no advice is
// ever NaN.
func (o Options) settled() Options {
	if !(o.Target > 0 && o.Target <= 1) {
		o.Target = defaultTarget
	}
	if o.Window < time.Second || o.Window > longestWindow {
		o.Window = defaultWindow
	}
	if !(o.Risk > 0 && o.Risk <= 1e9) {
		o.Risk = defaultRisk
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	o.Lead = max(o.Lead, 0)
	o.Min = min(max(o.Min, 1), mostReplicas)
	if o.Max < 1 || o.Max > mostReplicas {
		o.Max = mostReplicas
	}
	o.Max = max(o.Max, o.Min)
	o.Redundancy = min(max(o.Redundancy, 0), mostReplicas)
	return o
}

// step is the length of a window in seconds.
func (o Options) step() int64 { return int64(o.Window / time.Second) }

// horizon is how many windows lie between the newest known one and the one that is decided now.
func (o Options) horizon() int {
	lead := min(o.Lead, mostAhead*o.Window)
	return int(min(1+(lead+o.Window-1)/o.Window, mostAhead))
}
