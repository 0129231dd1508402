package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/reports"
)

// historyAnswer is what GET /api/v1/history gives.
type historyAnswer struct {
	Version string            `json:"version"`
	Fault   string            `json:"fault,omitempty"` // what of the ledger cannot be read
	Entries []optimizer.Entry `json:"entries"`         // oldest first
}

// historyHandler answers with the ledger as it is now, which is the same on every replica.
func historyHandler(book optimizer.Ledger) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer(w, func(w http.ResponseWriter) error {
			entries, err := book.Entries(r.Context())
			if err != nil && !errors.Is(err, ledger.ErrDamaged) {
				return statusError{http.StatusServiceUnavailable, "read the ledger: " + err.Error()}
			}
			a := historyAnswer{Version: version, Entries: entries}
			if err != nil {
				a.Fault = err.Error()
			}
			return sendJSON(w, a)
		})
	}
}

// history reads the daemon's ledger.
func (w where) history(ctx context.Context) (historyAnswer, error) {
	var a historyAnswer
	body, err := w.read(ctx, "/api/v1/history")
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("read the daemon's history: %w; are the daemon and this program of one version?", err)
	}
	return a, nil
}

func historyVerb(ctx context.Context, args []string, out io.Writer) error {
	var w where
	fs := flag.NewFlagSet("history", flag.ContinueOnError)
	w.flags(fs)
	format := fs.String("o", "text", "`format`: text or json")
	rest, done, err := parseUpTo(fs, args, 0, 1, "history [NAMESPACE/NAME] [-o json]", out)
	if done {
		return err
	}
	of := strings.Join(rest, "")
	if err := errors.Join(checkFormat("history", *format), checkName(of)); err != nil {
		return err
	}
	a, err := w.history(ctx)
	if err != nil {
		return err
	}
	if *format == "json" {
		a.Entries = slices.DeleteFunc(a.Entries, func(e optimizer.Entry) bool {
			return of != "" && e.Change.Ref.Namespace+"/"+e.Change.Ref.Name != of
		})
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(a)
	}
	if a.Fault != "" {
		if _, err := fmt.Fprintf(out, "FAULT: %s\n\n", a.Fault); err != nil {
			return err
		}
	}
	return reports.HistoryText(out, a.Entries, of)
}

func checkFormat(verb, format string) error {
	if format != "text" && format != "json" {
		return badInput("trimtab %s: -o %s: choose text or json", verb, format)
	}
	return nil
}

// checkName takes the name of a workload, or none.
func checkName(of string) error {
	ns, name, ok := strings.Cut(of, "/")
	if of != "" && (!ok || ns == "" || name == "" || strings.Contains(name, "/")) {
		return badInput("trimtab history: %s: write NAMESPACE/NAME", of)
	}
	return nil
}
