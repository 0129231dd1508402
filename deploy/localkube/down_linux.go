package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cgroup"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

func down(_ context.Context, state string) error {
	unlock, err := lock(state + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	_, missing := running(state)
	if err := clear(state); err != nil {
		return err
	}
	if missing != nil {
		say("no cluster was up; nothing is left\n")
		return nil
	}
	say("the cluster is down and removed\n")
	return nil
}

// clear ends the cluster of a state directory and removes all that it left,
// however it ended. It is safe to repeat.
func clear(state string) error {
	if err := checkOurs(state); err != nil {
		return err
	}
	if err := stopOnly(state); err != nil {
		return err
	}
	dropKubeconfig(state)
	return remove(state)
}

// markFile says that a directory may be removed. It is the first file in it.
const markFile = "localkube-state"

// remove gives the directory another name first: one that is removed halfway
// may have lost its mark.
func remove(state string) error {
	going := state + ".removing"
	if err := os.RemoveAll(going); err != nil {
		return fmt.Errorf("remove state directory: %w; is a shell or a mount in it?", err)
	}
	if err := os.Rename(state, going); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove state directory: %w; is a shell or a mount in it?", err)
	}
	var err error
	for range 20 { // programs of level 2 may be ending and still write
		if err = os.RemoveAll(going); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("remove state directory: %w; is a shell or a mount in it?", err)
}

// checkOurs refuses to remove a directory that is not a cluster's.
func checkOurs(state string) error {
	entries, err := os.ReadDir(state)
	if errors.Is(err, os.ErrNotExist) || len(entries) == 0 && err == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into state directory: %w", err)
	}
	if _, err := os.Stat(filepath.Join(state, markFile)); err != nil {
		return remedy{fmt.Errorf("%s holds files of others; set LOCALKUBE_STATE to a directory of its own", state)}
	}
	return nil
}

// stopOnly ends all processes and removes the control groups.
func stopOnly(state string) error {
	if id, ok := supervisor.ReadIdentity(state); ok {
		if err := id.Kill(10 * time.Second); err != nil {
			return err
		}
	}
	h, err := cgroup.Detect(cgroup.Mount)
	if err != nil || os.Geteuid() != 0 {
		return nil // no level 3 cluster can have been here
	}
	return h.Remove(cluster.CgroupName(cluster.IDOf(state)), 5*time.Second)
}

// dropKubeconfig removes the kubeconfig if it is still this cluster's.
func dropKubeconfig(state string) {
	spec, err := supervisor.ReadSpec(state)
	if err != nil {
		return
	}
	ours, err := os.ReadFile(publicKubeconfig(state))
	if err != nil {
		return
	}
	if theirs, err := os.ReadFile(spec.Out); err == nil && bytes.Equal(ours, theirs) {
		os.Remove(spec.Out)
	}
}

func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", remedy{fmt.Errorf("find program: %w", err)}
	}
	return filepath.Abs(path)
}
