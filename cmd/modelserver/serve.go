package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving"
	"trimtab.dev/trimtab/serving/runtime"
)

const (
	standingListen = ":8080"
	mostQueueRows  = 16384
	mostQueueBytes = 64 << 20 // of input values
	lookEvery      = time.Second
	mostSettings   = 1 << 20 // bytes, as a ConfigMap
)

// serveOptions are the flags of serve.
type serveOptions struct {
	model, listen, logFormat string
	config                   string // settings file; empty: none
	port                     int
	cfg                      serving.Config
}

func (o *serveOptions) settings() *settings {
	s := &settings{verb: "serve"}
	s.add("model", "MODEL", "valuation", "builtin model: "+strings.Join(runtime.Names(), ", "), oneOf(&o.model, runtime.Names()...))
	s.add("name", "MODEL_NAME", "", "name that the model is served under; the builtin's if empty", text(&o.cfg.Name))
	s.add("model-version", "MODEL_VERSION", "unknown", "version of the model, in answers and metrics", text(&o.cfg.Version))
	s.add("listen", "LISTEN", "", "address to serve on, like 127.0.0.1:8080; "+standingListen+" if empty", text(&o.listen))
	s.add("port", "PORT", "", "port to serve on, on every address; instead of --listen", whole(&o.port, 1, 65535))
	s.add("batch-size", "BATCH_SIZE", "32", "rows in one batch at most", whole(&o.cfg.Limits.MaxBatchSize, 1, 1<<20))
	s.add("max-queue-delay", "MAX_QUEUE_DELAY", "5ms", "longest wait to fill a batch", span(&o.cfg.Limits.MaxQueueDelay, 0))
	s.add("config", "CONFIG", "", "JSON file with batch_size, max_delay and generation, which win over the flags; read again when it changes", text(&o.config))
	s.add("max-queue-rows", "MAX_QUEUE_ROWS", "", "rows that may wait; if empty 16384, or 64 MiB of input if that is less, and at least 4 batches", whole(&o.cfg.Limits.MaxQueueRows, 1, math.MaxInt32))
	s.add("max-body", "MAX_BODY", "16777216", "bytes of one request at most", whole(&o.cfg.MaxBody, 1, 1<<32))
	s.add("max-inflight", "MAX_INFLIGHT", "128", "requests read, waiting or computed at once", whole(&o.cfg.MaxInflight, 1, 1<<20))
	s.add("request-timeout", "REQUEST_TIMEOUT", "30s", "longest time of a request in queue and model", span(&o.cfg.RequestTimeout, time.Millisecond))
	s.add("drain-delay", "DRAIN_DELAY", "5s", "after SIGTERM: how long to serve on while not ready", span(&o.cfg.DrainDelay, 0))
	s.add("drain-timeout", "DRAIN_TIMEOUT", "20s", "after that: how long requests in flight may take", span(&o.cfg.DrainTimeout, time.Millisecond))
	s.add("log-format", "LOG_FORMAT", "json", "json or text", oneOf(&o.logFormat, "json", "text"))
	return s
}

// parse reads the flags and fills what follows from others.
func (o *serveOptions) parse(args []string, env func(string) string) faults {
	bad := o.settings().parse(args, env)
	switch {
	case o.port != 0 && o.listen != "":
		bad = append(bad, "--port and --listen (or PORT and LISTEN) are both given; give one")
	case o.port != 0:
		o.listen = ":" + strconv.Itoa(o.port)
	case o.listen == "":
		o.listen = standingListen
	}
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		bad = append(bad, fmt.Sprintf("--listen: %.80q is not an address, like 127.0.0.1:8080", o.listen))
	}
	if o.cfg.Name == "" {
		o.cfg.Name = o.model
	}
	if strings.Contains(o.cfg.Name+o.cfg.Version, "/") {
		bad = append(bad, "--name and --model-version stand in paths; leave out the /")
	}
	if o.cfg.Limits.MaxQueueRows == 0 {
		o.cfg.Limits.MaxQueueRows = queueRows(o.model, o.cfg.Limits.MaxBatchSize)
	}
	if err := o.cfg.Check(); err != nil {
		bad = append(bad, strings.Split(err.Error(), "\n")...)
	}
	return bad
}

// queueRows is how many rows may wait when nobody says: small rows by number, large ones by memory.
func queueRows(model string, batchSize int) int {
	input, _, err := runtime.Sample(model, 0, 0)
	if err != nil {
		return 4 * batchSize
	}
	return max(min(mostQueueRows, mostQueueBytes/(4*input.Width())), 4*batchSize)
}

// serve serves a model until ctx ends, then drains.
func (p program) serve(ctx context.Context, args []string) error {
	o := serveOptions{cfg: serving.Config{Build: version()}}
	if bad := o.parse(args, p.env); len(bad) > 0 {
		return bad
	}
	log := p.logger(o.logFormat)
	server, err := serving.New(o.cfg, serving.NewRegistry(), log)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", o.listen, err)
	}
	if o.config != "" {
		following, stop := context.WithCancel(ctx)
		wait := server.Follow(following, o.config, settingsFile(o.config), lookEvery)
		defer func() { stop(); wait() }()
	}
	log.Info("listening", "address", ln.Addr().String(), "model", o.cfg.Name, "batch_size", o.cfg.Limits.MaxBatchSize, "max_queue_delay", o.cfg.Limits.MaxQueueDelay.String())
	return server.Serve(ctx, ln, func() (runtime.Model, error) { return runtime.Open(o.model) })
}

// settingsFile reads a settings file. It tries twice: a ConfigMap that changes in between takes the file
// away from under the first try.
func settingsFile(name string) func() ([]byte, error) {
	return func() ([]byte, error) {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = os.Open(name)
		}
		if err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, mostSettings+1))
		if err == nil && len(data) > mostSettings {
			err = fmt.Errorf("%s is larger than %d bytes", name, mostSettings)
		}
		if err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		return data, nil
	}
}

func (p program) logger(format string) *slog.Logger {
	if format == "text" {
		return slog.New(slog.NewTextHandler(p.stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, nil))
}
