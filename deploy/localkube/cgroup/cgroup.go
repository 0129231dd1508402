// Package cgroup makes and removes the control groups of a cluster. It creates
// sub-directories of its own and removes them when they are empty; it never
// moves a process and never touches a directory that it did not make.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Mount is where control groups are found on Linux.
const Mount = "/sys/fs/cgroup"

// needed are the controllers without which no kubelet runs.
var needed = []string{"cpu", "cpuacct", "cpuset", "memory", "pids"}

// Host is the control group layout of a machine.
type Host struct {
	Root        string   // usually Mount
	Unified     bool     // version 2 only
	Hierarchies []string // version 1: directories below Root
}

// Detect reads the layout below root.
func Detect(root string) (Host, error) {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return Host{Root: root, Unified: true}, checkUnified(root)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return Host{}, fmt.Errorf("read control groups: %w; mount them at %s", err, root)
	}
	h := Host{Root: root}
	for _, e := range entries {
		if e.IsDir() && isHierarchy(filepath.Join(root, e.Name())) {
			h.Hierarchies = append(h.Hierarchies, e.Name())
		}
	}
	for _, name := range needed {
		if !isHierarchy(filepath.Join(root, name)) {
			return h, fmt.Errorf("the %s controller is not mounted at %s; use --level 2", name, filepath.Join(root, name))
		}
	}
	return h, nil
}

// isHierarchy follows links: many machines have cpu -> cpu,cpuacct.
func isHierarchy(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.procs"))
	return err == nil
}

func checkUnified(root string) error {
	have, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read control groups: %w", err)
	}
	for _, name := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !slices.Contains(strings.Fields(string(have)), name) {
			return fmt.Errorf("the %s controller is not available in %s; use --level 2", name, root)
		}
	}
	return nil
}

// String says the layout in a word.
func (h Host) String() string {
	if h.Unified {
		return "cgroup v2"
	}
	return "cgroup v1"
}

func (h Host) roots() []string {
	if h.Unified {
		return []string{h.Root}
	}
	var roots []string
	for _, name := range h.Hierarchies {
		roots = append(roots, filepath.Join(h.Root, name))
	}
	return roots
}

// Create makes the group at path, such as /trimtab-1a2b3c/spot-1, in every
// hierarchy and fills what a new group needs before processes may join.
func (h Host) Create(path string) error {
	for _, root := range h.roots() {
		dir := root
		for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
			parent := dir
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make control group: %w", err)
			}
			if err := h.prepare(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h Host) prepare(parent, dir string) error {
	if h.Unified {
		err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+cpu +cpuset +memory +pids +io"), 0)
		if err != nil {
			return fmt.Errorf("hand controllers to %s: %w; use --level 2", dir, err)
		}
		return nil
	}
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, name))
		if err != nil {
			continue // not the cpuset hierarchy
		}
		if err := os.WriteFile(filepath.Join(dir, name), value, 0); err != nil {
			return fmt.Errorf("fill %s: %w", filepath.Join(dir, name), err)
		}
	}
	return nil
}

// Remove takes away the group called name and all below it. It waits a little
// for the kernel, which empties groups after their processes have ended.
func (h Host) Remove(name string, wait time.Duration) error {
	end := time.Now().Add(wait)
	for {
		err := h.removeOnce(name)
		if err == nil || time.Now().After(end) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Left lists the directories of the group called name that exist.
func (h Host) Left(name string) []string {
	var left []string
	for _, root := range h.roots() {
		dir := filepath.Join(root, name)
		if _, err := os.Stat(dir); err == nil {
			left = append(left, dir)
		}
	}
	return left
}

func (h Host) removeOnce(name string) error {
	var faults []error
	for _, dir := range h.Left(name) {
		faults = append(faults, removeTree(dir))
	}
	return errors.Join(faults...)
}

// removeTree uses rmdir only: it cannot remove a group that is in use.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove control group: %w", err)
	}
	return nil
}
