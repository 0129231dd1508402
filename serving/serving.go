// Package serving is the reference inference server: models, their rows batched, spoken to over the Open
// Inference Protocol v2 (REST and gRPC), KServe's V1 protocol and the article's POST /predict.
//
// It knows nothing of the daemon that tunes it: they share only the names of metrics (metrics.go)
// and of settings (package router). A request goes one way: bytes and tensors (package protocol), model and
// version (router), queue and batch (engine), answer. The package reads no environment but GOMEMLIMIT
// and GOMAXPROCS, no flags, and uses no global registry, mux or logger.
package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
)

// Config is what a server is told once; what it can be told anew is router.Config.
type Config struct {
	Name           string // of the model that the flags name: in metrics of the whole server
	Version        string
	Build          string          // version of the server itself; may be empty
	MaxBody        int64           // bytes of one request
	MaxBodies      int64           // bytes of the bodies of all requests at once; 0: 256 MiB, or one body if that is more. With a memory limit, at most a quarter of that
	MaxInflight    int             // inference requests read, waiting or computed at once
	RequestTimeout time.Duration   // longest time in the queue and in the model
	DrainDelay     time.Duration   // how long it still accepts after its readiness went
	DrainTimeout   time.Duration   // how long the requests in flight may then take
	Keys           func() []string // API keys, any of which lets in; nil or none: everybody may ask
	LogRequests    bool            // a line for each inference request, without its values
	// Open makes a model of a file's content; Named says that a name is no file but something Open knows.
	Open  func(runtimeName, file string, data []byte) (runtime.Model, error)
	Named func(file string) bool
}

// Check returns every fault of the config, joined, or nil.
func (c Config) Check() error {
	var faults []error
	for _, v := range []struct {
		is    bool
		fault string
	}{
		{c.Name == "", "name of the model is empty"},
		{c.Version == "", "version of the model is empty"},
		{c.MaxBody < 1, fmt.Sprintf("max body is %d bytes; at least 1", c.MaxBody)},
		{c.MaxBodies != 0 && c.MaxBodies < c.MaxBody, fmt.Sprintf("max bodies is %d bytes; at least max body, %d", c.MaxBodies, c.MaxBody)},
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

// Server serves models. It is made by New, gets its models from Serve, and is used once.
type Server struct {
	cfg       Config
	pool      *engine.Pool
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	router    *router.Router
	keys      keyring
	shared    *grpc.Server // gRPC on the HTTP listener; one with a listener of its own is another
	patience  patience
	exchanges sync.Pool // of *exchange
	inflight  chan struct{}
	draining  atomic.Pointer[drainOrder] // nil: in service

	bodies     atomic.Int64  // bytes that are reserved
	mostBodies atomic.Int64  // bytes that may be; follows the memory limit
	freed      chan struct{} // has one when bytes were given back, see await
	asides     chan struct{} // one for each gRPC message read of a method other than ModelInfer
	schemas    chan struct{} // one for each client that asks for the schema
}

// patience is how long the server waits for clients.
type patience struct {
	header time.Duration // for a request's header, and for a connection's first words
	body   time.Duration // for header and body together
	answer time.Duration // for the client to take its answer
	idle   time.Duration // for another request; longer than the usual proxy's, which then closes first
	memory time.Duration // for others to give back what a gRPC message needs
}

// New makes a server and registers its metrics with reg, which /metrics shows (see NewRegistry). It
// returns every fault of cfg.
func New(cfg Config, reg *prometheus.Registry, log *slog.Logger) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.MaxBodies == 0 {
		cfg.MaxBodies = max(256<<20, cfg.MaxBody)
	}
	if cfg.Keys == nil {
		cfg.Keys = func() []string { return nil }
	}
	s := &Server{cfg: cfg, log: log, registry: reg, pool: engine.NewPool(1), keys: keyring{cfg.Keys}, inflight: make(chan struct{}, cfg.MaxInflight)}
	s.freed, s.asides, s.schemas = make(chan struct{}, 1), make(chan struct{}, mostAsides), make(chan struct{}, mostAsides)
	s.mostBodies.Store(cfg.MaxBodies)
	s.patience = patience{header: 5 * time.Second, body: 30 * time.Second, answer: 30 * time.Second, idle: 2 * time.Minute, memory: time.Second}
	s.metrics = newMetrics(reg, cfg)
	s.router = router.New(router.Options{
		Open: cfg.Open, Named: cfg.Named, Pool: s.pool, Log: log,
		Observe: func(name, version string) engine.Observer { return s.metrics.of(name, version) },
	})
	reg.MustRegister(newSnapshot(s))
	s.exchanges.New = func() any { return new(exchange) }
	var err error
	s.shared, err = s.newGRPC()
	return s, err
}

// Source is where a server's settings come from.
type Source struct {
	Name     string                          // of the file, for the log
	Read     func() ([]byte, error)          // the file's content; nil: there is none
	Standing func() (router.Standing, error) // what holds where the file says nothing
	Every    time.Duration                   // between looks
}

// Serve answers on ln, and gRPC also on its own listener if there is one (nil: only on ln, over HTTP/2
// without TLS). It loads the models that src names and serves them until ctx ends; then it drains and returns
// nil if no request was lost. Health is answered while the models still load. When nothing can be loaded, or
// a listener ends, it finishes what is inside and returns why.
func (s *Server) Serve(ctx context.Context, ln, grpcLn net.Listener, src Source) error {
	srv := s.httpServer()
	own, err := s.newGRPC()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	ended, looked := make(chan error, 2), make(chan error, 1)
	answer := func(ln net.Listener, serve func(net.Listener) error) {
		running.Go(func() { ended <- fmt.Errorf("serve on %s: %w", ln.Addr(), serve(ln)) })
	}
	answer(ln, srv.Serve)
	if grpcLn != nil {
		answer(grpcLn, own.Serve)
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() { s.follow(following, src, looked) })
	err = until(ctx, ended, looked)
	stop()
	err = errors.Join(err, s.drain(srv, own, err == nil && s.router.Ready()), s.close())
	if err == nil {
		running.Wait() // after an error what is stuck may stay so
	}
	return err
}

// until waits for the first reason to stop serving: nil is that ctx ended.
func until(ctx context.Context, ended, looked <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case err := <-looked:
			if err != nil {
				return err
			}
			looked = nil
		}
	}
}

// close lets the models go. One that is still being loaded is not waited for longer than requests are.
func (s *Server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	return s.router.Close(ctx)
}

func (s *Server) httpServer() *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s.Handler(),
		Protocols:         p,
		ReadHeaderTimeout: s.patience.header,
		ReadTimeout:       s.patience.body,
		WriteTimeout:      s.patience.body + s.cfg.RequestTimeout + s.patience.answer,
		IdleTimeout:       s.patience.idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// maxHeader is how many bytes a request's header may have.
const maxHeader = 16 << 10
