// Command noisy is a neighbour that takes every core and what is in its caches for a while, to no use, and says
// how much CPU it was given.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	lasts = 40 * time.Second
	size  = 16 << 20 // bytes, more than a core's caches hold
	line  = 64       // bytes that a cache takes at once
)

func main() {
	end, room := time.Now().Add(lasts), make([]byte, size)
	var all sync.WaitGroup
	for core := range runtime.NumCPU() {
		all.Go(func() {
			for time.Now().Before(end) {
				for i := core; i < size; i += line {
					room[i]++
				}
			}
		})
	}
	all.Wait()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%.1f CPU seconds\n", time.Duration(used.Utime.Nano()+used.Stime.Nano()).Seconds())
}
