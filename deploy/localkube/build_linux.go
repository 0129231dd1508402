package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/build"
)

// binaries returns the directory of the built binaries, after a build if need be.
func binaries(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	src := build.Source{Files: source}
	dir, err := src.Dir(cache)
	if err != nil || build.Present(dir) {
		return dir, err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if build.Present(dir) {
		return dir, nil
	}
	say("building Kubernetes %s and its tools from pinned modules; the first time takes minutes\n", build.KubernetesVersion)
	return dir, build.Run(ctx, src, dir, build.NewProgress(os.Stdout, isTerminal(os.Stdout), time.Now))
}

func isTerminal(f *os.File) bool {
	s, err := f.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// lock waits until no other localkube works on path.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		say("another localkube is at work; waiting for it\n")
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
