package cost

import (
	"slices"
	"strings"
)

// Line is an amount together with what it leaves out for want of a price. An empty Unpriced means
// that the amount is whole.
type Line struct {
	Amount   Money    `json:"amount"`             // millionths of a US dollar, of what has a price
	Unpriced []string `json:"unpriced,omitempty"` // what has none, "x9.huge in mars-1"; sorted, none twice
}

// Add is l + o; what either lacks, the sum lacks.
func (l Line) Add(o Line) Line {
	return Line{Amount: l.Amount + o.Amount, Unpriced: union(l.Unpriced, o.Unpriced)}
}

// Sub is l - o; what either lacks, the difference lacks, even where both lack the same: a saving
// between two unknown prices is not known to be zero.
func (l Line) Sub(o Line) Line {
	return Line{Amount: l.Amount - o.Amount, Unpriced: union(l.Unpriced, o.Unpriced)}
}

// Cents is the line in whole cents. What is shown is also what is added up and subtracted, so that every sum and
// difference is right to the reader who checks it.
func (l Line) Cents() Line {
	l.Amount = l.Amount.Cents()
	return l
}

// String is the line for people: "$12.34", "unpriced (no price for x9.huge in mars-1)", or
// "$12.34 and unpriced (no price for x9.huge in mars-1)" where a part is known.
func (l Line) String() string {
	if len(l.Unpriced) == 0 {
		return l.Amount.String()
	}
	s := "unpriced (no price for " + strings.Join(l.Unpriced, ", ") + ")"
	if l.Amount == 0 {
		return s
	}
	return l.Amount.String() + " and " + s
}

// union is every name of a and b, sorted, none twice; nothing is nil.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
