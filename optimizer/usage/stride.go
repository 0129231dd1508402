package usage

// A long read is made of chunks. The first is short, since nobody knows yet how much comes; each later one is as
// long as mostPoints allow by the one before it, but at most strideGrowth times as long.
const (
	firstStride  = 24        // windows
	strideGrowth = 4         // times
	mostPoints   = 2_000_000 // values of all answers of a chunk: some 300 MB with the samples made of them
)

// stride is how many windows are read at once, so that the memory of a read does not grow with the fleet.
type stride struct {
	windows, most int
}

func newStride(most int) stride { return stride{min(firstStride, most), most} }

// took is told how many values some windows gave.
func (s *stride) took(windows, points int) {
	next := strideGrowth * max(1, windows)
	if points > 0 {
		next = min(next, mostPoints*windows/points)
	}
	s.windows = max(1, min(s.most, next))
}

// refused is told that so many windows were too much for the server, which are not asked for again.
func (s *stride) refused(windows int) {
	s.most = max(1, windows/2)
	s.windows = s.most
}
