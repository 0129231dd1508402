// Package cgroup reads what the kernel lets this process have. Limits change while a process runs: an
// in-place resize of a pod rewrites them, so that they are to be read again from time to time.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Limits are what a control group allows; zero: no limit.
type Limits struct {
	CPU    float64 // cores
	Memory int64   // bytes
}

// Read reads the limits of the process's own control group, of version 2 or 1. root is the file system
// that has sys/fs/cgroup and proc/self/cgroup (os.DirFS("/")). In a container the group is mounted at the
// root of sys/fs/cgroup; elsewhere proc/self/cgroup tells where below it the process is. A file that is not
// there is no limit; one that cannot be read or understood is an error, and what it says may be missing.
func Read(root fs.FS) (Limits, error) {
	self, _, err := read(root, "proc/self", "cgroup") // without it: the mounted root
	var l Limits
	faults := []error{err}
	for _, g := range groups(self) {
		faults = append(faults, l.lower(root, g))
	}
	return l, errors.Join(faults...)
}

// groups lists the folders below the root that may hold limits: each group of the process with its parents,
// for a limit holds for all below it.
func groups(self string) []string {
	const mount = "sys/fs/cgroup"
	dirs := []string{mount, mount + "/cpu", mount + "/cpu,cpuacct", mount + "/memory"}
	for line := range strings.Lines(self) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for p := path.Clean("/" + parts[2]); p != "/"; p = path.Dir(p) {
			dirs = append(dirs, path.Join(mount, parts[1], p))
		}
	}
	return dirs
}

// lower takes over the limits of one folder where they are stricter.
func (l *Limits) lower(root fs.FS, dir string) error {
	cpu, err := quota(root, dir)
	memory, err2 := bytesOf(root, dir)
	if cpu > 0 && (l.CPU == 0 || cpu < l.CPU) {
		l.CPU = cpu
	}
	if memory > 0 && (l.Memory == 0 || memory < l.Memory) {
		l.Memory = memory
	}
	return errors.Join(err, err2)
}

// quota is the CPU limit in cores: "150000 100000" in cpu.max is 1.5, as are the same figures in the two
// files of version 1.
func quota(root fs.FS, dir string) (float64, error) {
	text, ok, err := read(root, dir, "cpu.max")
	if err == nil && !ok {
		text, ok, err = quota1(root, dir)
	}
	if err != nil || !ok {
		return 0, err
	}
	fields := strings.Fields(text)
	if len(fields) == 2 && (fields[0] == "max" || fields[0] == "-1") {
		return 0, nil
	}
	if len(fields) != 2 {
		return 0, errors.New(dir + ": " + strconv.Quote(text) + " is no CPU quota and period")
	}
	q, err := strconv.ParseFloat(fields[0], 64)
	p, err2 := strconv.ParseFloat(fields[1], 64)
	if err != nil || err2 != nil || !(q > 0) || !(p > 0) {
		return 0, errors.New(dir + ": " + strconv.Quote(text) + " is no CPU quota and period")
	}
	return q / p, nil
}

// quota1 reads the two files of version 1 as version 2 has them in one.
func quota1(root fs.FS, dir string) (text string, ok bool, err error) {
	q, ok1, err1 := read(root, dir, "cpu.cfs_quota_us")
	p, ok2, err2 := read(root, dir, "cpu.cfs_period_us")
	return q + " " + p, ok1 && ok2, errors.Join(err1, err2)
}

// unlimited is where version 1 begins to mean "no limit": it writes the largest multiple of a page.
const unlimited = 1 << 62

func bytesOf(root fs.FS, dir string) (int64, error) {
	text, ok, err := read(root, dir, "memory.max")
	if err == nil && !ok {
		text, ok, err = read(root, dir, "memory.limit_in_bytes")
	}
	if err != nil || !ok || text == "max" {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errors.New(dir + ": " + strconv.Quote(text) + " is no memory limit")
	}
	if n >= unlimited {
		return 0, nil
	}
	return int64(n), nil
}

// read reads a file; ok is false where there is none.
func read(root fs.FS, dir, name string) (text string, ok bool, err error) {
	data, err := fs.ReadFile(root, dir+"/"+name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("read a limit: %w", err)
	}
	return strings.TrimSpace(string(data)), true, nil
}
