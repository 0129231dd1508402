// Package ort is the runtime for any ONNX model: ONNX Runtime's shared library, loaded when the program runs
// and called without cgo. It needs the build tag onnx; without it Open only says so, and the program links
// no loader and stays static. `make onnxruntime` fetches the library and builds the server with the tag.
//
// One build serves the library's versions 1.23 to 1.30: it asks for the interface of 1.20, which they all
// still give.
//
// What the package cannot do: a fault inside the library, such as a bad address or an abort, ends the
// process; Go cannot catch it. Memory that the library takes is not in Go's figures (GOMEMLIMIT does not
// see it). String tensors, maps and sequences are refused when the model is opened.
package ort

import (
	"path/filepath"

	"trimtab.dev/trimtab/serving/runtime"
)

// Version is the version of the library that the project fetches and tests with.
const Version = "1.24.3"

// LibraryVariable is the environment variable that names the library's file.
const LibraryVariable = "TRIMTAB_ORT_LIBRARY"

// soname is how the system's loader knows the library, where it is installed.
const soname = "libonnxruntime.so.1"

// Find says what to give Open as the library: the file that LibraryVariable names, or the one that
// `make onnxruntime` has put into the cache of the user, or the name by which the system's loader may know
// it. getenv is os.Getenv; exists says whether there is a file.
func Find(getenv func(string) string, exists func(string) bool) string {
	if named := getenv(LibraryVariable); named != "" {
		return named
	}
	cache := getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(getenv("HOME"), ".cache")
	}
	if fetched := filepath.Join(cache, "trimtab", "onnxruntime", Version, soname); exists(fetched) {
		return fetched
	}
	return soname
}

// Open loads the library and the model, an ONNX file's content, for threads threads in each computation
// (at least 1; the callers' own threads count among them). The model holds memory that the garbage collector
// does not see: Close frees it. Sessions share the library's own: several may run at once.
//
// The batch axis is the first of every input and output. Where the model fixes it, Meta.MaxRows is that
// number, and a smaller batch is filled up with copies of its last row, whose answers are dropped.
func Open(library string, data []byte, threads int) (runtime.Model, error) {
	return open(library, data, max(threads, 1))
}

// Loaded loads the library and returns its version, such as 1.24.3.
func Loaded(library string) (version string, err error) { return loaded(library) }
