package engine

import (
	"syscall"
	"time"
	"unsafe"
)

// threadCPU is the CPU time that the calling thread has used. It asks for the thread's own clock, which counts
// nanoseconds; getrusage counts microseconds, coarse beside a batch of ten.
func threadCPU() (time.Duration, bool) {
	const thread = 3 // CLOCK_THREAD_CPUTIME_ID
	var at syscall.Timespec
	// A raw call: it never blocks, so the scheduler need not hear of it.
	if _, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, thread, uintptr(unsafe.Pointer(&at)), 0); failed != 0 {
		return 0, false
	}
	return time.Duration(at.Nano()), true
}
