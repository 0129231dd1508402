//go:build !onnx

package ort

import (
	"errors"

	"trimtab.dev/trimtab/serving/runtime"
)

func open(string, []byte, int) (runtime.Model, error) { return nil, errAbsent() }

func loaded(string) (string, error) { return "", errAbsent() }

func errAbsent() error {
	return errors.New("ONNX Runtime: this program was built without it; `make onnxruntime` builds bin/modelserver-onnx (go build -tags onnx)")
}
