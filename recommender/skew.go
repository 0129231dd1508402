package recommender

import "trimtab.dev/trimtab/optimizer/fleet"

// skewedFrom is how many times the mean of all replicas the hottest one uses before that is told: requests are sized
// for the hottest, so that what skew costs is paid in every replica. A third of it more or less is chance with the
// few requests a second of a small model; the number is a choice of ours.
const skewedFrom = 1.5

// skewed says how far the hottest replica is from the others; empty: not far, or there is one only.
func (d Distribution) skewed() string {
	if d.Pods < 2 || d.Even <= 0 || d.Mean < skewedFrom*d.Even*(1-tolerance) {
		return ""
	}
	return "the hottest replica uses " + decimal(d.Mean/d.Even) + " times the mean of all " + fleet.FormatCores(d.Even)
}

// tellSkew is the step and the words of skew, if there is any.
func (f *fit) tellSkew(d Distribution) {
	if s := d.skewed(); s != "" {
		f.step("cpu", "skew", s+": spread the requests more evenly and every replica may be smaller")
		f.evidence += "; " + s
	}
}
