package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"trimtab.dev/trimtab/reports"
)

// statusError is an error with the HTTP status it is answered with.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string { return e.text }

// api is everything the daemon answers: the plan and its own state, and what others add. Nothing here
// changes anything.
func api(d *daemon, ready func() error, reg *prometheus.Registry, others ...func(*http.ServeMux)) http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, h func(http.ResponseWriter) error) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, h) })
	}
	handle("/livez", func(w http.ResponseWriter) error {
		if !d.live(time.Now()) {
			return statusError{http.StatusServiceUnavailable, "no pass began in time"}
		}
		return plain(w, "ok")
	})
	handle("/readyz", func(w http.ResponseWriter) error {
		if err := ready(); err != nil {
			return statusError{http.StatusServiceUnavailable, err.Error()}
		}
		return plain(w, "ok")
	})
	handle("/api/v1/plan", func(w http.ResponseWriter) error {
		return withPlan(d, func(a planAnswer) error { return sendJSON(w, a) })
	})
	handle("/api/v1/workloads", func(w http.ResponseWriter) error {
		return withPlan(d, func(a planAnswer) error {
			return sendJSON(w, workloadsAnswer{a.Version, a.Pass, a.Plan.Assessments})
		})
	})
	handle("/plan", func(w http.ResponseWriter) error {
		return withPlan(d, func(a planAnswer) error { return page(w, a) })
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	for _, add := range others {
		add(mux)
	}
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func(http.ResponseWriter) error {
			return statusError{http.StatusNotFound, "not found: " + r.URL.Path + "; " + places}
		})
	})
	return mux
}

// places is where the daemon answers, for who asks elsewhere.
const places = "there are / (the report), /plan, /api/v1/plan, /api/v1/workloads, /api/v1/history, /api/v1/report, /api/v1/servers, /metrics, /livez and /readyz"

func answer(w http.ResponseWriter, h func(http.ResponseWriter) error) {
	err := h(w)
	if err == nil {
		return
	}
	var s statusError
	if !errors.As(err, &s) {
		s = statusError{http.StatusInternalServerError, err.Error()}
	}
	http.Error(w, s.text, s.status)
}

func withPlan(d *daemon, f func(planAnswer) error) error {
	a, ok := d.current()
	if !ok {
		why := "the first pass has not ended yet; try again in a moment"
		if a.Pass.Error != "" {
			why = "no pass has worked yet: " + a.Pass.Error
		}
		return statusError{http.StatusServiceUnavailable, why}
	}
	a.Plan.Old, a.Plan.SeriesSince = age(a.Pass, d.interval, time.Now()), a.Pass.SeriesSince
	return f(a)
}

func plain(w http.ResponseWriter, text string) error {
	_, err := fmt.Fprintln(w, text)
	return err
}

func sendJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

func page(w http.ResponseWriter, a planAnswer) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return reports.PlanPage(w, a.Plan, "./")
}

// age says why a plan is not of now; empty: it is. Three intervals are the grace of a slow pass.
func age(p passState, interval time.Duration, now time.Time) string {
	of := "; this is the plan of " + p.At.UTC().Format(time.RFC3339)
	if p.Error != "" {
		return "the newest pass did not work: " + p.Error + of
	}
	if late := now.Sub(p.At); late > 3*interval {
		return "no pass has ended for " + late.Round(time.Second).String() + of
	}
	return ""
}
