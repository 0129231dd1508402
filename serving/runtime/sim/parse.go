package sim

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// Parse makes a model of what ParseSpec reads.
func Parse(text string) (runtime.Model, error) {
	s, err := ParseSpec(text)
	if err != nil {
		return nil, err
	}
	return New(s), nil
}

// ParseSpec reads a model from one line of text, as the flag --model sim:TEXT has it:
//
//	linear:0.7ms+85us,in=512,out=16    0.7 ms + 85 us × rows; 512 FP32 values in, 16 out
//	hinge:50us+12.1us,spin,max=64      the larger of 50 us and 12.1 us × rows, on a busy core; 64 rows at most
//
// in and out are the shape of a row, such as 3x32x32; without them it is 1. fail=V fails a batch with a row
// whose first value is V; panic=V panics. Without spin a batch sleeps.
func ParseSpec(text string) (Spec, error) {
	words := strings.Split(text, ",")
	s, err := parseCurve(words[0])
	faults := []error{err}
	for _, w := range words[1:] {
		faults = append(faults, s.option(w))
	}
	if err := errors.Join(faults...); err != nil {
		return Spec{}, fmt.Errorf("simulated model %q: %w; write it like linear:0.7ms+85us,in=512,out=16", text, err)
	}
	return s, nil
}

func parseCurve(word string) (Spec, error) {
	form, times, _ := strings.Cut(word, ":")
	first, second, two := strings.Cut(times, "+")
	if form != "linear" && form != "hinge" || !two {
		return Spec{}, fmt.Errorf("%q is not a curve", word)
	}
	fixed, err := parseTime(first)
	perRow, err2 := parseTime(second)
	return Spec{Fixed: fixed, PerRow: perRow, Hinge: form == "hinge"}, errors.Join(err, err2)
}

func parseTime(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > time.Minute {
		return 0, fmt.Errorf("%q is not a time from 0s to 1m", text)
	}
	return d, nil
}

func (s *Spec) option(word string) (err error) {
	switch key, value, _ := strings.Cut(word, "="); key {
	case "in":
		s.Inputs, err = shaped("x", value)
	case "out":
		s.Outputs, err = shaped("y", value)
	case "max":
		if s.MaxRows, err = strconv.Atoi(value); err != nil || s.MaxRows < 1 {
			return fmt.Errorf("%q is not a number of rows", value)
		}
	case "spin":
		s.Spin = true
	case "fail":
		return s.failAt(value, func(first float64) error { return fmt.Errorf("a row begins with %v, as --model told it", first) })
	case "panic":
		return s.failAt(value, func(first float64) error { panic(fmt.Sprintf("a row begins with %v, as --model told it", first)) })
	default:
		return fmt.Errorf("%q is not one of in, out, max, spin, fail, panic", key)
	}
	return err
}

// failAt adds to what Fail does, so that fail and panic may both be given.
func (s *Spec) failAt(text string, then func(float64) error) error {
	at, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", text)
	}
	earlier := s.Fail
	s.Fail = func(first float64) error {
		if first == at {
			return then(first)
		}
		if earlier != nil {
			return earlier(first)
		}
		return nil
	}
	return nil
}

// maxValues bounds a row, so that a slip of a digit does not ask for all the memory there is.
const maxValues = 1 << 24

func shaped(name, text string) ([]runtime.Spec, error) {
	var shape []int
	all := 1
	for _, word := range strings.Split(text, "x") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > maxValues/all {
			return nil, fmt.Errorf("%q is not the shape of a row", text)
		}
		shape, all = append(shape, n), all*n
	}
	return []runtime.Spec{{Name: name, Type: runtime.FP32, Shape: shape}}, nil
}
