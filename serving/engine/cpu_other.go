//go:build !linux

package engine

import "time"

// threadCPU is not known here; batches count with the time that they took.
func threadCPU() (time.Duration, bool) { return 0, false }
