//go:build crashpoints

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
)

// instrument makes the process die by SIGKILL right after each of its first writes that the API server
// took, so that every step of a change is the last one of some process. The writes survived so far are
// files in the folder TRIMTAB_CRASH_DIR; a file "limit" there says after how many it lives on.
func instrument(cfg *rest.Config) {
	dir := os.Getenv("TRIMTAB_CRASH_DIR")
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return dying{next, dir} })
}

type dying struct {
	next http.RoundTripper
	dir  string
}

// RoundTrip implements http.RoundTripper.
func (d dying) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err == nil && resp.StatusCode < 300 && d.dir != "" && counts(r) {
		d.die(r)
	}
	return resp, err
}

// counts tells whether a request is a step of a change: a write of a workload, a pod or a ConfigMap.
// Leases and Events are written by the clock.
func counts(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") &&
		!strings.Contains(r.URL.Path, "/events") && !strings.Contains(r.URL.Path, "reviews")
}

func (d dying) die(r *http.Request) {
	limit := 0
	if text, err := os.ReadFile(filepath.Join(d.dir, "limit")); err == nil {
		fmt.Sscan(string(text), &limit)
	}
	died, _ := filepath.Glob(filepath.Join(d.dir, "write-*"))
	if len(died) >= limit {
		return
	}
	name := filepath.Join(d.dir, fmt.Sprintf("write-%02d", len(died)+1))
	if os.WriteFile(name, []byte(r.Method+" "+r.URL.Path+"\n"), 0o644) == nil {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}
