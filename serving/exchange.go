package serving

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/protocol"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
)

// exchange is the memory of one inference request; it is used again for others.
type exchange struct {
	body bytes.Buffer
	in   protocol.InferRequest
	out  []byte
}

// mostKept is how large a buffer may be that is kept for other requests.
const mostKept = 1 << 20

// exchange takes one that nobody uses, and returns how to give it back.
func (s *Server) exchange() (x *exchange, back func()) {
	x = s.exchanges.Get().(*exchange)
	return x, func() {
		if x.body.Cap() > mostKept || cap(x.out) > mostKept || x.in.Bytes() > mostKept {
			return
		}
		x.body.Reset()
		s.exchanges.Put(x)
	}
}

// asked is an inference request on its way through a protocol. What is known of it when it ends is what is
// counted and logged.
type asked struct {
	endpoint string
	begun    time.Time
	trace    string // id of the trace; empty: none
	sampled  bool
	header   func(string) string

	class   batch.Class   // as the header says
	timeout time.Duration // as the header says; 0: it does not

	target         router.Target // nil: it was refused before one was chosen
	model, version string        // as in the answer
	rows           int
	reserved       int64 // bytes of memory, see reserve
	release        func()
}

// pick chooses the model; field reads one of the body, nil where there are none.
func (s *Server) pick(a *asked, name, version string, field func(string) (string, bool)) error {
	to, release, err := s.router.Pick(name, version, router.Hint{Header: a.header, Key: a.header("X-Routing-Key"), Field: field})
	switch {
	case errors.Is(err, router.ErrLoading):
		return shed(ShedLoading, time.Second)
	case errors.Is(err, router.ErrNoRule):
		return refuse(http.StatusBadRequest, "%w", err)
	case err != nil:
		return refuse(http.StatusNotFound, "%w", err)
	}
	a.target, a.release = to, release
	a.model, a.version = to.About()
	return nil
}

// room reads what the header says of haste, and refuses what would be refused anyway, before the body is read.
func (s *Server) room(a *asked) (err error) {
	if a.class, err = classOf(a.header("X-Priority")); err != nil {
		return err
	}
	if a.timeout, err = timeoutOf(a.header); err != nil {
		return err
	}
	return reasonOf(a.target.Room(1, a.class, deadlineOf(a.begun, a.timeout)))
}

// patient ends when its context does, but its deadline is the client's: towards a deadline the batcher works,
// in place of the SLO, while how long the server bears with a request is nothing to aim at.
type patient struct {
	context.Context
	client context.Context
}

// Deadline implements context.Context.
func (p patient) Deadline() (time.Time, bool) { return p.client.Deadline() }

// compute runs the rows of in. Of two timeouts the shorter holds; the body's priority wins over the header's.
func (s *Server) compute(ctx context.Context, a *asked, in *protocol.InferRequest) ([]runtime.Tensor, error) {
	class, timeout := a.class, a.timeout
	if in.Priority != "" {
		var err error
		if class, err = classOf(in.Priority); err != nil {
			return nil, err
		}
	}
	if in.Timeout > 0 && (timeout == 0 || in.Timeout < timeout) {
		timeout = in.Timeout
	}
	a.rows = in.Rows
	bounded, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	out, err := a.target.Infer(patient{bounded, ctx}, engine.Request{Inputs: in.Inputs, Rows: in.Rows, Class: class, Deadline: deadlineOf(a.begun, timeout)})
	var r *batch.Refusal
	if errors.As(err, &r) && r.Reason == batch.TooLarge {
		return nil, refuse(http.StatusRequestEntityTooLarge, "request has %d rows in %d bytes, more than may ever wait here; send it in parts", in.Rows, in.Bytes())
	}
	return out, reasonOf(err)
}

// classOf reads how much a request presses: a class's name, or Triton's integer.
func classOf(text string) (batch.Class, error) {
	class, ok := batch.ParseClass(text)
	if !ok {
		return class, refuse(http.StatusBadRequest, "priority %.20q is none of interactive, default, batch (1, 2, 3)", text)
	}
	return class, nil
}

// timeoutOf is how long the client waits, as it says in X-Request-Timeout (like 20ms) or a proxy of Envoy's in
// its own header; 0: nobody said.
func timeoutOf(header func(string) string) (time.Duration, error) {
	if text := header("X-Request-Timeout"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return 0, refuse(http.StatusBadRequest, "X-Request-Timeout is %.20q; write a duration, like 20ms", text)
		}
		return d, nil
	}
	ms, _ := strconv.ParseInt(header("X-Envoy-Expected-Rq-Timeout-Ms"), 10, 64) // a proxy's fault is not the client's
	return time.Duration(min(max(ms, 0), 1<<31)) * time.Millisecond, nil
}

func deadlineOf(begun time.Time, timeout time.Duration) time.Time {
	if timeout == 0 {
		return time.Time{}
	}
	return begun.Add(timeout)
}

// reasonOf turns what an engine says into a fault. What the model itself says stays an error of the server.
func reasonOf(err error) error {
	var r *batch.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r) && r.Reason == batch.TooLate:
		return shed(ShedTooLate, r.RetryAfter)
	case errors.As(err, &r):
		return shed(ShedQueueFull, r.RetryAfter)
	case errors.Is(err, router.ErrTooLong):
		return refuse(http.StatusBadRequest, "%w", err)
	case errors.Is(err, engine.ErrClosed):
		return shed(ShedLoading, time.Second)
	case errors.Is(err, engine.ErrExpired):
		return shed(ShedTimeout, 0)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return ended(err)
	}
	return err
}

// firstRead is how much memory a body gets because it says that it will be so long; more only as it comes.
const firstRead = 256 << 10

// read takes a body of at most MaxBody bytes.
func (s *Server) read(w http.ResponseWriter, q *http.Request, a *asked, into *bytes.Buffer) error {
	if e := q.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return refuse(http.StatusUnsupportedMediaType, "content encoding %.20q is not served; send it plain", e)
	}
	into.Reset()
	if q.ContentLength > s.cfg.MaxBody {
		return refuse(http.StatusRequestEntityTooLarge, "body is larger than %d bytes; send it in parts", s.cfg.MaxBody)
	}
	if err := s.reserve(a, max(q.ContentLength, 0)); err != nil {
		return err
	}
	if q.ContentLength > 0 {
		into.Grow(int(min(q.ContentLength, firstRead)) + bytes.MinRead)
	}
	if _, err := into.ReadFrom(&metered{from: http.MaxBytesReader(w, q.Body, s.cfg.MaxBody), server: s, of: a}); err != nil {
		return s.unreadable(q, a, err)
	}
	return s.keep(a, int64(into.Len()))
}

// unreadable says why a body could not be read.
func (s *Server) unreadable(q *http.Request, a *asked, err error) error {
	var tooLarge *http.MaxBytesError
	var f fault
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "body is larger than %d bytes; send it in parts", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "the body was not there %s after the header", time.Since(a.begun).Round(time.Second))
	case errors.Is(err, io.ErrUnexpectedEOF), q.Context().Err() != nil:
		return shed(ShedCancelled, 0)
	}
	return refuse(http.StatusBadRequest, "read the body: %w", err)
}
