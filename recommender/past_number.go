package recommender

import (
	"math"
	"sort"
)

// A decimal is an amount in five digits and a power of ten, in 24 bits: a round number is kept as it is, any other to
// 0.005 %. 0 is 0, and so is what is below 1e-12.
const (
	digits      = 90_000 // of 10,000 to 99,999
	leastPower  = -16
	mostPower   = 26
	decimalMost = (mostPower - leastPower + 1) * digits
)

func decimalOf(v float64) uint32 {
	if !(v >= 1e-12) {
		return 0
	}
	power := int(math.Floor(math.Log10(v))) - 4
	m := math.Round(scaled(v, -power))
	if m >= 100_000 {
		m, power = 10_000, power+1
	}
	if power > mostPower {
		return decimalMost
	}
	return uint32(max(m, 10_000)) - 10_000 + digits*uint32(max(power, leastPower)-leastPower) + 1
}

func amountOf(code uint32) float64 {
	if code == 0 {
		return 0
	}
	code--
	return scaled(float64(10_000+code%digits), int(code/digits)+leastPower)
}

// scaled is v times ten to a power; a division where that is exact.
func scaled(v float64, power int) float64 {
	if power < 0 {
		return v / math.Pow10(-power)
	}
	return v * math.Pow10(power)
}

// tails is the shares of time that a byte can tell apart: 2 % from each to the next down to a fiftieth, then 12 %.
//
//	byte   0    35   117    198     255
//	share  1   0.5  0.099  0.0198   3.1e-5
var tails = func() (shares [256]float64) {
	share := 1.0
	for i := range shares {
		shares[i] = share
		if share > 0.02 {
			share /= 1.02
			continue
		}
		share /= 1.12
	}
	return shares
}()

// tailOf is the byte of the smallest share that is not below t.
func tailOf(t float64) byte {
	t *= 1 - tolerance
	return byte(max(sort.Search(len(tails), func(i int) bool { return tails[i] < t })-1, 0))
}
