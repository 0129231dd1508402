package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// liveWindow is how long a window of the load's report is.
const liveWindow = 10 * time.Second

// loadReport is what modelserver load writes with --report, as far as it is read here.
type loadReport struct {
	Begun   time.Time `json:"begun"`
	Seconds float64   `json:"seconds"`
	Asked   float64   `json:"asked"`
	P99     *float64  `json:"p99_ms"`
	Late    *float64  `json:"sent_late_p99_ms"`
	Windows []struct {
		Start  float64  `json:"start_s"`
		Sent   int      `json:"sent"`
		OK     int      `json:"ok"`
		Within int      `json:"within"`
		P99    *float64 `json:"p99_ms"`
	} `json:"windows"`
}

// sums are the requests of some windows.
type sums struct {
	sent, ok, within int
	windows, over    int // of 10 seconds, and of them those whose p99 was over the SLO or unknown
}

// failed is how many requests had no answer of the model.
func (s sums) failed() int { return s.sent - s.ok }

// sums adds up the windows that begin from one time on and before another, since the load began.
func (r loadReport) sums(from, to time.Duration) (s sums) {
	for _, w := range r.Windows {
		if at := time.Duration(w.Start * float64(time.Second)); at < from || at >= to || w.Sent == 0 {
			continue
		}
		s.sent, s.ok, s.within, s.windows = s.sent+w.Sent, s.ok+w.OK, s.within+w.Within, s.windows+1
		if w.P99 == nil || *w.P99 > millisOf(liveSLO) {
			s.over++
		}
	}
	return s
}

// tail is the p99 of all of it; 0 where nothing was answered.
func (r loadReport) tail() time.Duration {
	if r.P99 == nil {
		return 0
	}
	return time.Duration(*r.P99 * float64(time.Millisecond))
}

func millisOf(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// load replays a slice of the trace against the server's Service, from a process beside the nodes.
func (l *live) load(ctx context.Context, r liveReplay) (loadReport, error) {
	return l.loadOn(ctx, liveServer,
		"--trace", r.file, "--speed", strconv.FormatFloat(r.speed, 'g', -1, 64), "--peak", strconv.FormatFloat(r.peak, 'g', -1, 64),
		"--from", r.from.String(), "--for", r.length.String(), "--every", liveWindow.String())
}

// loadOn loads a server as further flags say.
func (l *live) loadOn(ctx context.Context, server string, flags ...string) (loadReport, error) {
	ip, err := l.cluster.kubectl(ctx, "", "-n", liveNamespace, "get", "service", server, "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return loadReport{}, err
	}
	file := l.file(server + "-report.json")
	args := append([]string{
		"exec", filepath.Join(l.bin, "modelserver"), "load", "--target", "http://" + strings.TrimSpace(ip), "--model", liveModel,
		"--slo", liveSLO.String(), "--report", file,
	}, flags...)
	if out, err := l.cluster.run(ctx, "", args...); err != nil {
		return loadReport{}, fmt.Errorf("%w: %s", err, lastLine([]byte(out)))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return loadReport{}, err
	}
	var report loadReport
	if err := json.Unmarshal(text, &report); err != nil {
		return report, fmt.Errorf("read the load's report: %w", err)
	}
	if s := report.sums(0, math.MaxInt64); s.sent == 0 {
		return report, fmt.Errorf("the load sent nothing: %s", text)
	}
	return report, nil
}
