package sizing

import "math"

const (
	memoryDay  = 86400 // seconds
	memoryMost = 1e18  // bytes; more is no reading

	// DefaultMemoryRisk and DefaultMemoryMargin stand for a zero in MemoryOptions.
	DefaultMemoryRisk   = 7.88
	DefaultMemoryMargin = 0.10
)

// MemoryOptions are what a policy says about the memory of a container.
type MemoryOptions struct {
	Risk    float64 // price of a day with an excess, in days of the request's cost; 0: DefaultMemoryRisk
	Margin  float64 // least spare over the recent peak, as a fraction of it; 0: DefaultMemoryMargin
	Floor   float64 // bytes; no request is smaller
	Limit   float64 // bytes; use cannot exceed it, so no request needs to, but after a kill; 0: none known
	InPlace bool    // requests change without a restart, so that the peak of a start needs no room later
}

func (o MemoryOptions) filled() MemoryOptions {
	if o.Risk == 0 {
		o.Risk = DefaultMemoryRisk
	}
	if o.Margin == 0 {
		o.Margin = DefaultMemoryMargin
	}
	return o
}

// Memory learns the memory request of one container from its use as it passes. It takes at most 450
// bytes and keeps no samples: the peak of each of the last 28 days, of each of the eight weeks before,
// and how steady they were. Every request is the cheapest by an explicit price, see cost, but
// never under the recent peak and a margin, nor under what a kill has shown to be too little.
//
// Times are unix seconds and must not decrease; use is that of the hottest replica, in bytes.
type Memory struct {
	MemoryProfile
	MemoryStanding
}

// MemoryProfile is what was measured of a container's memory, by days in UTC. Its zero value is of nothing.
type MemoryProfile struct {
	first   int64 // of the first sample
	at      int64 // of the last sample; zero: none
	days    memoryDays
	today   memoryToday
	start   memoryStart
	before  float32 // bytes, peak of the day with samples before today
	news    uint32  // how often something happened by which requests are decided anew
	leak    memoryLeak
	leaking bool
	floors  *memoryFloors // nil: no kills
}

// MemoryStanding is what was decided of a container's memory, and by what. Its zero value is of one that nothing was
// decided of.
type MemoryStanding struct {
	o      MemoryOptions
	grown  int64 // when the request last grew, unix seconds
	answer memoryAnswer
	heard  uint32 // MemoryProfile.news of the last decision
}

// NewMemory is a Memory that has seen nothing.
func NewMemory(o MemoryOptions) *Memory {
	return &Memory{MemoryStanding: MemoryStanding{o: o.filled()}}
}

// memoryView is what is decided by.
type memoryView struct {
	*MemoryProfile
	*MemoryStanding
}

func (m *Memory) view() memoryView { return memoryView{&m.MemoryProfile, &m.MemoryStanding} }

// Add takes the highest use of a slot, of the replicas that serve. A reading that is no amount, or older than the
// last, is left out.
func (m *MemoryProfile) Add(at int64, used float64) {
	if !(used >= 0 && used <= memoryMost) || at < m.at || at <= 0 {
		return
	}
	if m.at == 0 || at/memoryDay > m.at/memoryDay {
		m.turn(at)
	}
	m.at = at
	m.leak.add(used)
	m.today.sum += used
	m.today.count++
	m.rise(memoryCeil(used))
}

// rise takes use into the peak of today. The first day has no turn to wait for; and a day that rises above the one
// before is known to be unlike it before it has passed, which is weighed anew every tenth of that peak.
func (m *MemoryProfile) rise(used float32) {
	higher := used > m.today.peak
	if m.days.n == 0 || higher && m.over(used) > m.over(m.today.peak) {
		m.news++
	}
	m.today.peak = max(m.today.peak, used)
}

// over is how many tenths of the peak of the day before use lies above it.
func (m *MemoryProfile) over(used float32) float64 {
	return max(0, math.Floor(10*(float64(used)/float64(max(m.before, 1))-1)))
}

// turn ends the day of the last sample and begins that of at.
func (m *MemoryProfile) turn(at int64) {
	if m.at == 0 {
		m.first = at
	} else {
		m.days.close(m.today)
		m.before = m.today.peak
		m.leak.close()
		m.leaking = m.leak.found()
	}
	m.news++
	m.today = memoryToday{}
}

// midnight is when today began, unix seconds.
func (m *MemoryProfile) midnight() int64 { return m.at / memoryDay * memoryDay }

// elapsed is how much of today has passed at a time, as a fraction.
func (m *MemoryProfile) elapsed(at int64) float64 {
	return max(0, min(1, float64(at-m.midnight())/memoryDay))
}

// OOM takes a kill: at a limit (or at the request, where there is no limit) of so many bytes, more was
// wanted. Image is a hash of what ran. The floor that it leaves decays apart from the use, see Request.
func (m *MemoryProfile) OOM(at int64, limit float64, image uint32) {
	if !(limit >= 0 && limit <= memoryMost) {
		return
	}
	m.floors = m.floors.with(at, max(limit, float64(m.today.peak)), image)
	m.start.image = image
	m.news++
	m.leak, m.leaking = memoryLeak{}, false
}

// memoryCeil is the least float32 that is not below v.
func memoryCeil(v float64) float32 {
	f := float32(v)
	if float64(f) < v {
		f = math.Nextafter32(f, math.MaxFloat32)
	}
	return f
}
