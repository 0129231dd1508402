package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/kubernetes"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/optimizer/kube/managed"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/recommender"
)

// parts is the daemon put together: what run starts and stops.
type parts struct {
	settings settings
	log      *slog.Logger
	client   kubernetes.Interface
	usage    metricsclient.Interface
	cluster  *kube.Cluster
	daemon   *daemon
	reporter *reporter
	servers  standings
	mailer   *mailer // nil: never a leader
	registry *prometheus.Registry
	listener net.Listener
	waits    atomic.Pointer[string] // for what, before the first pass; empty: for nothing

	// From furnish on.
	store            *usage.Store // nil: usage is read from outside
	sampler, scraper runner
}

// runner is what works until ctx ends.
type runner interface{ Run(ctx context.Context) }

// build takes what can fail at once: the credentials and the address to answer on.
func build(s settings, log *slog.Logger) (*parts, error) {
	cfg, err := kube.Client(s.kubeconfig, s.context, version)
	if err != nil {
		return nil, err
	}
	instrument(cfg)
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("build a Kubernetes client: %w", err)
	}
	usageClient, err := metricsclient.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("build a metrics client: %w", err)
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w; choose another --listen", err)
	}
	return assemble(s, log, client, usageClient, listener), nil
}

// assemble builds the daemon on the core, but for its store, which may take minutes to open.
func assemble(s settings, log *slog.Logger, client kubernetes.Interface, usageClient metricsclient.Interface, listener net.Listener) *parts {
	p := &parts{settings: s, log: log, client: client, usage: usageClient, listener: listener, registry: prometheus.NewRegistry()}
	p.waitFor("the daemon begins")
	p.cluster = kube.New(client, s.namespace, log)
	p.registry.MustRegister(newPodOwners(p.cluster.Endpoints))
	book := kube.NewLedger(client, s.namespace)
	servers := managed.New(client, book, cost.Builtin(), log)
	history := recommender.NewHistory()
	history.Hurry(recommender.Pace(s.hour))
	p.servers = servers
	p.daemon = &daemon{
		cycle: &optimizer.Cycle{
			Cluster: p.cluster, Ledger: book, Orders: kube.NewOrders(client, s.namespace), Checks: checks(),
			Keepers: []optimizer.Keeper{kube.NewGovernance(client, p.cluster), servers},
			Prices:  cost.Builtin(), History: history, Plans: recommender.NewPlans(),
		},
		interval: s.interval, metrics: newMetrics(p.registry), log: log,
	}
	p.reporter = &reporter{interval: s.interval, every: s.checkpointEvery, plan: p.daemon.planned, entries: book.Entries, log: log, next: time.Now().Add(s.checkpointEvery)}
	p.daemon.reporter = p.reporter
	if s.enforce {
		p.daemon.cycle.Actuator = kube.NewActuator(client, p.cluster)
	}
	if !s.elect {
		return p // never a leader: it writes nothing
	}
	p.daemon.warn = kube.NewEvents(client, s.namespace, s.identity).BadPolicies
	if s.enforce {
		p.daemon.tell = kube.NewTeller(client, s.identity).Tell
	}
	p.mailer = newMailer(client, s.namespace, p.daemon.cycle.Orders, p.reporter, log, p.registry)
	if s.checkpointEvery > 0 {
		p.reporter.maps = kube.NewCheckpoints(client, s.namespace, spendName)
		p.daemon.keeper = &keeper{
			maps: kube.NewCheckpoints(client, s.namespace, checkpointName), history: p.daemon.cycle.History, plans: p.daemon.cycle.Plans,
			every: s.checkpointEvery, log: log, metrics: p.daemon.metrics,
		}
	}
	return p
}

// open opens the store, replaying what a killed process left. There is none where usage is read from outside.
func (p *parts) open() (*usage.Store, error) {
	if p.settings.prometheus.given() {
		return nil, p.furnishOutside()
	}
	return usage.OpenStore(usage.StoreOptions{
		Dir: p.settings.store, Retention: optimizer.Retention, MaxBytes: int64(p.settings.storeMaxBytes), Log: p.log, Registry: p.registry,
	})
}

// furnish builds what fills the store and what reads it.
func (p *parts) furnish(store *usage.Store) {
	if store == nil {
		return
	}
	p.store = store
	every := p.settings.sampleEvery
	owners := &owners{cluster: p.cluster, keep: every / 2}
	p.sampler = usage.NewSampler(usage.SamplerOptions{
		Client: p.usage.MetricsV1beta1(), Owners: owners, Store: store, Interval: every, Log: p.log,
	})
	p.scraper = usage.NewScraper(usage.ScraperOptions{Owners: owners, Store: store, Interval: every, Log: p.log})
	reader := usage.NewReader(store, usage.ReaderOptions{Step: p.settings.resolution, Interval: every, Settle: p.settings.settle})
	p.daemon.since, p.daemon.cycle.Usage = reader.Since, progress{reader, p.daemon.moved}
}

func (p *parts) waitFor(what string) { p.waits.Store(&what) }

// ready is nil when this replica can answer; otherwise it says what it waits for, and what of the
// cluster was not read yet. A standby is ready too.
func (p *parts) ready() error {
	what := *p.waits.Load()
	if what == "" {
		return nil
	}
	_, missing := p.cluster.Observe(context.Background())
	return errors.Join(errors.New(what), missing)
}
