package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving"
	"trimtab.dev/trimtab/serving/router"
)

const (
	standingListen = ":8080"
	lookEvery      = time.Second
)

// serveOptions are the flags of serve.
type serveOptions struct {
	model, models, library        string
	listen, grpcListen, logFormat string
	config                        string // settings file; empty: none
	apiKeys                       string
	port                          int
	nameGiven                     bool
	cfg                           serving.Config
	standing                      router.Standing
}

func (o *serveOptions) settings() *settings {
	s := &settings{verb: "serve"}
	l := &o.standing.Limits
	s.add("model", "MODEL", "", "ONNX file, or an example ("+standingModel+" if nothing says what to serve): "+strings.Join(exampleNames(), ", "), text(&o.model))
	s.add("models", "MODELS", "", "folder of models instead: MODEL/VERSION/model.onnx, MODEL/model.onnx or model.onnx", text(&o.models))
	s.add("name", "MODEL_NAME", "", "name that the model is served under; its own, or its file's, if empty", text(&o.cfg.Name))
	s.add("model-version", "MODEL_VERSION", "unknown", "version of the model, in answers and metrics", text(&o.cfg.Version))
	s.add("runtime", "RUNTIME", runtimeAuto, "auto, builtin (pure Go) or onnx (ONNX Runtime's shared library)", oneOf(&o.standing.Runtime, runtimeAuto, runtimeBuiltin, runtimeONNX))
	s.add("onnxruntime", "ORT_LIBRARY", "", "ONNX Runtime's shared library; looked for beside the program and among the system's if empty", text(&o.library))
	s.add("listen", "LISTEN", "", "address to serve on, like 127.0.0.1:8080; "+standingListen+" if empty", text(&o.listen))
	s.add("port", "PORT", "", "port to serve on, on every address; instead of --listen", whole(&o.port, 1, 65535))
	s.add("grpc-listen", "GRPC_LISTEN", "", "address for gRPC alone; it is served on --listen in any case", text(&o.grpcListen))
	s.add("config", "CONFIG", "", "JSON file, as the ConfigMap model-config, whose keys win over the flags; read again when it changes", text(&o.config))
	s.add("batch-size", "BATCH_SIZE", "32", "rows in one batch at most", whole(&l.MaxBatchSize, 1, 1<<20))
	s.add("slo", "SLO", "0s", "time that a request should take from arrival to answer: batches wait within it, and what would be later is refused; 0s is none", span(&l.SLO, 0))
	s.add("max-queue-delay", "MAX_QUEUE_DELAY", "", "longest wait to fill a batch; if empty the SLO, and 5ms without one", o.delay)
	s.add("batching", "BATCHING", router.Adaptive.String(), "adaptive, static (waits the whole delay) or off (each request alone)", o.batchingOf)
	s.add("instances", "INSTANCES", "0", "batches of a model computed at once; 0 follows the CPU limit", whole(&o.standing.Instances, 0, 1024))
	s.add("max-sequence-length", "MAX_SEQUENCE_LENGTH", "0", "longest dynamic dimension of a request; 0 is any", whole(&o.standing.MaxLength, 0, 1<<30))
	s.add("max-queue-rows", "MAX_QUEUE_ROWS", "", "rows that may wait; if empty 16384, and at least 4 batches", whole(&l.MaxQueueRows, 1, math.MaxInt32))
	s.add("max-queue-bytes", "MAX_QUEUE_BYTES", "67108864", "bytes of input that may wait; 0 is any", whole(&l.MaxQueueBytes, 0, 1<<40))
	s.add("max-body", "MAX_BODY", "16777216", "bytes of one request at most", whole(&o.cfg.MaxBody, 1, 1<<32))
	s.add("max-bodies", "MAX_BODIES", "", "bytes of the bodies of all requests at once; if empty 268435456, or one body if that is more. Never more than a quarter of the memory limit", whole(&o.cfg.MaxBodies, 1, 1<<40))
	s.add("max-inflight", "MAX_INFLIGHT", "1024", "requests read, waiting or computed at once", whole(&o.cfg.MaxInflight, 1, 1<<20))
	s.add("request-timeout", "REQUEST_TIMEOUT", "30s", "longest time of a request in queue and model", span(&o.cfg.RequestTimeout, time.Millisecond))
	s.add("drain-delay", "DRAIN_DELAY", "5s", "after SIGTERM: how long to serve on while not ready", span(&o.cfg.DrainDelay, 0))
	s.add("drain-timeout", "DRAIN_TIMEOUT", "20s", "after that: how long requests in flight may take", span(&o.cfg.DrainTimeout, time.Millisecond))
	s.add("api-key-file", "API_KEY_FILE", "", "file with API keys, a line each, as a Secret mounts it; read again when it changes. API_KEY is one more", text(&o.apiKeys))
	s.add("log-format", "LOG_FORMAT", "json", "json or text", oneOf(&o.logFormat, "json", "text"))
	s.toggle("log-requests", "log a line for each inference request, without its values", &o.cfg.LogRequests)
	return s
}

func (o *serveOptions) delay(v string) error {
	o.standing.DelayGiven = true
	return span(&o.standing.Limits.MaxQueueDelay, 0)(v)
}

func (o *serveOptions) batchingOf(v string) error {
	b, ok := router.ParseBatching(v)
	if !ok {
		return errors.New("is none of adaptive, static, off")
	}
	o.standing.Batching = b
	return nil
}

// parse reads the flags and fills what follows from others.
func (o *serveOptions) parse(args []string, env func(string) string) faults {
	set := o.settings()
	bad := set.parse(args, env)
	given, _ := set.split(args)
	if !o.address(len(given["port"]) > 0, len(given["listen"]) > 0) {
		bad = append(bad, "--port and --listen (or PORT and LISTEN) are both given; give one")
	}
	for flag, address := range map[string]string{"listen": o.listen, "grpc-listen": o.grpcListen} {
		if _, _, err := net.SplitHostPort(address); err != nil && address != "" {
			bad = append(bad, fmt.Sprintf("--%s: %.80q is not an address, like 127.0.0.1:8080", flag, address))
		}
	}
	bad = append(bad, o.source()...)
	if !o.standing.DelayGiven {
		o.standing.Limits.MaxQueueDelay = 5 * time.Millisecond
	}
	if l := &o.standing.Limits; l.MaxQueueRows == 0 {
		l.MaxQueueRows = max(16384, 4*l.MaxBatchSize)
	}
	for _, err := range []error{o.cfg.Check(), o.standing.Limits.Check()} {
		if err != nil {
			bad = append(bad, strings.Split(err.Error(), "\n")...)
		}
	}
	return bad
}

// address makes one address of port and listen; it is false where both are given and neither goes before the
// other, as a flag goes before the environment.
func (o *serveOptions) address(portFlag, listenFlag bool) bool {
	both := o.port != 0 && o.listen != ""
	switch {
	case both && portFlag == listenFlag:
		return false
	case o.port != 0 && !(both && listenFlag):
		o.listen = ":" + strconv.Itoa(o.port)
	case o.listen == "":
		o.listen = standingListen
	}
	return true
}

// standingModel is served where nothing at all says what.
const standingModel = "valuation"

// source says what the flags name, and what is wrong with that. A settings file names its models itself: an
// example must not stand in for them when it cannot be read.
func (o *serveOptions) source() (bad faults) {
	o.nameGiven = o.cfg.Name != ""
	switch {
	case o.model != "" && o.models != "":
		bad = append(bad, "--model and --models (or MODEL and MODELS) are both given; give one")
	case o.model == "" && o.models == "" && o.config == "":
		o.model = standingModel
	}
	if !o.nameGiven {
		o.cfg.Name = nameOf(o.model)
	}
	if strings.Contains(o.cfg.Name+o.cfg.Version, "/") {
		bad = append(bad, "--name and --model-version stand in paths; leave out the /")
	}
	if o.model == "" {
		return bad
	}
	info, err := os.Stat(o.model)
	switch {
	case named(o.model):
	case err != nil:
		bad = append(bad, fmt.Sprintf("--model: %.80q is no file and none of the examples %s", o.model, strings.Join(exampleNames(), ", ")))
	case info.IsDir():
		o.model = filepath.Join(o.model, "model.onnx") // as KServe mounts one
	}
	o.standing.Models = []router.ModelConfig{{Name: o.cfg.Name, Versions: []router.VersionConfig{{Version: o.cfg.Version, File: o.model}}}}
	return bad
}

// nameOf is the name of a model that nobody named: its file's without the ending.
func nameOf(model string) string {
	switch {
	case model == "":
		return "models"
	case strings.HasPrefix(model, "sim:"):
		return "sim"
	}
	return strings.TrimSuffix(filepath.Base(model), filepath.Ext(model))
}

// standingNow is what the flags say; models of a folder come and go.
func (o *serveOptions) standingNow() (router.Standing, error) {
	if o.models == "" {
		return o.standing, nil
	}
	models, err := router.Scan(o.models)
	if o.nameGiven && len(models) == 1 {
		models[0].Name = o.cfg.Name
	}
	s := o.standing
	s.Models = models
	return s, err
}

// serve serves models until ctx ends, then drains.
func (p program) serve(ctx context.Context, args []string) error {
	o := serveOptions{cfg: serving.Config{Build: version()}}
	if bad := o.parse(args, p.env); len(bad) > 0 {
		return bad
	}
	log := p.logger(o.logFormat)
	open := opener{library: o.library, log: log.Info}
	o.cfg.Open, o.cfg.Named = open.open, named
	o.cfg.Keys = p.keys(o.apiKeys, log)
	server, err := serving.New(o.cfg, serving.NewRegistry(), log)
	if err != nil {
		return err
	}
	ln, grpcLn, err := o.open()
	if err != nil {
		return err
	}
	src := serving.Source{Name: o.config, Standing: o.standingNow, Every: lookEvery}
	if o.config != "" {
		src.Read = router.ReadFile(o.config)
	}
	log.Info("listening", "address", ln.Addr().String(), "model", o.cfg.Name)
	return server.Serve(ctx, ln, grpcLn, src)
}

// open opens the listeners; the second is nil where gRPC has none of its own.
func (o *serveOptions) open() (ln, grpcLn net.Listener, err error) {
	ln, err = net.Listen("tcp", o.listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", o.listen, err)
	}
	if o.grpcListen == "" {
		return ln, nil, nil
	}
	grpcLn, err = net.Listen("tcp", o.grpcListen)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen on %s: %w", o.grpcListen, err), ln.Close())
	}
	return ln, grpcLn, nil
}

func (p program) logger(format string) *slog.Logger {
	if format == "text" {
		return slog.New(slog.NewTextHandler(p.stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(p.stderr, nil))
}
