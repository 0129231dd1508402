package protocol

import (
	"errors"
	"fmt"

	"trimtab.dev/trimtab/serving/runtime"
)

// most is a size that no tensor has.
const most = 1 << 46

// typeNamed is runtime.TypeOf of bytes, 0 for what it does not know.
func typeNamed(name []byte) runtime.Type {
	if string(name) == "FP32" { // nearly all are
		return runtime.FP32
	}
	t, _ := runtime.TypeOf(string(name))
	return t
}

// datatype takes over the name of a datatype.
func (in *input) datatype(name []byte) {
	in.typed, in.read, in.other = true, false, ""
	if in.said = typeNamed(name); in.said == 0 {
		in.other = string(name)
	}
}

// same and converts are the rules for datatypes: binary data is taken as it is; numbers in JSON are taken
// for float32 from clients that only have float64 and integers.
func same(said, is runtime.Type) bool { return said == is }

func converts(said, is runtime.Type) bool {
	return said == is || is == runtime.FP32 && (said == runtime.FP64 || said == runtime.Int64 || said == runtime.Int32)
}

// fits checks the input's shape and datatype against what the model takes.
func (in *input) fits(spec *runtime.Spec, rule func(said, is runtime.Type) bool) error {
	var faults []error
	if !fitsShape(in.shape, spec.Shape) {
		faults = append(faults, fmt.Errorf("input %q has shape %v; the model takes [rows]+%v", spec.Name, in.shape, spec.Shape))
	}
	switch {
	case !in.typed:
		faults = append(faults, fmt.Errorf("input %q has no datatype; the model takes %s", spec.Name, spec.Type))
	case in.other == "BYTES":
		faults = append(faults, fmt.Errorf("input %q has datatype BYTES; no runtime here computes strings, the model takes %s", spec.Name, spec.Type))
	case in.said == 0:
		faults = append(faults, fmt.Errorf("input %q has datatype %.20q; the model takes %s", spec.Name, in.other, spec.Type))
	case !rule(in.said, spec.Type):
		faults = append(faults, fmt.Errorf("input %q has datatype %s; the model takes %s", spec.Name, in.said, spec.Type))
	}
	return errors.Join(faults...)
}

// fitsShape says whether a shape is rows of what the model takes, and small enough to be in memory.
func fitsShape(shape, row []int) bool {
	if len(shape) != 1+len(row) || shape[0] < 1 {
		return false
	}
	for i, d := range row {
		if got := shape[i+1]; got < 1 || d != got && d != -1 {
			return false
		}
	}
	return true
}

// product is the number of elements of a shape whose lengths are positive, most where it is more.
func product(shape []int) int {
	n := 1
	for _, d := range shape {
		if d > most/n {
			return most
		}
		n *= d
	}
	return n
}
