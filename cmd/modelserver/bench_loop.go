package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// bencher sends the requests of one measurement. What is sent before from warms up; what is meant to be
// sent from then to to is measured, however late it is sent or answered.
type bencher struct {
	benchOptions
	requests []request
	right    []reference // the answer of each body; empty: any answer is right
	found    *findings
	from, to time.Time
	turn     atomic.Int64 // of the next request
	measured atomic.Int64
}

// loop sends until the end of the window, or ctx, and waits for the answers.
func (b *bencher) loop(ctx context.Context) {
	if b.rate > 0 {
		b.open(ctx)
		return
	}
	b.closed(ctx)
}

// closed sends on each connection as soon as the last answer is in.
func (b *bencher) closed(ctx context.Context) {
	var all sync.WaitGroup
	for range b.connections {
		all.Go(func() {
			w := b.wire()
			defer w.close()
			for now := time.Now(); ctx.Err() == nil && b.claim(now); now = time.Now() {
				if !b.one(w, now) {
					rest(ctx, time.Millisecond) // a server that is away is not asked in a tight loop
				}
			}
		})
	}
	all.Wait()
}

// claim reports whether a request may still be sent at a time.
func (b *bencher) claim(at time.Time) bool {
	if !at.Before(b.to) {
		return false
	}
	return b.most == 0 || at.Before(b.from) || b.measured.Add(1) <= int64(b.most)
}

// open sends each request at its time, on a connection that is free or else on a new one. When all
// connections are busy it is sent late; its latency counts from its time all the same.
func (b *bencher) open(ctx context.Context) {
	work := make(chan time.Time)
	var all sync.WaitGroup
	workers := 0
	s := schedule{rate: b.rate, poisson: b.arrivals == arrivalsPoisson, rand: rand.New(rand.NewPCG(b.seed, 2))}
	for at := s.next(time.Now()); b.claim(at) && pause(ctx, at); at = s.next(at) {
		if workers < b.connections && !offer(work, at) {
			workers++
			all.Go(func() { b.serve(work, at) })
			continue
		}
		if workers == b.connections {
			work <- at
		}
	}
	close(work)
	all.Wait()
}

// offer gives a request to a connection that waits for one.
func offer(work chan<- time.Time, at time.Time) bool {
	select {
	case work <- at:
		return true
	default:
		return false
	}
}

// serve sends the first request, and then those of work, on a connection of its own.
func (b *bencher) serve(work <-chan time.Time, first time.Time) {
	w := b.wire()
	defer w.close()
	b.one(w, first)
	for at := range work {
		b.one(w, at)
	}
}

func (b *bencher) wire() *wire { return &wire{address: address(b.target.Host)} }

// address adds the port of HTTP where host has none.
func address(host string) string {
	if _, _, err := net.SplitHostPort(host); err != nil {
		return net.JoinHostPort(host, "80")
	}
	return host
}

// one sends the next request, which was meant to be sent at a time, and writes down how it went. It is
// false when there was no answer.
func (b *bencher) one(w *wire, meant time.Time) bool {
	r := b.requests[(b.turn.Add(1)-1)%int64(len(b.requests))]
	end := meant.Add(b.timeout)
	var a answer
	err := errLate
	if time.Now().Before(end) {
		a, err = w.exchange(r.wire, end)
	}
	took := time.Since(meant)
	if !meant.Before(b.from) {
		b.found.add(b.judge(r, a, err), took, meant, func() string { return a.say(err) })
	}
	return err == nil
}

// errLate is of a request that no connection was free for in time.
var errLate = errors.New("request was not sent within its timeout")

func (b *bencher) judge(r request, a answer, err error) outcome {
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(err, errLate), errors.As(err, &timed) && timed.Timeout():
		return timedOut
	case err != nil:
		return failed
	case a.status == 429 || a.status == 503:
		return refused
	case a.status != 200:
		return failed
	case len(b.right) > 0 && !b.right[r.body].matches(a, b.tolerance):
		return different
	}
	return right
}

// say tells a person what came back.
func (a answer) say(err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("status %d: %.200s", a.status, a.body)
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) { sleepUntil(ctx, time.Now().Add(d)) }
