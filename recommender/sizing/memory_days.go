package sizing

import "math"

const (
	memoryRecentDays = 28 // daily peaks kept
	memoryOldWeeks   = 8  // weekly peaks kept of the time before them

	memoryHalfLife  = 10   // days in which a day's weight in the forecast halves
	memoryLingers   = 0.1  // weight of a day that never fades: of an old week, of which the highest is kept, too
	memoryRestPeaky = 0.15 // change from day to day that is expected for each unit of ln(peak / mean use)
	memoryUsual     = 2    // days in which the mean use forgets half
)

// memoryToday is the day that has not ended.
type memoryToday struct {
	sum   float64 // bytes, of the samples
	count uint32
	peak  float32 // bytes
}

// memoryDays keeps the logarithms of the peaks of days that had samples. A day without samples is no
// day: a container that slept for a month has its last month before it.
type memoryDays struct {
	daily  [memoryRecentDays]memoryLn // newest first
	weekly [memoryOldWeeks]memoryLn   // newest first
	week   memoryLn                   // peak of the week that fills up with what leaves daily
	mean   float32                    // bytes, mean use of a day, decayed
	weight float32                    // of mean, in days
	n      uint8                      // days in daily
	weeks  uint8                      // weeks in weekly
	filled uint8                      // days in week
}

// memoryFading is the weight of a day by its age in days, newest first.
var memoryFading = func() (w [memoryRecentDays + 1]float64) {
	for age := range w {
		w[age] = math.Exp2(-float64(age)/memoryHalfLife) + memoryLingers
	}
	return w
}()

// close takes a day that has ended.
func (d *memoryDays) close(t memoryToday) {
	if t.count == 0 {
		return
	}
	if d.n == memoryRecentDays {
		d.retire(d.daily[d.n-1])
	}
	copy(d.daily[1:], d.daily[:])
	d.daily[0] = memoryLnOf(float64(t.peak))
	d.n = min(d.n+1, memoryRecentDays)
	keep := float32(math.Exp2(-1. / memoryUsual))
	d.mean = d.mean*keep + float32(t.sum/float64(t.count))
	d.weight = d.weight*keep + 1
}

// retire hands a day's peak to its week.
func (d *memoryDays) retire(peak memoryLn) {
	if d.week = max(d.week, peak); d.filled < 6 {
		d.filled++
		return
	}
	copy(d.weekly[1:], d.weekly[:])
	d.weekly[0] = d.week
	d.weeks = min(d.weeks+1, memoryOldWeeks)
	d.week, d.filled = 0, 0
}

// restless is the mean change of the peak from a day to the next, as a logarithm: 0.1 is ten percent.
// It begins with what the days themselves suggest, by ln(peak / mean use), which weighs as much as one
// change that was seen.
func (d *memoryDays) restless(peaky float64) float64 {
	sum := memoryRestPeaky * peaky
	for i := 1; i < int(d.n); i++ {
		sum += math.Abs(d.daily[i-1].ln() - d.daily[i].ln())
	}
	return sum / max(float64(d.n), 1)
}

// usual is the mean use, today's counted by how much of it has passed, in bytes; at least one.
func (d *memoryDays) usual(t memoryToday, elapsed float64) float64 {
	sum, weight := float64(d.mean), float64(d.weight)
	if t.count > 0 {
		sum += elapsed * t.sum / float64(t.count)
		weight += elapsed
	}
	return max(sum/max(weight, 1e-9), 1)
}

// memoryLn is the logarithm of an amount in bytes, of one where it is less, in steps of memoryLnStep, rounded up: a peak
// is taken to be up to 0.067 % more.
type memoryLn uint16

const memoryLnStep = 1. / 1500 // memoryMost is 62,170 of them

func memoryLnOf(bytes float64) memoryLn { return memoryLnUp(math.Log(max(bytes, 1))) }

// memoryLnUp is the least that is not below ln but for what a single precision lacks.
func memoryLnUp(ln float64) memoryLn { return memoryLn(math.Ceil(ln/memoryLnStep - 0.01)) }

func (l memoryLn) ln() float64 { return float64(l) * memoryLnStep }
