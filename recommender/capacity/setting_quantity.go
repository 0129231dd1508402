package capacity

import (
	"math/big"
	"strings"
)

// mostDigits keeps a quantity's arithmetic short, whoever wrote it.
const mostDigits = 18

// settingQuantity reads "500m", "1.5" or "256Mi" in parts of one unit, 1000 for thousandths. It is false where
// text is no such number, has a finer part, or is not from least to most.
func settingQuantity(text string, parts, least, most int64, into *int64) bool {
	digits, num, den := text, int64(1), int64(1)
	for _, u := range []struct {
		suffix   string
		num, den int64
	}{
		{"m", 1, 1000}, {"k", 1e3, 1}, {"M", 1e6, 1}, {"G", 1e9, 1}, {"T", 1e12, 1},
		{"Ki", 1 << 10, 1}, {"Mi", 1 << 20, 1}, {"Gi", 1 << 30, 1}, {"Ti", 1 << 40, 1},
	} {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, num, den = rest, u.num, u.den
		}
	}
	if len(digits) > mostDigits || strings.Trim(digits, "0123456789.") != "" || strings.Trim(digits, ".") == "" {
		return false
	}
	value, ok := new(big.Rat).SetString(digits)
	if !ok {
		return false
	}
	value.Mul(value, big.NewRat(num, den)).Mul(value, big.NewRat(parts, 1))
	if !value.IsInt() || value.Cmp(big.NewRat(least, 1)) < 0 || value.Cmp(big.NewRat(most, 1)) > 0 {
		return false
	}
	*into = value.Num().Int64()
	return true
}
