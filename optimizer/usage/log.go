package usage

import (
	"context"
	"log/slog"
	"sync"
)

// quiet passes only what a person would act on: the TSDB tells each step of a start-up.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(warnings{l.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && w.Handler.Enabled(ctx, l)
}

func (w warnings) WithAttrs(a []slog.Attr) slog.Handler { return warnings{w.Handler.WithAttrs(a)} }

func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

// faults logs a source when it begins to fail and when it works again, not at every reading.
type faults struct {
	log *slog.Logger

	mu      sync.Mutex
	failing map[string]bool
}

func newFaults(l *slog.Logger) *faults {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &faults{log: l, failing: map[string]bool{}}
}

// report takes the outcome of one reading of what; nil means that it worked.
func (f *faults) report(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && !f.failing[what]:
		f.failing[what] = true
		f.log.Warn("usage cannot be read; its history goes stale until it can", "source", what, "err", err)
	case err == nil && f.failing[what]:
		delete(f.failing, what)
		f.log.Info("usage can be read again", "source", what)
	}
}

// forget drops what is not read any more.
func (f *faults) forget(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.failing, what)
}
