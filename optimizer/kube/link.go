package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// link is the health of one resource's connection to the API server. An informer retries for ever
// and keeps some failures to itself (a refused connection never reaches its watch error handler),
// so each of its calls is seen here.
type link struct {
	resource schema.GroupResource
	log      *slog.Logger

	mu    sync.Mutex
	list  error // of the last list, nil after one that was answered
	watch error
	since time.Time // of the first failure after the last answer; zero: healthy
}

// listed notes how a list ended.
func (l *link) listed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // stopped, which says nothing about the link
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = l.explain("list", err)
	l.settle()
}

// watched notes how the start of a watch ended. An open watch makes up for a list that failed.
func (l *link) watched(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watch = l.explain("watch", err)
	if err == nil {
		l.list = nil
	}
	l.settle()
}

// settle dates the first failure and says once that the link went or came back.
func (l *link) settle() {
	err := errors.Join(l.list, l.watch)
	switch {
	case err != nil && l.since.IsZero():
		l.since = time.Now()
		l.log.Warn("cannot read from the API server", "resource", l.resource.String(), "error", err)
	case err == nil && !l.since.IsZero():
		l.log.Info("reading from the API server again", "resource", l.resource.String(), "after", time.Since(l.since))
		l.since = time.Time{}
	}
}

// explain adds to err what was asked and, where RBAC refused it, the rule that is missing.
func (l *link) explain(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s %s: RBAC does not allow it; give the daemon's role the verb %q on resource %q of apiGroup %q: %w",
			verb, l.resource, verb, l.resource.Resource, l.resource.Group, err)
	}
	return fmt.Errorf("%s %s: %w", verb, l.resource, err)
}

// last is the failure that stands now.
func (l *link) last() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.list, l.watch)
}

// fault is the failure that stands now, if what the informer holds can no longer be trusted: it has
// lasted longer than grace, or it is a refusal, which does not pass by itself.
func (l *link) fault(grace time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := errors.Join(l.list, l.watch)
	if err == nil || (time.Since(l.since) <= grace && !apierrors.IsForbidden(l.list) && !apierrors.IsForbidden(l.watch)) {
		return nil
	}
	return fmt.Errorf("not read for %s: %w", time.Since(l.since).Round(time.Second), err)
}
