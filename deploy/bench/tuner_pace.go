package main

import (
	"encoding/json"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"trimtab.dev/trimtab/serving/runtime/kernel"
)

// pace is the CPU seconds that fixed computations take on a core, of the kind that servers do: a neighbour on the same
// physical core slows them as it slows servers. CPU time does not count while others run, so that it tells of the core
// and its caches alone.
type pace struct {
	Model float64 `json:"model"` // a dense layer in the nearest caches
	Text  float64 `json:"text"`  // reading JSON
}

// unevenness is by how much, as a share, a pace differs from what is usual.
func unevenness(usual []pace, now pace) (worst float64) {
	if len(usual) == 0 {
		return 0
	}
	middle := meanPace(usual)
	for _, ratio := range []float64{now.Model / middle.Model, now.Text / middle.Text} {
		worst = max(worst, ratio-1, 1/ratio-1)
	}
	return worst
}

// paceEvery is how often a core is looked at in a window. Looks right before and after it say next to nothing of it: a
// neighbour comes and goes within seconds.
const paceEvery = 50 * time.Millisecond

// paceDuring measures a core until the returned function is called, which tells the CPU seconds that this took, too.
// It computes for some 0.2 ms of each paceEvery, only while nobody else wants the core.
func paceDuring(core int) func() (p pace, took float64) {
	stop, done := make(chan struct{}), make(chan pace)
	took := 0.0
	go func() {
		bindTo(core)
		begun := threadCPU()
		const idle = 5 // SCHED_IDLE
		var priority int32
		syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, idle, uintptr(unsafe.Pointer(&priority)))
		work := newChores()
		for all := []pace{work.took()}; ; all = append(all, work.took()) {
			select {
			case <-stop:
				took = threadCPU() - begun
				done <- meanPace(all)
				return
			case <-time.After(paceEvery):
			}
		}
	}()
	return func() (pace, float64) {
		close(stop)
		p := <-done
		return p, took
	}
}

// bindTo binds the calling goroutine to a thread on a core. The thread ends with the goroutine, and its binding with it.
func bindTo(core int) {
	runtime.LockOSThread()
	var mask [16]uint64
	mask[core/64] = 1 << (core % 64)
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
}

// chores are what a pace is measured with.
type chores struct {
	layer *kernel.Dense
	x, y  []float32
	text  []byte
}

const wide = 128 // values in and out of the layer

func newChores() chores {
	const rows = 16
	weight := make([]float32, wide*wide)
	for i := range weight {
		weight[i] = float32(i%13-6) / wide
	}
	text, _ := json.Marshal(weight[:1024]) // of numbers: it cannot fail
	return chores{kernel.NewDense(weight, make([]float32, wide), wide, wide), make([]float32, rows*wide), make([]float32, rows*wide), text}
}

// took does them once.
func (c chores) took() pace {
	const layers = 8
	return pace{
		Model: threadTook(func() {
			for range layers {
				c.layer.Apply(c.x, c.y, len(c.x)/wide, true)
			}
		}),
		Text: threadTook(func() { json.Valid(c.text) }),
	}
}

// inverse is the pace by which this one is undone.
func (p pace) inverse() pace { return pace{1 / p.Model, 1 / p.Text} }

// meanPace is the mean of each number: a core that is slow for a third of the time is slow by as much.
func meanPace(all []pace) pace {
	var sum pace
	for _, p := range all {
		sum.Model, sum.Text = sum.Model+p.Model, sum.Text+p.Text
	}
	n := float64(len(all))
	return pace{sum.Model / n, sum.Text / n}
}

// threadTook is the CPU seconds of this thread for some work.
func threadTook(work func()) float64 {
	before := threadCPU()
	work()
	return threadCPU() - before
}

// threadCPU is the CPU seconds of the calling thread.
func threadCPU() float64 {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var at syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Nano()) / 1e9
}
