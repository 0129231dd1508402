package serving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// fault is an error with the HTTP status that it is answered with.
type fault struct {
	status int
	shed   string // reason in MetricShed; empty if nothing was shed
	err    error
}

func (f fault) Error() string { return f.err.Error() }
func (f fault) Unwrap() error { return f.err }

// refuse makes a fault of the client's doing.
func refuse(status int, format string, args ...any) error {
	return fault{status: status, err: fmt.Errorf(format, args...)}
}

// statusClientClosed is nginx's code for a client that went away; nobody reads the answer, but the
// metrics have a name for it.
const statusClientClosed = 499

// shed makes a fault of a request that the server does not compute. Overload is 429: this server is
// well and says "less"; 503 says "not this server now".
func shed(reason string) error {
	status := http.StatusServiceUnavailable
	text := "model is loading"
	switch reason {
	case ShedQueueFull:
		status, text = http.StatusTooManyRequests, "queue is full; try again later or with fewer rows"
	case ShedInflight:
		status, text = http.StatusTooManyRequests, "too many requests at once; try again later"
	case ShedTimeout:
		text = "request was not computed in time; try again later"
	case ShedCancelled:
		status, text = statusClientClosed, "client went away"
	}
	return fault{status: status, shed: reason, err: errors.New(text)}
}

// reasonOf turns what the engine says into a fault.
func reasonOf(err error) error {
	switch {
	case errors.Is(err, errQueueFull):
		return shed(ShedQueueFull)
	case errors.Is(err, context.DeadlineExceeded):
		return shed(ShedTimeout)
	case errors.Is(err, context.Canceled):
		return shed(ShedCancelled)
	}
	return err
}

// route is one path. With an endpoint it is an inference request: bounded, timed and counted.
type route struct {
	method, path, endpoint string
	handle                 func(http.ResponseWriter, *http.Request) error
}

// wrap is the one place that writes errors and counts requests.
func (s *Server) wrap(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		if r.endpoint == "" {
			writeError(w, s.checked(r, w, q))
			return
		}
		begun := time.Now()
		err := s.admitted(r, w, q)
		code := writeError(w, err)
		s.metrics.requests.WithLabelValues(strconv.Itoa(code)).Inc()
		var f fault
		if errors.As(err, &f) && f.shed != "" {
			s.metrics.shed.WithLabelValues(f.shed).Inc()
		}
		if err == nil {
			s.metrics.latency.WithLabelValues(r.endpoint).Observe(time.Since(begun).Seconds())
		}
	})
}

// admitted runs an inference request if the model is there and there is room for one more.
func (s *Server) admitted(r route, w http.ResponseWriter, q *http.Request) error {
	select {
	case s.inflight <- struct{}{}:
	default:
		return shed(ShedInflight)
	}
	s.metrics.inflight.Inc()
	defer func() { s.metrics.inflight.Dec(); <-s.inflight }()
	if s.meta.Load() == nil {
		return shed(ShedLoading)
	}
	ctx, cancel := context.WithTimeout(q.Context(), s.cfg.RequestTimeout)
	defer cancel()
	return s.checked(r, w, q.WithContext(ctx))
}

// checked refuses a wrong method. HEAD is a GET whose body the HTTP server leaves out.
func (s *Server) checked(r route, w http.ResponseWriter, q *http.Request) error {
	if r.method != "" && q.Method != r.method && !(r.method == http.MethodGet && q.Method == http.MethodHead) {
		w.Header().Set("Allow", r.method)
		return refuse(http.StatusMethodNotAllowed, "%s is not for %s; use %s", q.URL.Path, q.Method, r.method)
	}
	return r.handle(w, q)
}

func notFound(_ http.ResponseWriter, q *http.Request) error {
	return refuse(http.StatusNotFound, "nothing at %.100q", q.URL.Path)
}

// writeError answers with {"error": ...} and returns the status; without an error the answer is
// written already and was 200.
func writeError(w http.ResponseWriter, err error) int {
	if err == nil {
		return http.StatusOK
	}
	status := http.StatusInternalServerError
	var f fault
	if errors.As(err, &f) {
		status = f.status
	}
	if f.shed != "" {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, map[string]string{"error": err.Error()})
	return status
}

// writeJSON answers with v. What cannot be encoded is found before the first byte is sent.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // a client that is gone cannot be told so
	return nil
}
