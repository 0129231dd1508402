package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/kubernetes"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/ledger"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/recommender"
)

// parts is the daemon put together: what run starts and stops.
type parts struct {
	settings settings
	log      *slog.Logger
	client   kubernetes.Interface
	cluster  *kube.Cluster
	saved    *kube.Checkpoints
	store    *usage.Store
	sampler  *usage.Sampler
	scraper  *usage.Scraper
	daemon   *daemon
	registry *prometheus.Registry
	listener net.Listener
}

// build opens everything that can fail at once: flags, credentials, the store and the listener.
func build(s settings, log *slog.Logger) (*parts, error) {
	cfg, err := kube.Client(s.kubeconfig, s.context, version)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("build a Kubernetes client: %w", err)
	}
	usageClient, err := metricsclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("build a metrics client: %w", err)
	}
	p := &parts{settings: s, log: log, client: client, registry: prometheus.NewRegistry()}
	p.listener, err = net.Listen("tcp", s.listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w; choose another --listen", err)
	}
	p.store, err = usage.OpenStore(usage.StoreOptions{Dir: s.store, Retention: optimizer.Retention, Log: log, Registry: p.registry})
	if err != nil {
		return nil, errors.Join(err, p.listener.Close())
	}
	p.cluster = kube.New(client, s.namespace, log, kube.Options{})
	p.saved = kube.NewCheckpoints(client, s.namespace, "trimtab-history")
	p.measure(usageClient)
	p.assemble()
	return p, nil
}

// measure builds what fills the store.
func (p *parts) measure(client metricsclient.Interface) {
	owners := owners{p.cluster}
	p.sampler = usage.NewSampler(usage.SamplerOptions{
		Client: client.MetricsV1beta1(), Owners: owners, Store: p.store, Interval: p.settings.sampleEvery, Log: p.log,
	})
	p.scraper = usage.NewScraper(usage.ScraperOptions{
		Owners: owners, Store: p.store, Interval: p.settings.sampleEvery, Log: p.log,
	})
}

// assemble builds the daemon on the core.
func (p *parts) assemble() {
	reader := usage.NewReader(p.store, usage.ReaderOptions{Step: p.settings.resolution, Interval: p.settings.sampleEvery, Settle: p.settings.settle})
	p.daemon = &daemon{
		cycle: &optimizer.Cycle{
			Cluster: p.cluster, Usage: reader, Ledger: &ledger.Memory{},
			Prices: cost.Builtin(), History: recommender.NewHistory(),
		},
		interval: p.settings.interval, since: reader.Since, metrics: newMetrics(p.registry), log: p.log,
	}
	if p.settings.checkpointEvery > 0 && p.settings.elect {
		p.daemon.save, p.daemon.saveEvery = p.save, p.settings.checkpointEvery
	}
}

// owners tells the samplers whose pods there are.
type owners struct{ cluster *kube.Cluster }

// Pods converts: the two adapters do not know each other.
func (o owners) Pods(ctx context.Context) ([]usage.Pod, error) {
	ends, err := o.cluster.Endpoints(ctx)
	if err != nil {
		return nil, err
	}
	pods := make([]usage.Pod, len(ends))
	for i, e := range ends {
		pods[i] = usage.Pod(e)
	}
	return pods, nil
}

// save writes the history of every workload into ConfigMaps.
func (p *parts) save(ctx context.Context) error {
	data, err := p.daemon.cycle.History.MarshalBinary()
	if err != nil {
		return fmt.Errorf("encode the history: %w", err)
	}
	return p.saved.Save(ctx, []kube.Part{{Name: "history", Data: data}})
}

// load takes up the last history. What cannot be read is left out and said: the measurements go on.
func (p *parts) load(ctx context.Context) {
	if p.daemon.save == nil {
		return
	}
	saved, err := p.saved.Load(ctx)
	for _, part := range saved {
		err = errors.Join(err, p.daemon.cycle.History.Restore(part.Data))
	}
	if err != nil {
		p.log.Error("saved history is lost; it begins again from the store", "err", err)
	}
	h := p.daemon.cycle.History
	p.log.Info("history restored", "workloads", len(h.Refs()), "through", h.Last())
}

// run works until ctx ends, then saves, hands the leadership back and closes, in that order.
func (p *parts) run(ctx context.Context) error {
	defer p.store.Close()
	server := &http.Server{
		Handler: api(p.daemon, p.ready, p.registry), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p.listener) }()
	p.log.Info("trimtab answers", "version", version, "address", p.listener.Addr().String())

	working, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.work(working) }()
	var err error
	select {
	case err = <-done:
	case err = <-served:
		cancel()
		<-done
	}
	stop, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), p.settings.stopWithin)
	defer cancelStop()
	return errors.Join(ignoreClosed(err), server.Shutdown(stop))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// work is everything between the first list and the last checkpoint.
func (p *parts) work(ctx context.Context) error {
	leading, resign := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	defer all.Wait()
	defer resign()
	p.cluster.Start(leading)
	if err := p.cluster.WaitSynced(ctx); err != nil {
		return err
	}
	p.load(ctx)
	if p.settings.elect {
		all.Go(func() { p.elect(leading) })
	}
	var measuring sync.WaitGroup
	measuring.Go(func() { p.sampler.Run(ctx) })
	measuring.Go(func() { p.scraper.Run(ctx) })
	p.daemon.loop(ctx)
	measuring.Wait()
	last, cancel := context.WithTimeout(leading, p.settings.stopWithin/2)
	defer cancel()
	p.daemon.checkpoint(last, time.Now(), true)
	return ctx.Err()
}

// elect stands for leader until ctx ends.
func (p *parts) elect(ctx context.Context) {
	c := kube.Candidate{Namespace: p.settings.namespace, Lease: "trimtab", Identity: p.settings.identity, Leading: p.daemon.lead}
	err := kube.Lead(ctx, p.client, c, func(term context.Context) error {
		<-term.Done() // passes go on on every replica; leadership only lets one of them write
		return term.Err()
	})
	if err != nil && ctx.Err() == nil {
		p.log.Error("leader election ended; this replica writes nothing more", "err", err)
	}
}

// ready is nil when this replica can answer: its caches are full. A standby is ready too.
func (p *parts) ready() error {
	if !p.cluster.Synced() {
		return errors.New("the caches of the cluster's objects are not filled yet")
	}
	return nil
}
