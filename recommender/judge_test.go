package recommender

import (
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Recommend is what the rules recommend and hold of a workload that no plan stands of yet.
func Recommend(w fleet.Workload, h *History, o Options, now time.Time) ([]Recommendation, []fleet.Hold) {
	j := Judge(w, h, NewPlans(), o, now)
	return j.Recommendations, j.Holds
}

// Fine is the rules that found nothing to change in such a workload.
func Fine(w fleet.Workload, h *History, o Options, now time.Time) []Finding {
	return Judge(w, h, NewPlans(), o, now).Fine
}
