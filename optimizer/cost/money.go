package cost

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Money is an amount of US dollars in millionths; negative where something costs more than it saves.
// In JSON it is that whole number of millionths.
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1_000_000

// Hours that a month and a week are priced at: 730 is 365 days / 12 × 24 h.
const (
	MonthHours = 730
	WeekHours  = 168
)

// String is the amount in dollars and cents for people, rounded half away from zero:
//
//	12_340_000  $12.34      -50_000  -$0.05      1_234_567_890_000  $1,234,567.89
func (m Money) String() string {
	cents := (m.magnitude() + 5_000) / 10_000
	sign := ""
	if m < 0 && cents > 0 {
		sign = "-"
	}
	return fmt.Sprintf("%s$%s.%02d", sign, thousands(cents/100), cents%100)
}

// Exact is the amount with every digit it has, cents at least: "$0.0382", "$3.06". Prices an hour
// are written with it, because their cents say too little.
func (m Money) Exact() string {
	abs, sign := m.magnitude(), ""
	if m < 0 {
		sign = "-"
	}
	digits := fmt.Sprintf("%06d", abs%1_000_000)
	tail := strings.TrimRight(digits[2:], "0")
	return fmt.Sprintf("%s$%s.%s%s", sign, thousands(abs/1_000_000), digits[:2], tail)
}

// Cents is m in whole cents, half a cent away from zero.
func (m Money) Cents() Money {
	const cent = Dollar / 100
	return m.Times(1, int64(cent)) * cent
}

// Times is m × num / den, exact in 128 bits and rounded once, half away from zero. A result that
// no Money can hold is the largest one; den is not 0.
func (m Money) Times(num, den int64) Money {
	hi, lo := bits.Mul64(m.magnitude(), Money(num).magnitude())
	d := Money(den).magnitude()
	abs := uint64(math.MaxInt64)
	if hi < d {
		q, r := bits.Div64(hi, lo, d)
		if r >= d-r && q < math.MaxInt64 {
			q++
		}
		abs = min(q, math.MaxInt64)
	}
	if (m < 0) != (num < 0) != (den < 0) {
		return -Money(abs)
	}
	return Money(abs)
}

func (m Money) magnitude() uint64 {
	if m < 0 {
		return -uint64(m)
	}
	return uint64(m)
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
