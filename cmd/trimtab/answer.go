package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// planAnswer is what GET /api/v1/plan gives.
type planAnswer struct {
	Version string         `json:"version"`
	Pass    passState      `json:"pass"`
	Plan    optimizer.Plan `json:"plan"` // of the last pass that worked
}

// workloadsAnswer is what GET /api/v1/workloads gives: the same assessments without the changes.
type workloadsAnswer struct {
	Version   string                 `json:"version"`
	Pass      passState              `json:"pass"`
	Workloads []optimizer.Assessment `json:"workloads"`
}

// passState says how fresh an answer is.
type passState struct {
	At          time.Time `json:"at"`                   // of the last pass that worked; zero: none yet
	Error       string    `json:"error,omitempty"`      // why the newest pass did not work; empty: it did
	Leading     bool      `json:"leading"`              // this replica acts; a standby only looks
	SeriesSince time.Time `json:"seriesSince,omitzero"` // the oldest measurement in its store
}

// find picks one workload by NAMESPACE/NAME.
func (p planAnswer) find(name string) (optimizer.Assessment, error) {
	i := slices.IndexFunc(p.Plan.Assessments, func(a optimizer.Assessment) bool {
		return a.Ref.Namespace+"/"+a.Ref.Name == name
	})
	if i >= 0 {
		return p.Plan.Assessments[i], nil
	}
	var known []string
	for _, a := range p.Plan.Assessments {
		known = append(known, a.Ref.Namespace+"/"+a.Ref.Name)
	}
	return optimizer.Assessment{}, badInput("trimtab: no workload %s in the plan; it has %s", name, cmp.Or(strings.Join(known, ", "), "none: no policy selects any"))
}

// fetch reads the daemon's plan by read, which gives the bytes of one API path.
func fetch(ctx context.Context, read func(ctx context.Context, path string) ([]byte, error)) (planAnswer, error) {
	body, err := read(ctx, "/api/v1/plan")
	if err != nil {
		return planAnswer{}, err
	}
	var a planAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return planAnswer{}, fmt.Errorf("read the daemon's plan: %w; are the daemon and this program of one version?", err)
	}
	return a, nil
}

// readURL reads a path of a server given by --server.
func readURL(base string) func(ctx context.Context, path string) ([]byte, error) {
	return func(ctx context.Context, path string) ([]byte, error) {
		if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, badInput("trimtab: --server %s: write it with its scheme, such as http://localhost:8080", base)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+path, nil)
		if err != nil {
			return nil, badInput("trimtab: --server %s: %v", base, err)
		}
		resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
		if err != nil {
			return nil, fmt.Errorf("ask the daemon: %w; is it running there?", err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("ask the daemon: %s: %s", resp.Status, strings.TrimSpace(string(body)))
		}
		return body, err
	}
}
