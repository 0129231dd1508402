package main

import (
	"encoding/json"
	"math"
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

// standard is the usual pace of a core, and how far what one window's pace is off from it can be believed.
type standard struct {
	pace
	Believed float64 // share, 0 to 1
}

// standardOf is what many windows' paces say is usual. Their two computations have nothing in common but the core: what they
// are off together is its doing, what only one of them is off is chance. So of what their mean is off the share is believed
// that their covariance has of its variance (Cronbach's alpha of two items).
func standardOf(all []pace) standard {
	n := float64(len(all))
	var model, text, both, square float64
	for _, p := range all {
		model, text = model+math.Log(p.Model)/n, text+math.Log(p.Text)/n
	}
	for _, p := range all {
		a, b := math.Log(p.Model)-model, math.Log(p.Text)-text
		both, square = both+a*b, square+(a+b)*(a+b)/4
	}
	s := standard{pace: pace{math.Exp(model), math.Exp(text)}}
	if square > 0 {
		s.Believed = min(1, max(0, both/square))
	}
	return s
}

// slowness is how many times as long as usual a core of this pace takes, as far as it is believed; 1 where nothing is known.
func (s standard) slowness(p pace) float64 {
	return math.Pow(p.Model/s.Model*p.Text/s.Text, s.Believed/2)
}

// even is a window as it had been on a core of the usual pace: its CPU, and its middle answer, which waits for it.
func (s standard) even(w seen) seen {
	by := s.slowness(w.Air.During)
	w.CPU, w.Compute, w.P50 = w.CPU/by, w.Compute/by, w.P50/by
	return w
}

// pacesOf are those of the core in windows.
func pacesOf(windows []seen) []pace {
	var all []pace
	for _, w := range windows {
		all = append(all, w.Air.During)
	}
	return all
}
