//go:build onnx

package ort

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/ebitengine/purego"
)

// apiVersion is the oldest interface that has all that is used here and that is still given.
const apiVersion = 20

// function is a place in the library's table of functions, whose order never changes: new ones are added at
// its end.
type function int

const (
	getErrorMessage                      function = 2
	createEnv                            function = 3
	disableTelemetryEvents               function = 6
	createSessionFromArray               function = 8
	run                                  function = 9
	createSessionOptions                 function = 10
	setIntraOpNumThreads                 function = 24
	setInterOpNumThreads                 function = 25
	sessionGetInputCount                 function = 30
	sessionGetOutputCount                function = 31
	sessionGetInputTypeInfo              function = 33
	sessionGetOutputTypeInfo             function = 34
	sessionGetInputName                  function = 36
	sessionGetOutputName                 function = 37
	createTensorWithDataAsOrtValue       function = 49
	getTensorMutableData                 function = 51
	castTypeInfoToTensorInfo             function = 55
	getOnnxTypeFromTypeInfo              function = 56
	getTensorElementType                 function = 60
	getDimensionsCount                   function = 61
	getDimensions                        function = 62
	getTensorTypeAndShape                function = 65
	createCPUMemoryInfo                  function = 69
	allocatorFree                        function = 76
	getAllocatorWithDefaultOptions       function = 78
	releaseEnv                           function = 92
	releaseStatus                        function = 93
	releaseMemoryInfo                    function = 94
	releaseSession                       function = 95
	releaseValue                         function = 96
	releaseTypeInfo                      function = 98
	releaseTensorTypeAndShapeInfo        function = 99
	releaseSessionOptions                function = 100
	sessionGetModelMetadata              function = 111
	modelMetadataLookupCustomMetadataMap function = 116
	releaseModelMetadata                 function = 118
	addSessionConfigEntry                function = 130
	functions                                     = 131 // as many as are looked at
)

// library is the loaded library. It stays loaded: its threads may still run when a model has gone.
type library struct {
	table   *[functions]uintptr
	version string
}

func load(name string) (library, error) {
	lib, err := find(name)
	if err != nil {
		return lib, fmt.Errorf("load ONNX Runtime from %s: %w", name, err)
	}
	return lib, nil
}

// noTelemetry is the environment variable that newer versions of the library look at before they do anything:
// without it 1.30 writes a number for this machine into the user's cache, and sends what it does to its
// makers.
const noTelemetry = "ORT_DISABLE_TELEMETRY"

func find(name string) (library, error) {
	if err := os.Setenv(noTelemetry, "1"); err != nil {
		return library{}, err
	}
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return library{}, fmt.Errorf("%w; `make onnxruntime` fetches the library, and %s or --onnxruntime names its file", err, LibraryVariable)
	}
	entry, err := purego.Dlsym(handle, "OrtGetApiBase")
	if err != nil {
		return library{}, fmt.Errorf("it is not ONNX Runtime: %w", err)
	}
	base, _, _ := purego.SyscallN(entry)
	if base == 0 {
		return library{}, errors.New("it gives no interface")
	}
	gives := (*[2]uintptr)(address(base)) // two functions: the table of a version, and the version's name
	named, _, _ := purego.SyscallN(gives[1])
	version := text(named)
	table, _, _ := purego.SyscallN(gives[0], apiVersion)
	if table == 0 {
		return library{}, fmt.Errorf("its version %s is too old: 1.%d or newer is needed", version, apiVersion)
	}
	return library{(*[functions]uintptr)(address(table)), version}, nil
}

// call is for the functions that return a status. Addresses of Go's memory are converted in its arguments,
// nowhere else: only there do they stay what they are until it returns.
//
//go:uintptrescapes
func (l library) call(f function, args ...uintptr) error {
	status, _, _ := purego.SyscallN(l.table[f], args...)
	if status == 0 {
		return nil
	}
	defer l.free(releaseStatus, status)
	message, _, _ := purego.SyscallN(l.table[getErrorMessage], status)
	return fmt.Errorf("ONNX Runtime %s: %s", l.version, text(message))
}

// free is for the functions that release what they are given; nothing is released twice, and 0 is nothing.
func (l library) free(f function, what uintptr) {
	if what != 0 {
		_, _, _ = purego.SyscallN(l.table[f], what)
	}
}

// address is p as a pointer. What it points to is the library's: the garbage collector does not look at it.
func address(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// text copies a string that ends with a zero byte.
func text(p uintptr) string {
	if p == 0 {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(address(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(address(p)), n))
}

// zeroed is s as the library takes it.
func zeroed(s string) *byte { return unsafe.SliceData(append([]byte(s), 0)) }
