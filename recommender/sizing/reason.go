package sizing

// Reason is why a request is what it is.
type Reason uint8

// The reasons.
const (
	Unknown Reason = iota // too little was measured
	Settled               // the first request, by all that was measured
	Rise                  // grown ahead of an hour that is expected to need it
	Fall                  // shrunk, for the hours ahead need less
	Excess                // grown because use exceeded the request
)

// String is the reason's name in plans and metrics.
func (r Reason) String() string {
	return [...]string{"too-little-history", "settled", "ahead-of-a-rise", "after-a-fall", "use-exceeded"}[min(r, Excess)]
}
