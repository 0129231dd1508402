//go:build onnx

package ort

import (
	"errors"
	"fmt"
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/onnx"
)

// side is the inputs or the outputs of a model: the functions that list them, and what one is called.
type side struct {
	what              string
	count, name, info function
}

func sides() (in, out side) {
	return side{"input", sessionGetInputCount, sessionGetInputName, sessionGetInputTypeInfo},
		side{"output", sessionGetOutputCount, sessionGetOutputName, sessionGetOutputTypeInfo}
}

// port is an input or output as the library describes it. The batch axis is 0 where it is any number of rows.
type port struct {
	spec  runtime.Spec
	batch int
}

// describe fills what the model says of itself. All its faults come at once.
func (m *model) describe() error {
	in, out := sides()
	inputs, err := m.ports(in)
	outputs, err2 := m.ports(out)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	m.meta = runtime.Meta{Platform: "onnxruntime_onnx", Inputs: specs(inputs), Outputs: specs(outputs)}
	for _, p := range append(inputs, outputs...) {
		m.names = append(m.names, zeroed(p.spec.Name))
	}
	m.meta.MaxRows, err = limit(inputs, outputs)
	return errors.Join(err, m.annotate())
}

// annotate reads what the model's metadata say, by the library, which reads files that package onnx refuses.
func (m *model) annotate() error {
	var metadata, allocator uintptr
	if err := m.lib.call(sessionGetModelMetadata, m.session, uintptr(unsafe.Pointer(&metadata))); err != nil {
		return err
	}
	defer m.lib.free(releaseModelMetadata, metadata)
	if err := m.lib.call(getAllocatorWithDefaultOptions, uintptr(unsafe.Pointer(&allocator))); err != nil {
		return err
	}
	var said onnx.Model
	for _, key := range []string{onnx.KeyFeatures, onnx.KeyAccuracy, onnx.KeyMeasure, onnx.KeyGolden} {
		var value uintptr
		if err := m.lib.call(modelMetadataLookupCustomMetadataMap, metadata, allocator, uintptr(unsafe.Pointer(zeroed(key))), uintptr(unsafe.Pointer(&value))); err != nil {
			return err
		}
		if value == 0 {
			continue
		}
		said.Props = append(said.Props, onnx.Prop{Key: key, Value: text(value)})
		if err := m.lib.call(allocatorFree, allocator, value); err != nil {
			return err
		}
	}
	return said.Annotate(&m.meta)
}

func specs(ports []port) []runtime.Spec {
	var all []runtime.Spec
	for _, p := range ports {
		all = append(all, p.spec)
	}
	return all
}

// limit is the number of rows of every batch, where an input fixes it, or else an output: there an axis that
// was once computed for a single row. 0 is any number.
func limit(inputs, outputs []port) (rows int, err error) {
	for _, p := range inputs {
		if p.batch > 0 && rows > 0 && p.batch != rows {
			err = errors.Join(err, fmt.Errorf("input %q takes batches of %d, another input of %d", p.spec.Name, p.batch, rows))
		}
		rows = max(rows, p.batch)
	}
	for _, p := range outputs {
		if rows == 0 {
			rows = p.batch
		}
	}
	return rows, err
}

func (m *model) ports(s side) ([]port, error) {
	var n uintptr
	if err := m.lib.call(s.count, m.session, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	all := make([]port, n)
	var faults []error
	for i := range all {
		p, err := m.port(s, uintptr(i))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %q %w", s.what, p.spec.Name, err))
		}
		all[i] = p
	}
	if n == 0 {
		faults = append(faults, fmt.Errorf("the model has no %s", s.what))
	}
	return all, errors.Join(faults...)
}

func (m *model) port(s side, i uintptr) (p port, err error) {
	if p.spec.Name, err = m.portName(s, i); err != nil {
		return p, fmt.Errorf("has no name: %w", err)
	}
	var info, tensor uintptr
	if err := m.lib.call(s.info, m.session, i, uintptr(unsafe.Pointer(&info))); err != nil {
		return p, fmt.Errorf("has no type: %w", err)
	}
	defer m.lib.free(releaseTypeInfo, info)
	var kind int32
	if err := m.lib.call(getOnnxTypeFromTypeInfo, info, uintptr(unsafe.Pointer(&kind))); err != nil {
		return p, fmt.Errorf("has no type: %w", err)
	}
	if kind != 1 {
		return p, fmt.Errorf("is %s, and only tensors are served; export classifiers of scikit-learn with zipmap=False", containers(kind))
	}
	if err := m.lib.call(castTypeInfoToTensorInfo, info, uintptr(unsafe.Pointer(&tensor))); err != nil {
		return p, fmt.Errorf("has no shape: %w", err)
	}
	return p.shaped(m.lib, tensor, s.what == "input")
}

// shaped adds the type and the shape of a row. An output whose shape the library could not infer has none
// here; its rows have the shape that they come with.
func (p port) shaped(lib library, tensor uintptr, input bool) (port, error) {
	kind, dims, err := lib.shape(tensor, nil)
	if err != nil {
		return p, err
	}
	if p.spec.Type, err = typeOf(kind); err != nil {
		return p, err
	}
	if len(dims) == 0 {
		if input {
			return p, errors.New("is a scalar, which has no batch axis")
		}
		return p, nil
	}
	p.batch, p.spec.Shape = max(0, int(dims[0])), []int{}
	for _, d := range dims[1:] {
		p.spec.Shape = append(p.spec.Shape, max(-1, int(d)))
	}
	return p, nil
}

func (m *model) portName(s side, i uintptr) (string, error) {
	var allocator, name uintptr
	if err := m.lib.call(getAllocatorWithDefaultOptions, uintptr(unsafe.Pointer(&allocator))); err != nil {
		return "", err
	}
	if err := m.lib.call(s.name, m.session, i, allocator, uintptr(unsafe.Pointer(&name))); err != nil {
		return "", err
	}
	return text(name), m.lib.call(allocatorFree, allocator, name)
}

// shape reads what the library knows of a tensor. The lengths are appended to room, so that a caller in a
// hurry may bring it.
func (l library) shape(tensor uintptr, room []int64) (kind int32, dims []int64, err error) {
	var n uintptr
	if err := l.call(getTensorElementType, tensor, uintptr(unsafe.Pointer(&kind))); err != nil {
		return 0, nil, err
	}
	if err := l.call(getDimensionsCount, tensor, uintptr(unsafe.Pointer(&n))); err != nil || n == 0 {
		return kind, nil, err
	}
	dims = append(room, make([]int64, n)...)
	return kind, dims, l.call(getDimensions, tensor, uintptr(unsafe.Pointer(&dims[len(room)])), n)
}

func containers(kind int32) string {
	names := []string{"of an unknown kind", "a tensor", "a sequence", "a map", "an opaque value", "a sparse tensor", "an optional value"}
	if int(kind) < len(names) {
		return names[kind]
	}
	return names[0]
}

// typeOf reads the library's number of a type, which is the format's.
func typeOf(kind int32) (runtime.Type, error) {
	if t, ok := onnx.Type(kind).Runtime(); ok {
		return t, nil
	}
	if onnx.Type(kind) == onnx.String {
		return 0, errors.New("holds strings, which are not served; let the model take and give numbers, such as the index of a label")
	}
	return 0, fmt.Errorf("has elements of %s, which are not served", onnx.Type(kind))
}

func kindOf(t runtime.Type) uintptr {
	kind := onnx.Float
	for ; kind < onnx.BFloat16; kind++ {
		if have, ok := kind.Runtime(); ok && have == t {
			break
		}
	}
	return uintptr(kind)
}
