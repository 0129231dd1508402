// Package serving is the reference inference server: one model, its rows batched, spoken to over
// the Open Inference Protocol v2 (REST) and over the article's POST /predict.
//
// It knows nothing of the daemon that tunes it: they share only the names of metrics (metrics.go)
// and of settings. A request goes one way: bytes, tensor (tensor.go), rows (protocol.go, predict.go),
// queue and batch (engine.go), answer. The package reads no environment and no flags, and uses no
// global registry, mux or logger.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/runtime"
)

// Config is all that a server can be told.
type Config struct {
	Name           string // of the model, in paths and in metrics
	Version        string // of the model
	Build          string // version of the server itself; may be empty
	Limits         batch.Limits
	MaxBody        int64         // bytes of one request
	MaxInflight    int           // inference requests read, waiting or computed at once
	RequestTimeout time.Duration // longest time in the queue and in the model
	DrainDelay     time.Duration // how long it still accepts after its readiness went
	DrainTimeout   time.Duration // how long the requests in flight may then take
}

// Check returns every fault of the config, joined, or nil.
func (c Config) Check() error {
	faults := []error{c.Limits.Check()}
	for _, v := range []struct {
		is    bool
		fault string
	}{
		{c.Name == "", "name of the model is empty"},
		{c.Version == "", "version of the model is empty"},
		{c.MaxBody < 1, fmt.Sprintf("max body is %d bytes; at least 1", c.MaxBody)},
		{c.MaxInflight < 1, fmt.Sprintf("max inflight is %d requests; at least 1", c.MaxInflight)},
		{c.RequestTimeout <= 0, fmt.Sprintf("request timeout is %s; more than 0", c.RequestTimeout)},
		{c.DrainDelay < 0, fmt.Sprintf("drain delay is %s; 0 or more", c.DrainDelay)},
		{c.DrainTimeout <= 0, fmt.Sprintf("drain timeout is %s; more than 0", c.DrainTimeout)},
	} {
		if v.is {
			faults = append(faults, errors.New(v.fault))
		}
	}
	return errors.Join(faults...)
}

// Server serves one model. It is made by New, gets its model from Serve, and is used once.
type Server struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics
	engine   *engine
	inflight chan struct{}
	meta     atomic.Pointer[runtime.Meta] // nil until the model is loaded
	draining atomic.Bool
}

// New makes a server and registers its metrics with reg, which /metrics shows (see NewRegistry). It
// returns every fault of cfg.
func New(cfg Config, reg *prometheus.Registry, log *slog.Logger) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, registry: reg, inflight: make(chan struct{}, cfg.MaxInflight)}
	s.engine = newEngine(cfg.Limits)
	s.metrics = newMetrics(reg, cfg, s.engine.waiting)
	s.engine.metrics = s.metrics
	return s, nil
}

// Serve answers on ln, loads the model with open and serves it until ctx ends; then it drains and
// returns nil if no request was lost. Health is answered while the model still loads.
func (s *Server) Serve(ctx context.Context, ln net.Listener, open func() (runtime.Model, error)) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30*time.Second + s.cfg.RequestTimeout,
		IdleTimeout:       2 * time.Minute, // longer than the usual proxy's, which then closes first
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	stop, err := s.load(open)
	if err != nil {
		return errors.Join(fmt.Errorf("load model %s: %w", s.cfg.Name, err), srv.Close())
	}
	defer stop()
	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	return s.drain(srv)
}

// load makes the server ready. The function it returns stops the worker and waits for it.
func (s *Server) load(open func() (runtime.Model, error)) (stop func(), err error) {
	begun := time.Now()
	m, err := open()
	if err != nil {
		return nil, err
	}
	meta := m.Meta()
	s.metrics.accuracy.Set(meta.Accuracy)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.engine.run(ctx, m)
	}()
	s.meta.Store(&meta)
	s.log.Info("ready", "model", s.cfg.Name, "version", s.cfg.Version, "took", time.Since(begun).Round(time.Millisecond).String(), meta.Measure, meta.Accuracy)
	return func() { cancel(); <-done }, nil
}

// drain loses nobody: first readiness goes, then for a while requests are still served, each
// connection told to close, so that load balancers learn of it; only then does the listener close.
// Idle connections are left alone until then: closing one could cross with a request on its way.
func (s *Server) drain(srv *http.Server) error {
	s.draining.Store(true)
	s.log.Info("draining", "delay", s.cfg.DrainDelay.String(), "timeout", s.cfg.DrainTimeout.String())
	time.Sleep(s.cfg.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("finish requests within %s: %w", s.cfg.DrainTimeout, err), srv.Close())
	}
	s.log.Info("drained")
	return nil
}

// Handler is the server's HTTP side.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.path, s.wrap(r))
	}
	mux.Handle("/metrics", MetricsHandler(s.registry))
	return mux
}

func (s *Server) routes() []route {
	const model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
	return []route{
		{http.MethodGet, "/v2", "", s.aboutServer},
		{http.MethodGet, "/v2/health/live", "", s.live},
		{http.MethodGet, "/v2/health/ready", "", s.ready},
		{http.MethodGet, model, "", s.aboutModel},
		{http.MethodGet, version, "", s.aboutModel},
		{http.MethodGet, model + "/ready", "", s.modelReady},
		{http.MethodGet, version + "/ready", "", s.modelReady},
		{http.MethodPost, model + "/infer", EndpointInfer, s.infer},
		{http.MethodPost, version + "/infer", EndpointInfer, s.infer},
		{http.MethodPost, "/predict", EndpointPredict, s.predict},
		{"", "/", "", notFound},
	}
}
