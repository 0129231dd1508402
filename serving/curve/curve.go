// Package curve fits what a batch costs, in wall and in CPU seconds, to the number of its rows.
//
// It is arithmetic on values: it reads no clock and runs no model. Whoever runs batches adds what each
// took; batchers, optimizers and people read the lines.
package curve

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Form is the shape of a line.
type Form uint8

// The forms. The zero value is Linear. Wall and CPU of a Curve have the first two: who reads it may be older than who
// publishes it, and knows no others. Loaded may have all.
const (
	Linear   Form = iota // Fixed + PerRow*rows: the fixed part is paid first, as when weights do not fit a cache
	Hinge                // max(Fixed, PerRow*rows): the fixed part hides the first rows, as when weights stream while rows are computed
	Doubling             // Fixed + PerRow*log2(rows), where PerRow is at most Fixed: rows share more the more they are, as in a cold cache
)

var forms = [...]string{Linear: "linear", Hinge: "hinge", Doubling: "doubling"}

// String is the form's name: "linear", "hinge" or "doubling".
func (f Form) String() string { return forms[f] }

// MarshalText writes the form's name.
func (f Form) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads a form's name.
func (f *Form) UnmarshalText(text []byte) error {
	i := slices.Index(forms[:], string(text))
	if i < 0 {
		return fmt.Errorf("curve form %q; linear, hinge or doubling", text)
	}
	*f = Form(i)
	return nil
}

// Line is seconds against rows. Neither of its numbers is below 0.
type Line struct {
	Form   Form    `json:"form"`
	Fixed  float64 `json:"fixed_seconds"`
	PerRow float64 `json:"per_row_seconds"`
	Bends  Bends   `json:"bends,omitzero"` // of lines of Loaded only
}

// At is the seconds of a batch of rows rows. For 700 us + 85 us*b, for max(50 us, 12 us*b) and for 170 us + 120 us*log2(b):
//
//	rows  linear   hinge   doubling
//	1      785 us   50 us  170 us
//	4     1040 us   50 us  410 us
//	10    1550 us  120 us  569 us
func (l Line) At(rows float64) float64 {
	if l.Bends[0] != 0 {
		return l.straight(rows) * l.Bends.at(rows)
	}
	return l.straight(rows)
}

// straight is At without bends.
func (l *Line) straight(rows float64) float64 {
	switch l.Form {
	case Hinge:
		return max(l.Fixed, l.PerRow*rows)
	case Doubling:
		return l.Fixed + l.PerRow*math.Log2(max(1, rows))
	}
	return l.Fixed + l.PerRow*rows
}

// Times is the line of as many batches of the same rows, one after the other.
func (l Line) Times(n float64) Line {
	l.Fixed, l.PerRow = n*l.Fixed, n*l.PerRow
	return l
}

// Within is the most rows that take at most seconds, at most limit and at least 0, by a line without bends.
func (l Line) Within(seconds float64, limit int) int {
	if l.At(float64(limit)) <= seconds {
		return limit
	}
	if l.Form != Linear && seconds < l.Fixed {
		return 0
	}
	// PerRow is above 0 here, or At(limit) would be Fixed. The small part is for rounding: 10 rows of
	// 0.1 s are 10 rows in 1 s.
	const more = 1 + 1e-12
	rows := seconds / l.PerRow
	switch l.Form {
	case Linear:
		rows = (seconds - l.Fixed) / l.PerRow
	case Doubling:
		rows = math.Exp2((seconds - l.Fixed) / l.PerRow)
	}
	return min(limit, max(0, int(rows*more)))
}

// Curve is the fit at one moment. The zero Curve is no curve. As JSON it has only numbers in seconds.
type Curve struct {
	Wall    Line      `json:"wall"`
	CPU     Line      `json:"cpu"`
	Error   float64   `json:"error"`        // median relative error of Wall on the samples: 0.05 is 5 %
	Samples int       `json:"samples"`      // batches seen
	Updated time.Time `json:"updated"`      // when the newest of them was
	Largest int       `json:"largest_rows"` // rows of the largest batch seen; beyond it the lines are a guess
	Spread  Spread    `json:"spread,omitzero"`
	Loaded  Loaded    `json:"loaded,omitzero"` // what batches take under the load that there is
}

// Known reports whether there is a curve.
func (c Curve) Known() bool { return c.Samples > 0 }

// Gain is the CPU of a row alone divided by the CPU of a row in a batch of rows rows: 1 where batching
// saves nothing, or nothing is known.
func (c Curve) Gain(rows int) float64 {
	alone, shared := c.CPU.At(1), c.CPU.At(float64(rows))/float64(max(rows, 1))
	if rows < 1 || !(alone > 0) || !(shared > 0) {
		return 1
	}
	return alone / shared
}

// Enough is the smallest batch whose CPU per row is within share of that of the best batch up to limit,
// where each batch costs overhead seconds beside its line: waiting for more rows saves less than share.
// For 700 us + 85 us*b, an overhead of 30 us and a share of 0.05: a row of 64 costs 730/64 + 85 = 96.4 us,
// 5 % more is 101.2 us, and 730/16.2 is 45.
func (c Curve) Enough(limit int, overhead, share float64) int {
	limit = max(limit, 1)
	row := func(rows int) float64 { return (c.CPU.At(float64(rows)) + overhead) / float64(rows) }
	most := row(limit) * (1 + share)
	low, high := 1, limit // a row never gets dearer in a larger batch, so that halving finds the place
	for low < high {
		if middle := (low + high) / 2; row(middle) <= most {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}
