package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/usage"
)

// run answers from the start and works until ctx ends. Then everything has settings.stopWithin in all:
// the last checkpoint, the Lease's return and the answers that are under way, in that order.
func (p *parts) run(ctx context.Context) error {
	server := &http.Server{
		Handler: api(p.daemon, p.ready, p.registry, p.reporter.register, p.history, serversAPI(p.servers)), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p.listener) }()
	p.log.Info("trimtab answers", "version", version, "address", p.listener.Addr().String())

	working, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, cancelStop := outlasting(working, p.settings.stopWithin)
	defer cancelStop()
	done := make(chan error, 1)
	go func() { done <- p.work(working, stop) }()
	var err error
	select {
	case err = <-done:
		cancel()
	case err = <-served:
		cancel()
		err = errors.Join(err, ignoreEnd(<-done))
	}
	return errors.Join(ignoreEnd(err), server.Shutdown(stop))
}

// outlasting is a context that ends a time after ctx has ended: the one deadline of a shutdown.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		select {
		case <-time.After(by):
			cancel()
		case <-out.Done():
		}
	})
	return out, cancel
}

func ignoreEnd(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// work is everything between the first list and the last checkpoint. The Lease is held, and the
// cluster watched, until that is written.
func (p *parts) work(ctx, stop context.Context) error {
	defer p.close()
	leading, resign := context.WithCancel(stop)
	var electing sync.WaitGroup
	defer func() {
		resign()
		await(stop, electing.Wait, p.cluster.Wait)
	}()
	p.cluster.Start(leading)
	if err := p.openWhile(ctx); err != nil {
		return err
	}
	p.waitFor("the cluster's objects are being read")
	if err := p.cluster.WaitSynced(ctx); err != nil {
		return err
	}
	var measuring sync.WaitGroup
	measuring.Go(func() { p.sampler.Run(ctx) })
	measuring.Go(func() { p.scraper.Run(ctx) })
	defer measuring.Wait()
	if err := p.restore(ctx); err != nil {
		return err
	}
	if p.settings.elect {
		electing.Go(func() { p.elect(leading) })
	}
	if p.mailer != nil {
		measuring.Go(func() { p.mailer.run(ctx, mailEvery, p.daemon.leads) })
	}
	p.daemon.loop(ctx)
	p.last(stop)
	return ctx.Err()
}

// mailEvery is how often it is looked whether a report is to be mailed.
const mailEvery = 5 * time.Second

// history adds the ledger to the daemon's answers.
func (p *parts) history(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/history", historyHandler(p.daemon.cycle.Ledger))
}

// openWhile opens the store unless ctx ends before. A store that is still being opened then is left to
// the end of the process, as a killed one would be.
func (p *parts) openWhile(ctx context.Context) error {
	p.waitFor("the store of measurements is being opened")
	var store *usage.Store
	opened := make(chan error, 1)
	go func() {
		var err error
		store, err = p.open()
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil {
			p.furnish(store)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *parts) close() {
	if p.store == nil {
		return
	}
	if err := p.store.Close(); err != nil {
		p.log.Error("the store of measurements was not closed cleanly; the next start repairs it", "err", err)
	}
}

// restore takes up the saved history, where it is kept. After it passes may begin.
func (p *parts) restore(ctx context.Context) error {
	if p.daemon.keeper != nil {
		p.waitFor("the saved history is being read")
		err := p.daemon.keeper.load(ctx, func(err error) { p.waitFor(fmt.Sprintf("the saved history is not read yet: %v", err)) })
		if err != nil {
			return err
		}
	}
	p.waitFor("")
	return nil
}

// last saves the history once more. A quarter of the time is left to give the Lease back.
func (p *parts) last(stop context.Context) {
	ctx, cancel := context.WithTimeout(stop, p.settings.stopWithin*3/4)
	defer cancel()
	p.daemon.checkpoint(ctx, time.Now(), true)
}

// elect stands for leader until ctx ends.
func (p *parts) elect(ctx context.Context) {
	c := kube.Candidate{Namespace: p.settings.namespace, Lease: "trimtab", Identity: p.settings.identity}
	err := kube.Lead(ctx, p.client, c, func(term context.Context) error {
		p.daemon.lead(term)
		defer p.daemon.rest()
		<-term.Done() // passes go on on every replica; leadership only lets one of them write
		return term.Err()
	})
	if err != nil && ctx.Err() == nil {
		p.log.Error("leader election ended; this replica writes nothing more", "err", err)
	}
}

// await returns when all of waits have, or when ctx ends.
func await(ctx context.Context, waits ...func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, wait := range waits {
			wait()
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
