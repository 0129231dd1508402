//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// step is one thing on the way to a running cluster.
type step struct {
	name  string
	after []string
	run   func(ctx context.Context) error
}

// runSteps starts every step as soon as those before it are done and reports
// each end. The first fault stops all.
func runSteps(ctx context.Context, steps []step, done func(name string, took time.Duration)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ends := map[string]chan struct{}{}
	for _, s := range steps {
		ends[s.name] = make(chan struct{})
	}
	var all sync.WaitGroup
	for _, s := range steps {
		all.Go(func() {
			if !waitFor(ctx, s.after, ends) {
				return
			}
			start := time.Now()
			if err := s.run(ctx); err != nil {
				cancel(fmt.Errorf("%s: %w", s.name, err))
				return
			}
			done(s.name, time.Since(start))
			close(ends[s.name])
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

func waitFor(ctx context.Context, names []string, ends map[string]chan struct{}) bool {
	for _, name := range names {
		select {
		case <-ends[name]:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// poll tries check until it holds; its last fault explains a timeout.
func poll(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	end := time.Now().Add(limit)
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready after %s: %w", limit, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
