package fleet

import (
	"math"
	"strconv"
)

// Count is how many there are of something, for people: "1 pod", "2 pods", "0 pods".
func Count[N int | int32 | int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun
}

// The binary units of memory.
const (
	kibi = 1 << 10
	mebi = 1 << 20
	gibi = 1 << 30
	tebi = 1 << 40
)

// FormatCPU writes thousandths of a core for people, as Kubernetes reads it:
// "250m", "1.5", "2". Below one core the unit is the thousandth.
func FormatCPU(milli int64) string {
	if milli > -1000 && milli < 1000 && milli != 0 {
		return strconv.FormatInt(milli, 10) + "m"
	}
	return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64)
}

// FormatCores writes a measured amount of CPU, in cores; below 10m with a tenth, so that little use does not read as
// none.
func FormatCores(cores float64) string {
	if m := cores * 1000; m > 0 && m < 10 {
		return strconv.FormatFloat(math.Max(math.Round(m*10)/10, 0.1), 'f', -1, 64) + "m"
	}
	return FormatCPU(int64(math.Round(cores * 1000)))
}

// FormatMemory writes bytes for people in binary units: exactly where it is a whole number of Mi or
// more ("96Mi", "1536Mi", "2Gi"), else to a tenth of Mi, or of Gi from ten Gi on.
func FormatMemory(bytes int64) string {
	size := max(bytes, -bytes)
	switch {
	case bytes == 0:
		return "0"
	case bytes%tebi == 0:
		return inUnits(bytes, tebi, "Ti")
	case bytes%gibi == 0:
		return inUnits(bytes, gibi, "Gi")
	case bytes%mebi == 0:
		return inUnits(bytes, mebi, "Mi")
	case size >= 10*gibi:
		return inUnits(bytes, gibi, "Gi")
	case size >= mebi:
		return inUnits(bytes, mebi, "Mi")
	case bytes%kibi == 0:
		return inUnits(bytes, kibi, "Ki")
	}
	return strconv.FormatInt(bytes, 10)
}

func inUnits(n, unit int64, suffix string) string {
	if n%unit == 0 {
		return strconv.FormatInt(n/unit, 10) + suffix
	}
	return strconv.FormatFloat(float64(n)/float64(unit), 'f', 1, 64) + suffix
}
