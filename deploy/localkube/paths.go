package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// cacheDir holds what may be used again: the binaries.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", remedy{fmt.Errorf("find cache directory: %w; set HOME or XDG_CACHE_HOME", err)}
	}
	return filepath.Join(base, "trimtab"), nil
}

// stateDir holds the one cluster that runs: keys, data, logs, sockets.
func stateDir() (string, error) {
	if dir := os.Getenv("LOCALKUBE_STATE"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := cacheDir()
	return filepath.Join(cache, "localkube"), err
}
