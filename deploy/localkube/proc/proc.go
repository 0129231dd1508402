// Package proc knows processes by more than their number: a process id is
// reused, the pair of id and start time is not.
package proc

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Identity names one process of this boot.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
}

// Of reads the identity of a running process; pid 0 is the caller itself, as
// the mounted /proc numbers it.
func Of(pid int) (Identity, error) {
	name := "self"
	if pid != 0 {
		name = strconv.Itoa(pid)
	}
	text, err := os.ReadFile("/proc/" + name + "/stat")
	if err != nil {
		return Identity{}, fmt.Errorf("read process %s: %w", name, err)
	}
	s, err := parseStat(string(text))
	return s.Identity, err
}

// Alive is true while exactly this process runs. A zombie has ended once its
// last thread has: the first one may be a zombie while others still work.
func (i Identity) Alive() bool {
	if i.PID <= 0 {
		return false
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(i.PID) + "/stat")
	if err != nil {
		return false
	}
	s, err := parseStat(string(text))
	if err != nil || s.Identity != i {
		return false
	}
	if s.state != 'Z' && s.state != 'X' {
		return true
	}
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(i.PID) + "/task")
	return err == nil && len(threads) > 1
}

// Kill ends exactly this process and waits until it is gone. The handle is
// opened before the identity is checked, so a reused number is never hit.
func (i Identity) Kill(wait time.Duration) error {
	p, err := os.FindProcess(i.PID)
	if err != nil || !i.Alive() {
		return nil
	}
	defer p.Release()
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", i.PID, err)
	}
	for end := time.Now().Add(wait); i.Alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("process %d did not end within %s; try again in a moment", i.PID, wait)
		}
	}
	return nil
}

type stat struct {
	Identity
	state byte
}

// parseStat reads what follows the last bracket: the program name before it
// may hold spaces and brackets of its own.
func parseStat(text string) (stat, error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return stat{}, fmt.Errorf("process line %q has no name", text)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text[:open]))
	if err != nil {
		return stat{}, fmt.Errorf("process line %q: %w", text, err)
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 20 || fields[0] == "" {
		return stat{}, fmt.Errorf("process line %q is short", text)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process line %q: %w", text, err)
	}
	return stat{Identity{pid, start}, fields[0][0]}, nil
}
