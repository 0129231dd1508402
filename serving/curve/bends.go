package curve

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bends is what batches of different sizes take of what a line says, where no line goes through them: one row may go another
// way through the kernels than two. They are for 1, 2, 3, 4, 5.5, 7.5, 10.5, 14.5 rows and so on, each the middle of a bucket of the
// Fitter. Between these sizes they lie on straight lines over the logarithm of the rows; the zero Bends bend nothing.
type Bends [buckets]float64

// size is the rows in the middle of a bucket.
func size(bucket int) float64 {
	if bucket < 4 {
		return float64(bucket + 1)
	}
	half := math.Exp2(float64(bucket / 2)) // 4 to 6 rows are bucket 4, 6 to 8 bucket 5
	if bucket%2 == 0 {
		return half*1.25 + 0.5
	}
	return half*1.75 + 0.5
}

var sizes = func() (all [buckets]float64) {
	for i := range all {
		all[i] = size(i)
	}
	return all
}()

// at is the bend at a number of rows.
func (b *Bends) at(rows float64) float64 {
	if rows <= 1 {
		return b[0]
	}
	i := place(int(math.Ceil(rows)))
	if rows < sizes[i] {
		i--
	}
	if i == buckets-1 {
		return b[i]
	}
	part := math.Log(rows/sizes[i]) / math.Log(sizes[i+1]/sizes[i])
	return b[i] + (b[i+1]-b[i])*min(part, 1)
}

// doubtful is of how many batches a mean is believed by half: the rest of it is the line's.
const doubtful = 10

// bends are those of the points from a line. A size between two that are known lies between them, one beyond all as the
// last.
func bends(points []point, l Line) Bends {
	var b Bends
	var known []int
	for _, p := range points {
		i := place(int(math.Round(p.rows)))
		b[i] = 1 + (p.seconds/l.At(p.rows)-1)*p.count/(p.count+doubtful)
		known = append(known, i)
	}
	for i := range b {
		b[i] = between(&b, known, i)
	}
	return b
}

// between is the bend of a bucket by the known ones, which are in order.
func between(b *Bends, known []int, i int) float64 {
	for k, at := range known {
		switch {
		case at == i || at > i && k == 0:
			return b[at]
		case at > i:
			low := known[k-1]
			part := math.Log(sizes[i]/sizes[low]) / math.Log(sizes[at]/sizes[low])
			return b[low] + (b[at]-b[low])*part
		}
	}
	return b[known[len(known)-1]]
}

// MarshalText writes the bends in a row: as JSON a list of so many numbers would take a page.
func (b Bends) MarshalText() ([]byte, error) {
	var text []byte
	for i, v := range b {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendFloat(text, v, 'g', 4, 64)
	}
	return text, nil
}

// UnmarshalText reads them: all of them, or none.
func (b *Bends) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) != buckets && len(fields) != 0 {
		return fmt.Errorf("%d bends of a curve's line; %d", len(fields), buckets)
	}
	*b = Bends{}
	for i, field := range fields {
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return fmt.Errorf("bend %.20q of a curve's line: a number", field)
		}
		b[i] = v
	}
	return nil
}

// Sound reports whether there are no bends, or all can be: above 0, and no more than 1000.
func (b Bends) Sound() bool {
	for _, v := range b {
		if !(v > 0 && v <= 1000) {
			return b == Bends{}
		}
	}
	return true
}
