//go:build onnx

package ort

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime"
)

func loaded(name string) (string, error) {
	lib, err := load(name)
	return lib.version, err
}

// Numbers of the library's interface.
const (
	logFatal       = 4 // what goes wrong comes back as an error; the library prints nothing
	arenaAllocator = 1
	defaultMemory  = 0
)

// model holds what the library gave. Closing it waits for the batches that run; a session that is run
// afterwards gets an error rather than freed memory.
type model struct {
	lib   library
	meta  runtime.Meta
	names []*byte // of the inputs, then of the outputs
	bytes int64   // of the file: the weights, which the library keeps once, in its own order

	mu                   sync.RWMutex
	env, session, memory uintptr // all 0 once closed
}

func open(name string, data []byte, threads int) (runtime.Model, error) {
	lib, err := load(name)
	if err != nil {
		return nil, err
	}
	m := &model{lib: lib, bytes: int64(len(data))}
	if err := m.load(data, threads); err != nil {
		return nil, errors.Join(fmt.Errorf("open the model: %w", err), m.Close())
	}
	return m, nil
}

func (m *model) load(data []byte, threads int) error {
	if len(data) == 0 {
		return errors.New("the file is empty")
	}
	if err := m.lib.call(createEnv, logFatal, uintptr(unsafe.Pointer(zeroed("trimtab"))), uintptr(unsafe.Pointer(&m.env))); err != nil {
		return err
	}
	if err := m.lib.call(disableTelemetryEvents, m.env); err != nil { // see noTelemetry
		return err
	}
	if err := m.lib.call(createCPUMemoryInfo, arenaAllocator, defaultMemory, uintptr(unsafe.Pointer(&m.memory))); err != nil {
		return err
	}
	options, err := m.options(threads)
	defer m.lib.free(releaseSessionOptions, options)
	if err != nil {
		return err
	}
	if err := m.lib.call(createSessionFromArray, m.env, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), options, uintptr(unsafe.Pointer(&m.session))); err != nil {
		return err
	}
	return m.describe()
}

// options bounds the threads and lets them sleep: by default the library takes every core of the machine,
// whatever the container may use, and its threads spin between batches.
func (m *model) options(threads int) (options uintptr, err error) {
	if err := m.lib.call(createSessionOptions, uintptr(unsafe.Pointer(&options))); err != nil {
		return 0, err
	}
	faults := []error{
		m.lib.call(setIntraOpNumThreads, options, uintptr(threads)),
		m.lib.call(setInterOpNumThreads, options, 1),
	}
	for _, key := range []string{"session.intra_op.allow_spinning", "session.inter_op.allow_spinning"} {
		faults = append(faults, m.lib.call(addSessionConfigEntry, options, uintptr(unsafe.Pointer(zeroed(key))), uintptr(unsafe.Pointer(zeroed("0")))))
	}
	return options, errors.Join(faults...)
}

func (m *model) Meta() runtime.Meta { return m.meta }
func (m *model) Bytes() int64       { return m.bytes }

// Close frees the model. Closing twice does nothing more.
func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lib.free(releaseSession, m.session)
	m.lib.free(releaseMemoryInfo, m.memory)
	m.lib.free(releaseEnv, m.env)
	m.session, m.memory, m.env = 0, 0, 0
	return nil
}
