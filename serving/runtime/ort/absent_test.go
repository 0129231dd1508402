//go:build !onnx

package ort

import (
	"strings"
	"testing"
)

func TestOpenSaysWhatToBuild(t *testing.T) {
	_, err := Open("", []byte("x"), 1)
	if err == nil || !strings.Contains(err.Error(), "make onnxruntime") || !strings.Contains(err.Error(), "-tags onnx") {
		t.Errorf("got %v", err)
	}
}
