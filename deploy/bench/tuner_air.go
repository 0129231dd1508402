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
	Windows   int         `json:"windows"`
	Discarded [faults]int `json:"discarded"` // by why, the first of several
	Kept      int         `json:"kept"`      // disturbed, and measured as often as a window is
}

// again is how many windows were discarded.
func (a air) again() int { return a.Discarded[stolen] + a.Discarded[foreign] + a.Discarded[uneven] }

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
	Paces   [2]pace `json:"paces"`   // of the server's core, before and after the window
	During  pace    `json:"during"`  // in the window; Stream is 0
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
		if saw, err = t.attempt(s, o); err != nil {
			return saw, fmt.Errorf("%s: %w", what, err)
		}
		air := &t.survey.Air
		air.Windows++
		usual := t.usual
		if calibrates {
			usual = saw.Air.Paces[:1]
		}
		saw.Air.Uneven = unevenness(usual, saw.Air.Paces)
		why, bad := saw.Air.why()
		if bad && !t.quick && try < mostTries && air.again() < mostDiscarded {
			air.Discarded[why]++
			t.say("%s: discarded, %s", what, saw.Air)
			continue
		}
		if bad {
			air.Kept++
		}
		if calibrates {
			t.usual = append(t.usual, saw.Air.Paces[:]...)
		}
		return saw, nil
	}
}

// attempt does an order once.
func (t *tuner) attempt(s *server, o order) (saw seen, err error) {
	before := paceOf(serverCore)
	machine, err := machineNow()
	if err != nil {
		return saw, err
	}
	began := time.Now()
	used, err := exactCPU(s.pids()[0])
	if err != nil {
		return saw, err
	}
	cores, err := coresNow()
	if err != nil {
		return saw, err
	}
	during := paceDuring(serverCore)
	saw, client, err := t.ask(s, o)
	saw.Air.During = during()
	if err != nil {
		return saw, err
	}
	coresAfter, err := coresNow()
	if err != nil {
		return saw, err
	}
	usedAfter, err := exactCPU(s.pids()[0])
	if err != nil {
		return saw, err
	}
	seconds := time.Since(began).Seconds()
	machineAfter, err := machineNow()
	saw.Air.Stolen, _ = disturbance(machine, machineAfter, 0, seconds)
	saw.Air.Foreign = foreignShare(cores, coresAfter, usedAfter-used, client) / seconds
	saw.Air.Paces = [2]pace{before, paceOf(serverCore)}
	return saw, err
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

// pace is the CPU seconds that fixed computations take on a core: one in registers whose steps wait for each other,
// which the clock bounds; one whose steps do not, which a neighbour on the same physical core slows too; and one that
// streams memory. CPU time does not count while others run, so that it tells of the core and its caches alone.
type pace struct {
	Compute float64 `json:"compute"`
	Crowd   float64 `json:"crowd"`
	Stream  float64 `json:"stream"`
}

// unevenness is by how much, as a share, the slowest or quickest of paces differs from what is usual.
func unevenness(usual []pace, paces [2]pace) (worst float64) {
	if len(usual) == 0 {
		return 0
	}
	for _, of := range []func(pace) float64{func(p pace) float64 { return p.Compute }, func(p pace) float64 { return p.Stream }} {
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
		bindTo(core)
		values := make([]float32, paceValues)
		for i := range values {
			values[i] = float32(i & 7)
		}
		var all []pace
		for range paceTurns {
			p := turn(paceSteps)
			p.Stream = threadTook(func() float64 { return sweepOver(values) })
			all = append(all, p)
		}
		done <- middlePace(all)
	}()
	return <-done
}

// bindTo binds the calling goroutine to a thread on a core. The thread ends with the goroutine, and its binding with it.
func bindTo(core int) {
	runtime.LockOSThread()
	var mask [16]uint64
	mask[core/64] = 1 << (core % 64)
	syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
}

// turn does the computations in registers once.
func turn(steps int) pace {
	return pace{
		Compute: threadTook(func() float64 { return spin(steps) }) * (paceSteps / float64(steps)),
		Crowd:   threadTook(func() float64 { return spinMany(steps) }) * (paceSteps / float64(steps)),
	}
}

// paceDuring measures a core until the returned function is called, which tells the middle. It computes for 0.3 ms
// of each pauseOfPace, only while nobody else wants the core, and in registers, so that no cache is disturbed.
func paceDuring(core int) func() pace {
	stop, done := make(chan struct{}), make(chan pace)
	go func() {
		bindTo(core)
		const idle = 5 // SCHED_IDLE
		var priority int32
		syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, idle, uintptr(unsafe.Pointer(&priority)))
		var all []pace
		for {
			all = append(all, turn(paceSteps/8))
			select {
			case <-stop:
				done <- middlePace(all)
				return
			case <-time.After(pauseOfPace):
			}
		}
	}()
	return func() pace { close(stop); return <-done }
}

// pauseOfPace is how often a core's pace is looked at in a window.
const pauseOfPace = 50 * time.Millisecond

// middlePace is the median of each number.
func middlePace(all []pace) pace {
	of := func(get func(pace) float64) float64 {
		var x []float64
		for _, p := range all {
			x = append(x, get(p))
		}
		m, _ := summary(x)
		return m
	}
	return pace{of(func(p pace) float64 { return p.Compute }), of(func(p pace) float64 { return p.Crowd }), of(func(p pace) float64 { return p.Stream })}
}

// spin is a chain of multiplications of which none can begin before the one before it has ended.
func spin(steps int) float64 {
	x := 1.0
	for range steps {
		x = x*0.999999 + 1e-6
	}
	return x
}

// spinMany is eight such chains, which do not wait for each other.
func spinMany(steps int) float64 {
	const x, y = 0.999999, 1e-6
	a, b, c, d, e, f, g, h := 1., 2., 3., 4., 5., 6., 7., 8.
	for range steps {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	return a + b + c + d + e + f + g + h
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
	a := t.survey.Air
	t.say("done: %d windows, discarded %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept",
		a.Windows, a.Discarded[stolen], a.Discarded[foreign], a.Discarded[uneven], a.Kept)
	return t.tuned("discarded_windows", float64(a.again()), fmt.Sprintf("of %d windows: %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept; %s",
		a.Windows, a.Discarded[stolen], a.Discarded[foreign], a.Discarded[uneven], a.Kept, t.survey.Machine))
}
