package serving

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

const maxDepth = 8 // of nested arrays

var errMixed = errors.New("tensor data is ragged: numbers and arrays side by side")

// tensor is a JSON array of numbers, nested to one depth: its dims and its values, row by row.
type tensor struct {
	dims     []int
	values   []float32
	integers bool // no value had a point or an exponent
}

// UnmarshalJSON reads the array. It does without reflection: a tensor is nearly the whole of a
// request, and number by number encoding/json is several times slower.
func (t *tensor) UnmarshalJSON(text []byte) error {
	p := tensorParser{tensor: tensor{integers: true, values: make([]float32, 0, bytes.Count(text, []byte{','})+1)}, leaf: -1}
	for i := 0; i < len(text); {
		n, err := p.step(text[i:])
		if err != nil {
			return err
		}
		i += n
	}
	if len(p.dims) == 0 {
		return fmt.Errorf("tensor data is not an array")
	}
	*t = p.tensor
	return nil
}

// tensorParser goes through JSON that is valid already: encoding/json has checked brackets and commas.
type tensorParser struct {
	tensor
	depth int
	leaf  int               // depth at which numbers stand; -1 before the first
	count [maxDepth + 1]int // elements so far of the open array at each depth
}

// step reads one bracket, comma, space or number and returns how long it was.
func (p *tensorParser) step(text []byte) (int, error) {
	switch c := text[0]; {
	case c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r':
		return 1, nil
	case c == '[':
		return 1, p.open()
	case c == ']':
		return 1, p.close()
	case c == '-' || c >= '0' && c <= '9':
		return p.number(text)
	}
	return 0, fmt.Errorf("tensor data has something that is not a number: %.20q", text)
}

func (p *tensorParser) open() error {
	if p.depth == maxDepth {
		return fmt.Errorf("tensor data is nested deeper than %d arrays", maxDepth)
	}
	if p.leaf >= 0 && p.depth >= p.leaf {
		return errMixed
	}
	p.count[p.depth]++
	p.depth++
	p.count[p.depth] = 0
	if p.depth > len(p.dims) {
		p.dims = append(p.dims, -1) // its length is known when the first such array ends
	}
	return nil
}

func (p *tensorParser) close() error {
	if p.depth == 0 {
		return errors.New("tensor data ends twice") // unreachable unless bug: the JSON is valid
	}
	n := p.count[p.depth]
	if d := &p.dims[p.depth-1]; *d == -1 {
		*d = n
	} else if *d != n {
		return fmt.Errorf("tensor data is ragged: arrays of %d and of %d elements side by side", *d, n)
	}
	p.depth--
	return nil
}

func (p *tensorParser) number(text []byte) (int, error) {
	if p.leaf == -1 {
		p.leaf = p.depth
	}
	if p.leaf != p.depth || p.depth < len(p.dims) {
		return 0, errMixed
	}
	p.count[p.depth]++
	n := 0
	for ; n < len(text) && text[n] > ' ' && text[n] != ',' && text[n] != ']'; n++ {
		if c := text[n]; c == '.' || c == 'e' || c == 'E' {
			p.integers = false
		}
	}
	v, err := strconv.ParseFloat(string(text[:n]), 32)
	if err != nil {
		return 0, fmt.Errorf("tensor data has %.40q, which is not a number of float32", text[:n])
	}
	p.values = append(p.values, float32(v))
	return n, nil
}
