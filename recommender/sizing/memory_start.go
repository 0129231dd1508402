package sizing

const (
	memoryLoading = 600 // seconds after a start in which others are part of it
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

// Started marks a start of every replica, after which use begins anew. Image is a hash of what was started; an OOM
// floor counts in full for the image that was killed only.
func (m *MemoryProfile) Started(at int64, image uint32) {
	if at < m.start.at || at <= 0 {
		return
	}
	m.start.begin(at, image)
	m.news++
	m.leak, m.leaking = memoryLeak{}, false
}

// Load takes the highest use of the replicas that are in their first minutes, which is kept apart from that of
// those that serve. Times may be a little older than those of Add.
func (m *MemoryProfile) Load(at int64, used float64, image uint32) {
	if !(used >= 0 && used <= memoryMost) || at <= 0 {
		return
	}
	m.start.begin(at, image)
	if peak := memoryCeil(used); peak > m.start.peak {
		m.start.peak = peak
		m.news++
	}
}

// begin marks a start, unless one is going on.
func (s *memoryStart) begin(at int64, image uint32) {
	s.image = image
	if s.at != 0 && at < s.at+memoryLoading {
		return
	}
	s.earlier = max(s.peak, s.earlier*memoryFaded)
	s.peak, s.at = 0, at
}

// load is what a start is expected to take, in bytes.
func (s *memoryStart) load() float64 { return float64(max(s.peak, s.earlier*memoryFaded)) }

// Loaded tells whether it is known what a start takes.
func (m *MemoryProfile) Loaded() bool { return m.start.load() > 0 }
