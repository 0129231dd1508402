package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/reports"
)

// spendName begins the name of every ConfigMap that the spend diary is saved in; spendPart is its one part.
const (
	spendName = "trimtab-spend"
	spendPart = "diary"
)

// reporter keeps what reports are made of and makes them: for the page, the API and the mailer. The
// passes fill it; anyone may ask it.
type reporter struct {
	maps     *kube.Checkpoints // nil: the diary is never saved, and begins with the process
	interval time.Duration     // between passes
	every    time.Duration     // between saves
	plan     func() (optimizer.Plan, error)
	entries  func(context.Context) ([]optimizer.Entry, error) // of the ledger
	log      *slog.Logger

	mu        sync.Mutex
	diary     cost.Diary
	known     []optimizer.Entry
	damage    string // what of the ledger cannot be read
	documents []policies.Report
	passes    int

	// Of the goroutine that makes the passes.
	next   time.Time       // nothing is saved before it
	merged context.Context // the term in which what earlier leaders saved was taken up
	loaded bool            // what was saved before this process began is in the diary
	off    bool            // what is saved cannot be read, so nothing is saved over it
}

// passed takes up what a pass found: what everything costs, what the ledger has and which reports are
// asked for.
func (r *reporter) passed(ctx context.Context, plan optimizer.Plan, documents []policies.Report) {
	if r.maps != nil && !r.loaded && !r.off {
		if err := r.take(ctx); err != nil {
			r.log.Warn("the saved spend is not read yet", "err", err)
		}
	}
	entries, err := r.entries(ctx)
	if err != nil {
		r.log.Warn("the ledger could not be read; reports tell of it as it was", "err", err)
	}
	rates := make([]cost.Rate, 0, len(plan.Assessments))
	for _, a := range plan.Assessments {
		rates = append(rates, cost.Rate{Ref: a.Ref, Monthly: a.Now})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.diary.Add(plan.At, r.gap(), rates)
	r.documents, r.passes = documents, r.passes+1
	r.damage = ""
	switch {
	case err == nil:
		r.known = entries
	case errors.Is(err, ledger.ErrDamaged):
		r.known, r.damage = entries, err.Error()
	}
}

// gap is how long after a pass the next one may come without a hole in the diary: three intervals, and
// at least a minute, in which a daemon with short intervals is restarted.
func (r *reporter) gap() time.Duration { return max(3*r.interval, time.Minute) }

// take takes up what is saved and is not in the diary yet. An error means: ask again.
func (r *reporter) take(ctx context.Context) error {
	parts, err := r.maps.Load(ctx)
	if err != nil && !errors.Is(err, kube.ErrUnreadable) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range parts {
		err = errors.Join(err, r.diary.Restore(p.Data))
	}
	if err != nil {
		r.off = true
		r.log.Error("spend is not saved any more: what is saved cannot be read, so it is left as it is; "+
			"run the version that wrote it, or delete the ConfigMap "+spendName+" to begin anew, then restart", "err", err)
		return nil
	}
	r.loaded = true
	return nil
}

// save writes the diary when its time has come, or at once where last; only the leader may. Term is this
// replica's leadership: the first save of each begins with what the leaders before it have saved.
func (r *reporter) save(ctx, term context.Context, now time.Time, last bool) {
	if r.maps == nil || r.off || !last && now.Before(r.next) {
		return
	}
	r.next = now.Add(r.every)
	limited, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	defer context.AfterFunc(term, cancel)()
	if err := r.write(limited, term); err != nil && (ctx.Err() == nil || last) {
		r.log.Error("the spend diary was not saved", "err", err, "again_in", r.every.String())
	}
}

func (r *reporter) write(ctx, term context.Context) error {
	if r.merged != term || !r.loaded {
		if err := r.take(ctx); err != nil {
			return fmt.Errorf("take up what the last leader saved: %w", err)
		}
		if r.off {
			return nil
		}
		r.merged = term
	}
	r.mu.Lock()
	data, err := r.diary.MarshalBinary()
	r.mu.Unlock()
	if err != nil {
		return err
	}
	return r.maps.Save(ctx, []kube.Part{{Name: spendPart, Data: data}})
}

// reports gives the Report documents of the last pass; false: none has worked yet.
func (r *reporter) reports() ([]policies.Report, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.documents, r.passes > 0
}

// build makes the report of a period, of some namespaces or, where none are named, of all.
func (r *reporter) build(p reports.Period, name string, namespaces []string, now time.Time) (reports.Report, error) {
	plan, err := r.plan()
	if err != nil {
		return reports.Report{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return reports.Build(reports.Input{
		Name: name, Period: p, At: now, Version: version, Namespaces: namespaces,
		Plan: plan, Entries: r.known, Damage: r.damage, Diary: &r.diary,
	}), nil
}

// asked is the report that a request's query asks for: period, the week so far unless said, and zone,
// which is an IANA name, UTC unless said.
func (r *reporter) asked(req *http.Request, now time.Time) (reports.Report, error) {
	q := req.URL.Query()
	zone, period := q.Get("zone"), q.Get("period")
	if period == "" {
		period = "week"
	}
	loc, err := time.LoadLocation(zone) // of nothing it is UTC
	if err != nil || zone == "Local" {
		return reports.Report{}, statusError{http.StatusBadRequest, fmt.Sprintf("zone %q: write an IANA name such as Europe/Berlin", zone)}
	}
	p, err := reports.ParsePeriod(period, now, loc)
	if err != nil {
		return reports.Report{}, statusError{http.StatusBadRequest, err.Error()}
	}
	return r.build(p, "", nil, now)
}

// register adds the report to the daemon's answers: the page at / and the value under /api/v1.
func (r *reporter) register(mux *http.ServeMux) {
	handle := func(path string, h func(http.ResponseWriter, *http.Request, reports.Report) error) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, req *http.Request) {
			answer(w, func(w http.ResponseWriter) error {
				report, err := r.asked(req, time.Now())
				if err != nil {
					return err
				}
				return h(w, req, report)
			})
		})
	}
	handle("/{$}", func(w http.ResponseWriter, req *http.Request, report reports.Report) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		return reports.ReportHTML(w, report, pageLinks(req.URL.Query()))
	})
	handle("/api/v1/report", func(w http.ResponseWriter, _ *http.Request, report reports.Report) error {
		return sendJSON(w, report)
	})
}

// pageLinks are relative, so that they hold behind the API server's service proxy too.
func pageLinks(q url.Values) reports.Links {
	to := func(period string) string {
		next := url.Values{"period": {period}}
		if zone := q.Get("zone"); zone != "" {
			next.Set("zone", zone)
		}
		return "?" + next.Encode()
	}
	same := q.Get("period")
	if same == "" {
		same = "week"
	}
	return reports.Links{Plan: "plan", JSON: "api/v1/report" + to(same), Periods: []reports.Link{
		{Text: "today", URL: to("day")}, {Text: "yesterday", URL: to("yesterday")}, {Text: "this week", URL: to("week")}, {Text: "last week", URL: to("last-week")},
	}}
}
