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

// first gives the group all the weight that a group can have: what else runs on the machine waits for it.
func (g group) first() error {
	if unified() {
		return os.WriteFile(g.file("cpu.weight"), []byte("10000"), 0)
	}
	return os.WriteFile(g.file("cpu.shares"), []byte("262144"), 0)
}

// free lifts the CPU limit.
func (g group) free() error {
	if unified() {
		return os.WriteFile(g.file("cpu.max"), []byte("max"), 0)
	}
	return os.WriteFile(g.file("cpu.cfs_quota_us"), []byte("-1"), 0)
}

// enter is the front of a command line that runs the rest in the group.
func (g group) enter() []string {
	return []string{"sh", "-c", `echo $$ > "$0" && exec "$@"`, g.file("cgroup.procs")}
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
