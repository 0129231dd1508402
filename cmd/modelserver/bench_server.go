package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is what /proc counts CPU time in: USER_HZ, which is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuClock is the CPU time of some processes at one moment.
type cpuClock struct {
	ticks   time.Duration            // of the processes, in steps of clockTick
	threads map[string]time.Duration // of each thread, exact; empty where the kernel does not say
}

// cpuOf reads the CPU time that the processes have used.
func cpuOf(pids []int) (cpuClock, error) {
	c := cpuClock{threads: map[string]time.Duration{}}
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return c, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		used, err := ticksOf(stat)
		if err != nil {
			return c, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		c.ticks += used
		c.addThreads(pid)
	}
	return c, nil
}

// ticksOf reads user and system time from a stat file. Names of processes may hold spaces and brackets.
func ticksOf(stat []byte) (time.Duration, error) {
	_, rest, found := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("stat is %.80q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("stat is %.80q", stat)
	}
	return time.Duration(user+system) * clockTick, nil
}

func (c *cpuClock) addThreads(pid int) {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // a constant pattern
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		if ns, err := strconv.ParseInt(first, 10, 64); err == nil {
			c.threads[name] = time.Duration(ns)
		}
	}
}

// since is the CPU time used after before. It is exact when no thread of before has ended, and else in
// ticks of 10 ms.
func (c cpuClock) since(before cpuClock) time.Duration {
	if len(c.threads) == 0 {
		return c.ticks - before.ticks
	}
	var used time.Duration
	for _, at := range c.threads {
		used += at
	}
	for name, at := range before.threads {
		if _, lives := c.threads[name]; !lives {
			return c.ticks - before.ticks
		}
		used -= at
	}
	return used
}

// counters are what a server's metrics say; false where they do not.
type counters struct {
	rows, batches, compute float64
	hasRows, hasCompute    bool
}

// countersOf reads them, as this server names them or as Triton does.
func countersOf(text []byte, model string) counters {
	var c counters
	sums := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, labels, value, ok := sample(line)
		if ok && (!strings.Contains(labels, `model="`) || strings.Contains(labels, fmt.Sprintf(`model=%q`, model))) {
			sums[name] += value
		}
	}
	_, ours := sums["modelserver_executions_total"]
	_, tritons := sums["nv_inference_exec_count"]
	switch {
	case ours:
		c.rows, c.batches, c.hasRows = sums["modelserver_inferences_total"], sums["modelserver_executions_total"], true
	case tritons:
		c.rows, c.batches, c.hasRows = sums["nv_inference_count"], sums["nv_inference_exec_count"], true
	}
	c.compute, c.hasCompute = sums["modelserver_compute_cpu_seconds_total"]
	return c
}

// sample reads a line of the text format: name{labels} value.
func sample(line string) (name, labels string, value float64, ok bool) {
	line = strings.TrimSpace(line)
	if i := strings.LastIndexByte(line, '}'); i > 0 {
		name, labels, ok = strings.Cut(line[:i], "{")
		line = line[i+1:]
	} else {
		name, line, ok = strings.Cut(line, " ")
	}
	fields := strings.Fields(line)
	if !ok || strings.HasPrefix(name, "#") || len(fields) == 0 {
		return "", "", 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	return name, labels, value, err == nil
}

// look is what the server has used up to one moment.
type look struct {
	at       time.Time
	cpu      cpuClock
	counters counters
}

// look reads the CPU times and the metrics. The metrics come first in the first look and last in the
// last, so that the server's work for them is not measured.
func (b *bencher) look(ctx context.Context, last bool) (l look, err error) {
	if !last {
		l.counters, err = b.scrape(ctx)
	}
	l.at = time.Now()
	if err == nil && len(b.pids) > 0 {
		l.cpu, err = cpuOf(b.pids)
	}
	if last && err == nil {
		l.counters, err = b.scrape(ctx)
	}
	return l, err
}

func (b *bencher) scrape(ctx context.Context) (counters, error) {
	if b.metrics == "" {
		return counters{}, nil
	}
	text, err := get(ctx, b.metrics, "")
	return countersOf(text, b.name), err
}
