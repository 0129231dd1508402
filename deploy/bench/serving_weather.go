package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What makes a window worthless: the host took the CPU away, or others on this machine used it. The window
// is measured again, as long as mostDiscarded of the trial are not used up.
const (
	mostStolen    = 0.03 // of all CPU time
	mostOthers    = 0.30 // cores
	mostDiscarded = 40
)

// weather counts what disturbed a trial.
type weather struct {
	windows, discarded int
	kept               int     // disturbed, but measured all the same
	stolen             float64 // largest share in a window that counts
}

// machineTime is what the machine's CPUs have done since it started, in seconds.
type machineTime struct{ busy, stolen, all float64 }

// machineNow reads /proc/stat.
func machineNow() (machineTime, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machineTime{}, err
	}
	return parseMachine(string(text))
}

// parseMachine reads the first line: user nice system idle iowait irq softirq steal. Interrupts are no
// one's own, and those of loopback traffic are the server's and the client's, so they are not busy here.
func parseMachine(text string) (machineTime, error) {
	first, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(first)
	if len(fields) < 9 || fields[0] != "cpu" {
		return machineTime{}, fmt.Errorf("/proc/stat begins with %.60q", first)
	}
	var m machineTime
	for i, f := range fields[1:9] {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return m, fmt.Errorf("/proc/stat begins with %.60q", first)
		}
		v /= ticksPerSecond
		m.all += v
		switch i {
		case 0, 1, 2:
			m.busy += v
		case 7:
			m.stolen += v
		}
	}
	return m, nil
}

// disturbance is what others had of a window: the share of all CPU time that the host took, and the cores
// that programs other than the measured ones used.
func disturbance(before, after machineTime, own, seconds float64) (stolen, others float64) {
	if all := after.all - before.all; all > 0 {
		stolen = (after.stolen - before.stolen) / all
	}
	return stolen, max(0, after.busy-before.busy-own) / seconds
}

// calm measures until nothing disturbs, within limits. measure returns the CPU seconds that the server and
// its client used.
func (t *trial) calm(what string, measure func() (own float64, err error)) error {
	for {
		before, err := machineNow()
		begin := time.Now()
		own, err2 := measure()
		seconds := time.Since(begin).Seconds()
		after, err3 := machineNow()
		if err := errors.Join(err, err2, err3); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		t.weather.windows++
		stolen, others := disturbance(before, after, own, seconds)
		bad := stolen > mostStolen || others > mostOthers
		if !bad || t.quick || t.weather.discarded >= mostDiscarded {
			if bad {
				t.weather.kept++
			}
			t.weather.stolen = max(t.weather.stolen, stolen)
			return nil
		}
		t.weather.discarded++
		t.say("%s: discarded, %.1f %% stolen, others used %.2f cores", what, 100*stolen, others)
	}
}

// weatherReport records how disturbed the trial was, with the machine it ran on.
func (t *trial) weatherReport() error {
	w := t.weather
	t.say("done: %d windows, %d discarded, %d disturbed ones kept, at most %.1f %% stolen in one that counts", w.windows, w.discarded, w.kept, 100*w.stolen)
	return t.alone("discarded_windows", float64(w.discarded), fmt.Sprintf("of %d windows, %d disturbed ones kept; %s", w.windows, w.kept, t.setting()))
}
