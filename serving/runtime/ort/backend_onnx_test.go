//go:build onnx

package ort

import (
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// TestBackendCases runs the same cases through the library: what fails here is the binding's fault.
func TestBackendCases(t *testing.T) {
	name := found(t)
	// The first three are random, or of a type that the files do not hold; of the others the library (1.24)
	// answers otherwise, as it does from any language.
	backendCases(t, func(data []byte) (runtime.Model, error) { return Open(name, data, 1) }, "bernoulli", "training_dropout", "to_BFLOAT16",
		"_dft", "maxunpool_export_with_output_shape", "resize_downsample_scales_cubic_align", "resize_downsample_scales_linear_align")
}
