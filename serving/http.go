package serving

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving/protocol"
)

// route is one path. With an endpoint it is an inference request: bounded, timed and counted.
type route struct {
	method, path, endpoint string
	open                   bool // needs no API key
	handle                 func(http.ResponseWriter, *http.Request) error
	infer                  func(http.ResponseWriter, *http.Request, *asked) error
}

// Handler is the server's HTTP side. gRPC, which comes over HTTP/2, goes past the paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, routes := range byPath(s.routes()) {
		mux.Handle(path, s.wrap(routes))
	}
	mux.Handle("/metrics", MetricsHandler(s.registry))
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.ProtoMajor == 2 && strings.HasPrefix(q.Header.Get("Content-Type"), "application/grpc") {
			s.shared.ServeHTTP(w, s.gated(w, q))
			return
		}
		mux.ServeHTTP(w, q)
	})
}

func (s *Server) routes() []route {
	const model, version = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
	get := func(path string, open bool, h func(http.ResponseWriter, *http.Request) error) route {
		return route{method: http.MethodGet, path: path, open: open, handle: h}
	}
	infer := func(path, endpoint string, h func(http.ResponseWriter, *http.Request, *asked) error) route {
		return route{method: http.MethodPost, path: path, endpoint: endpoint, infer: h}
	}
	return []route{
		get("/v2", false, s.aboutServer), get("/v2/health/live", true, s.live), get("/v2/health/ready", true, s.ready),
		get(model, false, s.aboutModel), get(version, false, s.aboutModel),
		get(model+"/ready", true, s.modelReady), get(version+"/ready", true, s.modelReady),
		get(model+"/config", false, s.modelConfig), get(version+"/config", false, s.modelConfig),
		get(model+"/stats", false, s.statistics), get(version+"/stats", false, s.statistics), get("/v2/models/stats", false, s.statistics),
		get(model+"/curve", false, s.curve), get(version+"/curve", false, s.curve),
		{method: http.MethodPost, path: "/v2/repository/index", handle: s.index},
		get("/v1/models", false, s.listV1), get("/v1/models/{call}", true, s.readyV1),
		infer(model+"/infer", EndpointInfer, s.infer), infer(version+"/infer", EndpointInfer, s.infer),
		infer("/v1/models/{call}", EndpointV1, s.predictV1), infer("/predict", EndpointPredict, s.predict), infer("/predict/{name}", EndpointPredict, s.predict),
		{method: http.MethodPost, path: "/drain", open: true, handle: s.drainNow},
		{path: "/", open: true, handle: notFound},
	}
}

// byPath puts together what has one path and several methods.
func byPath(routes []route) map[string][]route {
	paths := map[string][]route{}
	for _, r := range routes {
		paths[r.path] = append(paths[r.path], r)
	}
	return paths
}

// wrap is the one place that writes errors and counts requests. Of a path's routes the one with the request's
// method answers. A request with another method is none for inference, so it is not counted as one.
func (s *Server) wrap(routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.draining.Load() != nil {
			w.Header().Set("Connection", "close")
		}
		i := slices.IndexFunc(routes, func(r route) bool { return r.takes(q.Method) })
		if i < 0 {
			writeError(w, wrongMethod(routes, w, q))
			return
		}
		if r := routes[i]; r.endpoint != "" {
			s.serve(r, w, q)
		} else if err := s.handle(r, w, q); err != nil {
			writeError(w, err)
		}
	})
}

// wrongMethod says which methods a path has.
func wrongMethod(routes []route, w http.ResponseWriter, q *http.Request) error {
	var methods []string
	for _, r := range routes {
		methods = append(methods, r.method)
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return refuse(http.StatusMethodNotAllowed, "%.100q is not for %.20s; use %s", q.URL.Path, q.Method, strings.Join(methods, " or "))
}

func (s *Server) handle(r route, w http.ResponseWriter, q *http.Request) (err error) {
	defer s.recovered(&err)
	if err := s.checked(r, q); err != nil {
		return err
	}
	return r.handle(w, q)
}

// recovered makes an error of a panic: what one request brings about is its own affair. The caller's defers
// have put the server's books in order.
func (s *Server) recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("answer the request: panic: %v", cause)
		s.log.Error("panic", "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
	}
}

// takes reports whether the route is for a method. HEAD is a GET whose body the HTTP server leaves out.
func (r route) takes(method string) bool {
	return r.method == "" || r.method == method || r.method == http.MethodGet && method == http.MethodHead
}

// serve runs an inference request and counts it.
func (s *Server) serve(r route, w http.ResponseWriter, q *http.Request) {
	a := s.begun(r.endpoint, q.Header.Get)
	err := s.admitted(r, w, q, a)
	if err != nil {
		writeError(w, err)
	}
	s.over(a, err)
}

func (s *Server) admitted(r route, w http.ResponseWriter, q *http.Request, a *asked) (err error) {
	defer s.recovered(&err)
	if err := s.checked(r, q); err != nil {
		return err
	}
	if err := s.admit(); err != nil {
		return err
	}
	defer s.leave()
	return r.infer(w, q, a)
}

// begun notes that an inference request came.
func (s *Server) begun(endpoint string, header func(string) string) *asked {
	a := &asked{endpoint: endpoint, begun: time.Now(), header: header}
	if t := header("Traceparent"); t != "" {
		a.trace, a.sampled = traceOf(t)
	}
	return a
}

// admit lets in a request if there is room for one more.
func (s *Server) admit() error {
	select {
	case s.inflight <- struct{}{}:
	default:
		return shed(ShedInflight, 0)
	}
	s.metrics.inflight.Inc()
	return nil
}

func (s *Server) leave() {
	s.metrics.inflight.Dec()
	<-s.inflight
}

// inside is the number of inference requests read, waiting or computed.
func (s *Server) inside() int { return len(s.inflight) }

// over counts an inference request, logs it, and lets go of its model. A request that found no model is
// counted under the name of the server's own.
func (s *Server) over(a *asked, err error) {
	if a.release != nil {
		a.release()
	}
	s.free(a)
	if a.target == nil {
		a.model, a.version = s.cfg.Name, s.cfg.Version
	}
	s.missed(a, err)
	took := time.Since(a.begun)
	trace := ""
	if a.sampled {
		trace = a.trace
	}
	s.metrics.answered(a.model, a.version, a.endpoint, err, took, trace)
	switch {
	case statusOf(err) == http.StatusInternalServerError:
		s.log.Error("request failed", "model", a.model, "version", a.version, "endpoint", a.endpoint, "rows", a.rows, "trace_id", a.trace, "err", err)
	case s.cfg.LogRequests:
		s.log.Info("request", "model", a.model, "version", a.version, "endpoint", a.endpoint, "rows", a.rows,
			"code", statusOf(err), "shed", shedOf(err), "took", took.String(), "trace_id", a.trace)
	}
}

// checked refuses a missing key.
func (s *Server) checked(r route, q *http.Request) error {
	if !r.open && !s.keys.allows(q.Header.Get) {
		return errKey()
	}
	return nil
}

func notFound(_ http.ResponseWriter, q *http.Request) error {
	return refuse(http.StatusNotFound, "nothing at %.100q", q.URL.Path)
}

// headerLength is the length of the JSON before binary tensors.
func headerLength(q *http.Request) (int, error) {
	text := q.Header.Get("Inference-Header-Content-Length")
	if text == "" {
		return protocol.Absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, refuse(http.StatusBadRequest, "Inference-Header-Content-Length is %.20q; write a number of bytes", text)
	}
	return n, nil
}

// infer is POST /v2/models/{name}/infer.
func (s *Server) infer(w http.ResponseWriter, q *http.Request, a *asked) error {
	length, err := headerLength(q)
	if err != nil {
		return err
	}
	x, back := s.exchange()
	defer back()
	if err := s.find(w, q, a, x, q.PathValue("name"), q.PathValue("version")); err != nil {
		return err
	}
	meta := a.target.Meta()
	if err := protocol.DecodeInfer(x.body.Bytes(), length, meta, &x.in); err != nil {
		return refuse(http.StatusBadRequest, "%w", err)
	}
	out, err := s.compute(q.Context(), a, &x.in)
	if err != nil {
		return err
	}
	answer := protocol.Answer{Model: a.model, Version: a.version, ID: x.in.ID, Specs: meta.Outputs, Outputs: out, Wanted: x.in.Outputs}
	x.out, length = protocol.AppendInfer(x.out[:0], answer)
	if length != protocol.Absent {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Inference-Header-Content-Length", strconv.Itoa(length))
	}
	writeBody(w, http.StatusOK, x.out)
	return nil
}

// find chooses the model and reads the body: the model first, so that what there is no room for is refused
// unread, unless a rule goes by a field of the body.
func (s *Server) find(w http.ResponseWriter, q *http.Request, a *asked, x *exchange, name, version string) error {
	var fault error
	read := false
	body := func() []byte {
		if !read {
			read, fault = true, s.read(w, q, a, &x.body)
		}
		return x.body.Bytes()
	}
	err := s.pick(a, name, version, func(field string) (string, bool) { return protocol.Field(body(), field) })
	if fault != nil {
		return fault
	}
	if err != nil {
		return err
	}
	if err := s.room(a); err != nil {
		return err
	}
	body()
	return fault
}
