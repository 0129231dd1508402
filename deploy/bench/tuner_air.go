package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// What makes a window of the tuner's worthless. None of it looks at what the window measured, so that no window is
// thrown away for being predicted badly.
const (
	mostForeign = 0.02 // of the window that others ran on the server's core or on the client's
	mostPace    = 0.10 // by which the server's core was quicker or slower than in the calibration
	mostTries   = 3    // of one window; the last is kept as it is
)

var weatherRule = fmt.Sprintf("a window is discarded and run again, at most %d times and %d in all, if the host stole more than %g %% of it, if others ran for more than %g %% of it on the server's core or the client's, or if a fixed computation on the server's core, right before and after it, took over %g %% more or less CPU time than beside the calibration of the same repeat; what the window measured is not looked at",
	mostTries-1, mostDiscarded, 100*mostStolen, 100*mostForeign, 100*mostPace)

// air is how undisturbed the tuner's windows were.
type air struct {
	windows   int
	discarded [faults]int // by why, the first of several
	kept      int         // disturbed, and measured as often as a window is
	usual     []pace      // beside the calibration of the newest repeat
}

// again is how many windows were discarded.
func (a air) again() int { return a.discarded[stolen] + a.discarded[foreign] + a.discarded[uneven] }

// fault is why a window is worthless.
type fault uint8

const (
	stolen fault = iota
	foreign
	uneven
	faults
)

// conditions are those of one window.
type conditions struct {
	Stolen  float64 `json:"stolen"`  // share of all CPU time
	Foreign float64 `json:"foreign"` // share of the window that others ran, on the core where it is more
	Uneven  float64 `json:"uneven"`  // by how much the core was quicker or slower than usual
}

// why tells what is wrong with the conditions; false: nothing.
func (c conditions) why() (fault, bool) {
	switch {
	case c.Stolen > mostStolen:
		return stolen, true
	case c.Foreign > mostForeign:
		return foreign, true
	case c.Uneven > mostPace:
		return uneven, true
	}
	return faults, false
}

func (c conditions) String() string {
	return fmt.Sprintf("%.1f %% stolen, others ran for %.1f %%, core %.0f %% off its pace", 100*c.Stolen, 100*c.Foreign, 100*c.Uneven)
}

// observe does an order, again where it was disturbed. Its windows teach what is usual if they calibrate.
func (t *tuner) observe(s *server, o order, what string, calibrates bool) (saw seen, err error) {
	for try := 1; ; try++ {
		var paces [2]pace
		if saw, paces, err = t.attempt(s, o); err != nil {
			return saw, fmt.Errorf("%s: %w", what, err)
		}
		t.air.windows++
		usual := t.air.usual
		if calibrates {
			usual = paces[:1]
		}
		saw.Air.Uneven = unevenness(usual, paces)
		why, bad := saw.Air.why()
		if bad && !t.quick && try < mostTries && t.air.again() < mostDiscarded {
			t.air.discarded[why]++
			t.say("%s: discarded, %s", what, saw.Air)
			continue
		}
		if bad {
			t.air.kept++
		}
		if calibrates {
			t.air.usual = append(t.air.usual, paces[:]...)
		}
		return saw, nil
	}
}

// attempt does an order once.
func (t *tuner) attempt(s *server, o order) (saw seen, paces [2]pace, err error) {
	paces[0] = paceOf(serverCore)
	machine, err := machineNow()
	if err != nil {
		return saw, paces, err
	}
	began := time.Now()
	used, err := exactCPU(s.pids()[0])
	if err != nil {
		return saw, paces, err
	}
	cores, err := coresNow()
	if err != nil {
		return saw, paces, err
	}
	saw, client, err := t.ask(s, o)
	if err != nil {
		return saw, paces, err
	}
	coresAfter, err := coresNow()
	if err != nil {
		return saw, paces, err
	}
	usedAfter, err := exactCPU(s.pids()[0])
	if err != nil {
		return saw, paces, err
	}
	seconds := time.Since(began).Seconds()
	machineAfter, err := machineNow()
	saw.Air.Stolen, _ = disturbance(machine, machineAfter, 0, seconds)
	saw.Air.Foreign = foreignShare(cores, coresAfter, usedAfter-used, client) / seconds
	paces[1] = paceOf(serverCore)
	return saw, paces, err
}

// foreignShare is the seconds that others than the server ran on its core, or others than the client on all the
// others, whichever is more.
func foreignShare(before, after []float64, server, client float64) float64 {
	beside := 0.0
	for i := range after {
		if i != serverCore {
			beside += after[i] - before[i]
		}
	}
	return max(0, after[serverCore]-before[serverCore]-server, beside-client)
}

// coresNow is the seconds that each core has run programs since the machine started: to the nanosecond where there is
// a control group's account of them, else to the clock's tick.
func coresNow() ([]float64, error) {
	if text, err := os.ReadFile(groups + "/cpuacct/cpuacct.usage_percpu"); err == nil {
		return parseCores(strings.Fields(string(text)))
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	return parseTicks(string(text))
}

func parseCores(fields []string) ([]float64, error) {
	var all []float64
	for _, f := range fields {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, fmt.Errorf("%s/cpuacct/cpuacct.usage_percpu: %w", groups, err)
		}
		all = append(all, v/1e9)
	}
	if len(all) <= serverCore {
		return nil, fmt.Errorf("%s/cpuacct/cpuacct.usage_percpu names no core", groups)
	}
	return all, nil
}

// parseTicks reads the lines of the cores from /proc/stat.
func parseTicks(text string) ([]float64, error) {
	var all []float64
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 9 || !strings.HasPrefix(fields[0], "cpu") || fields[0] == "cpu" {
			continue
		}
		m, err := parseMachine("cpu " + strings.Join(fields[1:], " "))
		if err != nil {
			return nil, err
		}
		all = append(all, m.busy)
	}
	if len(all) <= serverCore {
		return nil, fmt.Errorf("/proc/stat names no core")
	}
	return all, nil
}

// pace is the CPU seconds that fixed computations take on a core: one in registers, one that streams memory. CPU time
// does not count while others run, so that it tells of the core and its caches alone.
type pace struct{ compute, stream float64 }

// unevenness is by how much, as a share, the slowest or quickest of paces differs from what is usual.
func unevenness(usual []pace, paces [2]pace) (worst float64) {
	if len(usual) == 0 {
		return 0
	}
	for _, of := range []func(pace) float64{func(p pace) float64 { return p.compute }, func(p pace) float64 { return p.stream }} {
		var all []float64
		for _, u := range usual {
			all = append(all, of(u))
		}
		middle, _ := summary(all)
		for _, p := range paces {
			if ratio := of(p) / middle; ratio > 0 {
				worst = max(worst, ratio-1, 1/ratio-1)
			}
		}
	}
	return worst
}

const (
	paceTurns  = 9       // of which the middle counts
	paceSteps  = 400_000 // of a turn in registers
	paceValues = 1 << 20 // of four bytes, that a turn streams
)

// paceOf measures a core from a thread that is bound to it and ends afterwards.
func paceOf(core int) pace {
	done := make(chan pace)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and its binding with it
		var mask [16]uint64
		mask[core/64] = 1 << (core % 64)
		syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
		values := make([]float32, paceValues)
		for i := range values {
			values[i] = float32(i & 7)
		}
		var compute, stream []float64
		for range paceTurns {
			compute = append(compute, threadTook(func() float64 { return spin(paceSteps) }))
			stream = append(stream, threadTook(func() float64 { return sweepOver(values) }))
		}
		var p pace
		p.compute, _ = summary(compute)
		p.stream, _ = summary(stream)
		done <- p
	}()
	return <-done
}

// spin is a chain of multiplications of which none can begin before the one before it has ended.
func spin(steps int) float64 {
	x := 1.0
	for range steps {
		x = x*0.999999 + 1e-6
	}
	return x
}

// sweepOver reads all values once.
func sweepOver(values []float32) float64 {
	var a, b, c, d float32
	for i := 0; i+3 < len(values); i += 4 {
		a, b, c, d = a+values[i], b+values[i+1], c+values[i+2], d+values[i+3]
	}
	return float64(a + b + c + d)
}

// threadTook is the CPU seconds of this thread for some work; the result of it is used, so that it is done.
func threadTook(work func() float64) float64 {
	before := threadCPU()
	if math.IsNaN(work()) {
		return 0 // unreachable unless bug
	}
	return threadCPU() - before
}

// threadCPU is the CPU seconds of the calling thread.
func threadCPU() float64 {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var at syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Nano()) / 1e9
}

// disturbed records how many windows were measured again.
func (t *tuner) disturbed() error {
	a := t.air
	t.say("done: %d windows, discarded %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept",
		a.windows, a.discarded[stolen], a.discarded[foreign], a.discarded[uneven], a.kept)
	return t.tuned("discarded_windows", float64(a.again()), fmt.Sprintf("of %d windows: %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept; %s",
		a.windows, a.discarded[stolen], a.discarded[foreign], a.discarded[uneven], a.kept, t.setting()))
}
