package main

import (
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// groups is where control groups are found on Linux.
const groups = "/sys/fs/cgroup"

// group is the directory of a control group of our own, as far as it holds a CPU limit.
type group string

func unified() bool {
	_, err := os.Stat(filepath.Join(groups, "cgroup.controllers"))
	return err == nil
}

func newGroup(name string) (group, error) {
	dir := filepath.Join(groups, "cpu", name)
	if unified() {
		dir = filepath.Join(groups, name)
	}
	return group(dir), os.Mkdir(dir, 0o755)
}

// file is one of the group's files.
func (g group) file(name string) string { return filepath.Join(string(g), name) }

// limit rewrites the CPU limit, as an in-place resize of a pod does.
func (g group) limit(cores float64) error {
	const period = 100_000 // microseconds
	quota := strconv.Itoa(int(cores * period))
	if unified() {
		return os.WriteFile(g.file("cpu.max"), []byte(quota+" "+strconv.Itoa(period)), 0)
	}
	return os.WriteFile(g.file("cpu.cfs_quota_us"), []byte(quota), 0)
}

// remove takes the group away. It waits a little for the kernel, which empties groups after their processes have
// ended.
func (g group) remove(wait time.Duration) error {
	for end := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		if err := os.Remove(string(g)); err == nil || time.Now().After(end) {
			return err
		}
	}
}
