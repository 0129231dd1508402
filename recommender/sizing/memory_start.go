package sizing

const (
	memoryLoading = 600 // seconds after a start that count as loading a model
	memoryFaded   = 0.9 // what an earlier start's peak weighs at the next one
)

// memoryStart keeps the peaks of starts apart from those of serving: a model that is loaded may take
// twice what it takes when it serves.
type memoryStart struct {
	at      int64   // of the last start; zero: none was seen
	peak    float32 // bytes, of the last start
	earlier float32 // bytes, highest of the starts before it, faded
	image   uint32  // what runs, a hash
}

// Started marks a start of a replica. What is used in the ten minutes after it is counted as loading.
// Image is a hash of what was started; an OOM floor counts in full for the image that was killed only.
func (m *MemoryProfile) Started(at int64, image uint32) {
	s := &m.start
	if at < s.at || at <= 0 {
		return
	}
	s.earlier = max(s.peak, s.earlier*memoryFaded)
	s.peak, s.at, s.image = 0, at, image
	m.news++
	m.leak, m.leaking = memoryLeak{}, false
}

// takes says whether a sample belongs to a start, and keeps its peak if so.
func (s *memoryStart) takes(at int64, used float64) bool {
	if s.at == 0 || at < s.at || at >= s.at+memoryLoading {
		return false
	}
	s.peak = max(s.peak, memoryCeil(used))
	return true
}

// load is what a start is expected to take, in bytes.
func (s *memoryStart) load() float64 { return float64(max(s.peak, s.earlier*memoryFaded)) }
