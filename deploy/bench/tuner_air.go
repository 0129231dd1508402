package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What makes a window of the tuner's worthless. None of it looks at what the window measured, so that no window is
// thrown away for being predicted badly.
const (
	lookStolen  = 0.005 // of a window that the tuner learns from: 10 ms of it are a p99
	mostForeign = 0.02  // of the window that others ran on the server's core or on the client's
	mostPace    = 0.10  // by which the server's core was quicker or slower than in the calibration
	mostTries   = 3     // of one window; the last is kept as it is
)

var weatherRule = fmt.Sprintf("a window is discarded and run again, at most %d times and %d in all, if the host stole more than %g %% of it (%g %% of one that is learnt from, which are run again however often that was), if others ran for more than %g %% of it on the server's core or the client's, or if fixed computations on the server's core, whenever it was free in the window, took over %g %% more or less CPU time than in the calibration of the same repeat; what the window measured is not looked at",
	mostTries-1, mostDiscarded, 100*mostStolen, 100*lookStolen, 100*mostForeign, 100*mostPace)

// air is how undisturbed the tuner's windows were.
type air struct {
	Windows   int         `json:"windows"`
	Discarded [faults]int `json:"discarded"` // by why, the first of several
	Learnt    int         `json:"learnt"`    // of these, that were to be learnt from
	Kept      int         `json:"kept"`      // disturbed, and measured as often as a window is
}

// again is how many windows were discarded.
func (a air) again() int { return a.Discarded[stolen] + a.Discarded[foreign] + a.Discarded[uneven] }

// and is the same of more windows.
func (a air) and(more air) air {
	for i, n := range more.Discarded {
		a.Discarded[i] += n
	}
	return air{a.Windows + more.Windows, a.Discarded, a.Learnt + more.Learnt, a.Kept + more.Kept}
}

// room tells whether one more window, to be learnt from or not, may be run again.
func (a air) room(learnt bool) bool { return learnt || a.again()-a.Learnt < mostDiscarded }

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
	During  pace    `json:"during"`  // pace of the server's core
}

// why tells what is wrong with the conditions of a window, which is to be learnt from or not; false: nothing.
func (c conditions) why(learnt bool) (fault, bool) {
	switch {
	case c.Stolen > mostStolen || learnt && c.Stolen > lookStolen:
		return stolen, true
	case c.Foreign > mostForeign:
		return foreign, true
	case c.Uneven > mostPace:
		return uneven, true
	}
	return faults, false
}

// calm tells whether a window counts where enough others do: the host stole no more of it than may be, and others ran for no
// more. What is off about the core's pace is taken into account otherwise.
func (c conditions) calm() bool { return c.Stolen <= mostStolen && c.Foreign <= mostForeign }

// fewestCalm is how many windows have to be calm for the others not to count.
const fewestCalm = 3

// counting are the windows that count: the calm ones, or all where these are too few.
func counting(windows []seen) []bool {
	calm, n := make([]bool, len(windows)), 0
	for i, w := range windows {
		if calm[i] = w.Air.calm(); calm[i] {
			n++
		}
	}
	if n < fewestCalm {
		for i := range calm {
			calm[i] = true
		}
	}
	return calm
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
			usual = nil
		}
		saw.Air.Uneven = unevenness(usual, saw.Air.During)
		why, bad := saw.Air.why(calibrates)
		if bad && !t.quick && try < mostTries && air.room(calibrates) {
			air.Discarded[why]++
			if calibrates {
				air.Learnt++
			}
			t.say("%s: discarded, %s", what, saw.Air)
			continue
		}
		if bad {
			air.Kept++
		}
		if calibrates {
			t.usual = append(t.usual, saw.Air.During)
		}
		return saw, nil
	}
}

// attempt does an order once.
func (t *tuner) attempt(s *server, o order) (saw seen, err error) {
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
	paced, mine := during()
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
	saw.Air.Foreign = foreignShare(cores, coresAfter, usedAfter-used+mine, client) / seconds
	saw.Air.During = paced
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

// disturbed records how many windows were measured again.
func (t *tuner) disturbed() error {
	a := t.survey.Air
	t.say("done: %d windows, discarded %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept",
		a.Windows, a.Discarded[stolen], a.Discarded[foreign], a.Discarded[uneven], a.Kept)
	return t.tuned("discarded_windows", float64(a.again()), fmt.Sprintf("of %d windows: %d for stolen time, %d for others on their cores, %d for the core's pace; %d disturbed ones kept; %s",
		a.Windows, a.Discarded[stolen], a.Discarded[foreign], a.Discarded[uneven], a.Kept, t.survey.Machine))
}
