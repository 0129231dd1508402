package sizing

const (
	memoryLows       = 8    // days of lows kept
	memoryLeakDays   = 6    // fewest lows that can show a leak
	memoryLeakGrowth = 0.05 // share of the first low by which the last must exceed it
	memoryLeakOnward = 0.25 // share of the mean growth that the last two days must keep: less is a plateau
)

// memoryLeak tells steady growth from use that comes and goes by the lowest use of each day since the
// last start: load moves the peaks of a day, a leak lifts its floor.
type memoryLeak struct {
	lows  [memoryLows]float32 // bytes, oldest first
	n     uint8
	today float32 // bytes, lowest use of the day so far; zero: none yet
}

func (l *memoryLeak) add(used float64) {
	if v := float32(max(used, 1)); l.today == 0 || v < l.today {
		l.today = v
	}
}

// close ends a day.
func (l *memoryLeak) close() {
	if l.today == 0 {
		return
	}
	if l.n == memoryLows {
		copy(l.lows[:], l.lows[1:])
		l.n--
	}
	l.lows[l.n] = l.today
	l.n++
	l.today = 0
}

// found says whether the lows grow steadily. Of n lows in random order at most n-6 pairs are out of
// order in 1 of 720 cases (n = 6), 7 of 5,040 (7) and 35 of 40,320 (8): Mann's trend test at 0.14 %.
// The growth must also matter and must not have ended in a plateau.
func (l *memoryLeak) found() bool {
	n := int(l.n)
	if n < memoryLeakDays || l.inversions() > n-memoryLeakDays {
		return false
	}
	first, last := float64(l.lows[0]), float64(l.lows[n-1])
	return last-first >= memoryLeakGrowth*first && l.lately() >= memoryLeakOnward*l.slope()
}

// inversions counts the pairs of which the later is not above the earlier.
func (l *memoryLeak) inversions() int {
	count := 0
	for i := range l.n {
		for j := range i {
			if l.lows[i] <= l.lows[j] {
				count++
			}
		}
	}
	return count
}

// slope is the mean growth, in bytes a day.
func (l *memoryLeak) slope() float64 {
	return float64(l.lows[l.n-1]-l.lows[0]) / float64(l.n-1)
}

// lately is the growth of the last two days, in bytes a day.
func (l *memoryLeak) lately() float64 { return float64(l.lows[l.n-1]-l.lows[l.n-3]) / 2 }
