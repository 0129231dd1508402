package capacity

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// stuck says why no setting keeps the SLO, and what would have to change.
func (s *planSearch) stuck(closest judged) string {
	start := fmt.Sprintf("no setting keeps %s <= %s", s.percent(), span(s.SLO.Latency))
	if alone := s.alone(); s.keeps(borne{alone, seconds(alone.Seconds() * slowBy(s.pace))}, s.SLO.Latency) < s.Probability {
		return fmt.Sprintf("%s: a request alone takes %s, most of it the model; raise slo.latency or give a faster node", start, span(alone))
	}
	if j, ok := s.bounded(); ok {
		return fmt.Sprintf("%s within the bounds: %s would, at %s a month, but %s; widen that bound", start, settingWords(j.Setting), j.Month, strings.Join(j.bounds, " and "))
	}
	_, most := s.replicas()
	switch k := s.Room.Redundancy; {
	case k > 0 && !closest.Prediction.Full && s.keeps(s.undegraded(closest).bears(), s.SLO.Latency) >= s.Probability:
		return fmt.Sprintf("%s with %s lost: %s; raise tune.replicas above %d or lower tune.redundancy", start, fleet.Count(k, "replica"), closest.Why, most)
	case closest.full:
		return fmt.Sprintf("%s: %s, even with %s; raise tune.replicas above %d, allow larger batches or give pods more CPU", start, closest.Why, settingWords(closest.Setting), most)
	}
	return fmt.Sprintf("%s: %s comes closest, where %s; raise slo.latency or tune.replicas above %d, or give a faster node", start, settingWords(closest.Setting), closest.Why, most)
}

// undegraded is a candidate with no replica lost.
func (s *planSearch) undegraded(j judged) Candidate {
	return Candidate{Prediction: j.Prediction, Slowed: s.slowed(j.Setting)}
}

// alone is what one request takes where nothing else runs, in one row.
func (s *planSearch) alone() time.Duration {
	return seconds(s.Service.Reach + s.Service.Curve.Wall.At(max(1, s.Load.Rows)))
}

// bounded is the cheapest setting that keeps the promise and breaks only bounds.
func (s *planSearch) bounded() (judged, bool) {
	keep := slices.DeleteFunc(slices.Clone(s.pool), func(j judged) bool { return len(j.misses) > 0 || len(j.bounds) == 0 })
	if len(keep) == 0 {
		return judged{}, false
	}
	return slices.MinFunc(keep, func(a, b judged) int {
		if len(a.bounds) != len(b.bounds) {
			return len(a.bounds) - len(b.bounds)
		}
		return preferred(a, b)
	}), true
}
