package ort

import (
	"testing"

	"trimtab.dev/trimtab/serving/runtime/builtin"
)

// TestBackendCasesBuiltin runs the cases of ONNX's own backend test through the runtime of pure Go: each that
// it opens has to give the recorded answer. Debian's package libonnx-testdata has them.
func TestBackendCasesBuiltin(t *testing.T) {
	// These have numbers of 1e200: the builtin runtime computes in float32.
	backendCases(t, builtin.Open, "operator_add_broadcast", "operator_add_size1", "operator_addconstant")
}
