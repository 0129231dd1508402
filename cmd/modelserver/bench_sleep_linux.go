package main

import (
	"context"
	"syscall"
	"time"
)

// longestNap bounds how late the end of a context is seen.
const longestNap = 20 * time.Millisecond

// pause reports whether at came before the end of ctx. It asks the kernel: the timers of the Go runtime
// are up to 1 ms late in a process that has nothing else to do, which would count as latency.
func pause(ctx context.Context, at time.Time) bool {
	for ctx.Err() == nil {
		d := time.Until(at)
		if d <= 0 {
			return true
		}
		t := syscall.NsecToTimespec(int64(min(d, longestNap)))
		syscall.Nanosleep(&t, nil) // a signal may end it early; the loop looks again
	}
	return false
}
