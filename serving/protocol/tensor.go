package protocol

import (
	"errors"
	"fmt"
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime"
)

// mostAxes is how deep the arrays of a tensor may be nested.
const mostAxes = 8

var errMixed = errors.New("tensor data is ragged: numbers and arrays side by side")

// array is a tensor on its way out of JSON: an array of numbers, nested or flat.
type array struct {
	said  runtime.Type  // what the request says that the numbers are
	is    runtime.Type  // what the model takes
	data  []byte        // where they go; those for which there is no room are counted and forgotten
	count int           // numbers so far
	dims  [mostAxes]int // as nested; -1 until the first array of a depth has ended
	axes  int           // how deep the numbers lie; 0 before the first array that ends
}

func (a *array) begin(said, is runtime.Type, data []byte) {
	*a = array{said: said, is: is, data: data}
	for i := range a.dims {
		a.dims[i] = -1
	}
}

// nested are the lengths of the arrays in each other.
func (a *array) nested() []int { return a.dims[:a.axes] }

// tensor reads an array, depth arrays deep inside others.
func (s *scanner) tensor(a *array, depth int) error {
	if s.peek() != '[' {
		return s.notArray(depth)
	}
	if depth == mostAxes {
		return fmt.Errorf("tensor data is nested deeper than %d arrays", mostAxes)
	}
	s.at++
	if s.peek() == '[' {
		return s.tensors(a, depth)
	}
	if a.axes != 0 && a.axes != depth+1 {
		return errMixed
	}
	a.axes = depth + 1
	if s.peek() == ']' {
		s.at++
		return a.ended(depth, 0)
	}
	before := a.count
	if err := s.elements(a); err != nil {
		return err
	}
	return a.ended(depth, a.count-before)
}

func (s *scanner) notArray(depth int) error {
	if depth == 0 {
		return fmt.Errorf("tensor data is not an array at byte %d", s.at)
	}
	if c := s.peek(); c == '-' || c-'0' < 10 || c == 't' || c == 'f' {
		return errMixed
	}
	return s.notElement("a number")
}

// tensors reads the arrays inside an array.
func (s *scanner) tensors(a *array, depth int) error {
	for n := 1; ; n++ {
		if a.axes != 0 && a.axes <= depth+1 {
			return errMixed
		}
		if err := s.tensor(a, depth+1); err != nil {
			return err
		}
		if more, err := s.more(']'); !more {
			return errors.Join(err, a.ended(depth, n))
		}
	}
}

func (a *array) ended(depth, n int) error {
	if d := &a.dims[depth]; *d == -1 {
		*d = n
	} else if *d != n {
		return fmt.Errorf("tensor data is ragged: arrays of %d and of %d elements side by side", *d, n)
	}
	return nil
}

// elements reads the numbers of one array up to its end.
func (s *scanner) elements(a *array) error {
	switch {
	case a.said == runtime.Bool:
		return s.bools(a)
	case a.said == runtime.FP32 || a.said == runtime.FP64 && a.is == runtime.FP32:
		return s.floats(a)
	case a.said == runtime.FP64:
		return s.doubles(a)
	case a.said == runtime.FP16 || a.said == runtime.BF16:
		return fmt.Errorf("%s has no form in JSON; send it as binary data", a.said)
	}
	return s.integers(a)
}

// floats is the way of nearly all requests: it goes over the usual numbers as fast as it can, and over the others,
// the last one among them, one by one.
func (s *scanner) floats(a *array) error {
	out := runtime.Values[float32](a.data)
	for {
		s.usual(out, a)
		s.peek()
		v, end := float32At(s.text, s.at)
		if end < 0 {
			return s.notElement("a number of float32")
		}
		if a.count < len(out) {
			out[a.count] = v
		}
		s.at = end
		a.count++
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

// usual reads numbers up to the first that is not as usual32 takes them, with a comma behind it and at most one
// space between.
func (s *scanner) usual(out []float32, a *array) {
	b, i, n := s.text, s.at, a.count
	for i >= 16 && i <= len(b)-25 {
		if b[i] == ' ' {
			i++
		}
		v, length := usual32(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))
		end := i + length
		if length == 0 || b[end] != ',' {
			break
		}
		if n < len(out) {
			out[n] = v
		}
		n++
		i = end + 1
	}
	s.at, a.count = i, n
}

func (s *scanner) doubles(a *array) error {
	out := runtime.Values[float64](a.data)
	for {
		s.peek()
		v, end := float64At(s.text, s.at)
		if end < 0 {
			return s.notElement("a number of float64")
		}
		if a.count < len(out) {
			out[a.count] = v
		}
		s.at = end
		a.count++
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

func (s *scanner) bools(a *array) error {
	for {
		v, err := s.boolean()
		if err != nil {
			return s.notElement("true or false")
		}
		if a.count < len(a.data) {
			a.data[a.count] = 0
			if v {
				a.data[a.count] = 1
			}
		}
		a.count++
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

func (s *scanner) integers(a *array) error {
	lowest, highest := bounds(a.said)
	for {
		s.peek()
		size, neg, end := integerAt(s.text, s.at)
		if end < 0 || !neg && size > highest || neg && size > lowest {
			return s.notElement("an integer of " + a.said.String())
		}
		if neg {
			size = -size
		}
		a.put(size)
		s.at = end
		a.count++
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

// bounds are the largest sizes below and above zero that an integer type holds.
func bounds(t runtime.Type) (lowest, highest uint64) {
	size := 8 * t.Size()
	if t <= runtime.Uint64 {
		return 0, 1<<size - 1
	}
	return 1 << (size - 1), 1<<(size-1) - 1
}

// put writes the integer that is the next element.
func (a *array) put(v uint64) {
	switch n := a.count; a.is {
	case runtime.FP32:
		set(a.data, n, float32(int64(v)))
	case runtime.Int8, runtime.Uint8:
		set(a.data, n, uint8(v))
	case runtime.Int16, runtime.Uint16:
		set(a.data, n, uint16(v))
	case runtime.Int32, runtime.Uint32:
		set(a.data, n, uint32(v))
	case runtime.Int64, runtime.Uint64:
		set(a.data, n, v)
	}
}

// set writes element n of data, if there is room for it.
func set[T runtime.Element](data []byte, n int, v T) {
	if out := runtime.Values[T](data); n < len(out) {
		out[n] = v
	}
}

// notElement is the error of an element that is not what the tensor is made of.
func (s *scanner) notElement(what string) error {
	switch s.peek() {
	case 0, ',', ']', '}', ':':
		return s.want(what)
	case '[':
		return errMixed
	}
	rest := s.text[s.at:]
	return fmt.Errorf("tensor data has %.20q at byte %d, which is not %s", rest[:min(20, tokenEnd(rest))], s.at, what)
}

// tokenEnd is where the number or word at the beginning of text ends.
func tokenEnd(text []byte) int {
	for i, c := range text {
		if c <= ' ' || c == ',' || c == ']' || c == '}' {
			return i
		}
	}
	return len(text)
}

// one reads a value of type t into element n of data. False leaves it unread: it is no such value.
func (s *scanner) one(t runtime.Type, data []byte, n int) bool {
	s.peek()
	end := -1
	switch t {
	case runtime.FP32:
		var v float32
		v, end = float32At(s.text, s.at)
		set(data, n, v)
	case runtime.FP64:
		var v float64
		v, end = float64At(s.text, s.at)
		set(data, n, v)
	case runtime.Bool:
		v, err := s.boolean()
		set(data, n, v)
		return err == nil
	case runtime.FP16, runtime.BF16:
	default:
		end = s.oneInteger(t, data, n)
	}
	if end < 0 {
		return false
	}
	s.at = end
	return true
}

func (s *scanner) oneInteger(t runtime.Type, data []byte, n int) int {
	lowest, highest := bounds(t)
	size, neg, end := integerAt(s.text, s.at)
	if !neg && size > highest || neg && size > lowest {
		return -1
	}
	if neg {
		size = -size
	}
	a := array{is: t, data: data, count: n}
	a.put(size)
	return end
}
