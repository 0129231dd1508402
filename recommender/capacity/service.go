package capacity

import (
	"time"

	"trimtab.dev/trimtab/serving/curve"
)

// Service is what answering costs on a server: in batches, by a curve, and beside them. It
// is known from the self-profile before the first request, and better after traffic.
type Service struct {
	Curve      curve.Curve `json:"curve"`                // of one batch in one instance, as its batches follow it under load where that is known
	Published  curve.Curve `json:"published,omitzero"`   // by which the server itself decides, where Curve is another one
	Path       float64     `json:"path"`                 // CPU seconds of one request beside the model: reading, writing, scheduling
	PerBatch   float64     `json:"perBatch,omitempty"`   // CPU seconds of one batch beside the model and Path; 0: not known, as PerBatch says
	PerWake    float64     `json:"perWake,omitempty"`    // CPU seconds that a batch which a timer begins takes more
	Reach      float64     `json:"reach"`                // wall seconds of one request beside waiting and model where nothing else runs; Path is a part of it
	Idle       float64     `json:"idle"`                 // cores that a pod uses without any request
	Memory     int64       `json:"memory"`               // bytes that a pod holds
	MaxBatch   int         `json:"maxBatch,omitempty"`   // rows that the model takes at once; 1: its batch axis is fixed; 0: any number
	Processors int         `json:"processors,omitempty"` // of the machine under a pod, which share what it computes; 0: not known, enough
}

// Slower is the service where computing takes so many times as long: on a slower core, beside a neighbour, or wrongly learnt.
func (s Service) Slower(times float64) Service {
	for _, c := range []*curve.Curve{&s.Curve, &s.Published} {
		c.Wall, c.CPU = c.Wall.Times(times), c.CPU.Times(times)
	}
	s.PerBatch = s.perBatch()
	for _, x := range []*float64{&s.Path, &s.PerBatch, &s.PerWake, &s.Reach, &s.Idle} {
		*x *= times
	}
	return s
}

// Follows is the service of which a server publishes such a curve: batches follow it as they do under load, where that is
// known.
func (s Service) Follows(c curve.Curve) Service {
	s.Curve, s.Published = c.UnderLoad(), curve.Curve{}
	if s.Curve != c {
		s.Published = c
		s.Published.Loaded = curve.Loaded{}
	}
	return s
}

// published is the curve by which the server itself decides.
func (s Service) published() curve.Curve {
	if s.Published.Known() {
		return s.Published
	}
	return s.Curve
}

// Load is what comes to a server, all its replicas together, in a busy minute.
type Load struct {
	Rate        float64 `json:"rate"`                  // requests a second in the busiest minute that is planned for
	Mean        float64 `json:"mean"`                  // requests a second over the whole calendar, by which cost is spread; 0: Rate
	Burst       float64 `json:"burst"`                 // root of variance over mean of the requests in 10 ms: 0 even, 1 Poisson or too few to tell, above 1 bursts
	Peak        float64 `json:"peak,omitempty"`        // requests in the busiest second of that minute; 0: what Burst gives
	Rows        float64 `json:"rows"`                  // mean rows of a request; 0: 1
	Interactive float64 `json:"interactive,omitempty"` // share of requests of that priority
	Bulk        float64 `json:"bulk,omitempty"`        // share of requests of priority batch
}

// Setting is one way to run a server.
type Setting struct {
	Batch     int           `json:"batch"`               // most rows in a batch
	Delay     time.Duration `json:"delay"`               // the longest that a row waits for others
	Replicas  int           `json:"replicas"`            // pods
	CPU       int64         `json:"cpu"`                 // millicores that each pod requests
	Limit     int64         `json:"limit,omitempty"`     // millicores that each pod may use; 0: no limit but the node's
	Memory    int64         `json:"memory"`              // bytes that each pod requests
	Instances int           `json:"instances,omitempty"` // batches at once in a pod; 0: as many as whole cores in Limit, at least 1
	Spot      bool          `json:"spot,omitempty"`      // on capacity that may be taken away
}
