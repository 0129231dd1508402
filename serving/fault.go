package serving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"trimtab.dev/trimtab/serving/protocol"
)

// fault is an error with the HTTP status that it is answered with.
type fault struct {
	status int
	shed   string        // reason in MetricShed; empty if nothing was shed
	retry  time.Duration // after which another try makes sense; 0: not known
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
func shed(reason string, retry time.Duration) error {
	status := http.StatusServiceUnavailable
	text := "model is loading"
	switch reason {
	case ShedQueueFull:
		status, text = http.StatusTooManyRequests, "queue is full; try again later or with fewer rows"
	case ShedTooLate:
		status, text = http.StatusTooManyRequests, "the answer would come too late; try again later"
	case ShedInflight:
		status, text = http.StatusTooManyRequests, "too many requests at once; try again later"
	case ShedTimeout:
		text = "request was not computed in time; try again later"
	case ShedCancelled:
		status, text = statusClientClosed, "client went away"
	}
	return fault{status: status, shed: reason, retry: retry, err: errors.New(text)}
}

// ended turns the end of a request's context into a fault.
func ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return shed(ShedTimeout, 0)
	}
	return shed(ShedCancelled, 0)
}

// codeOf is the label of an answer.
func codeOf(err error) string {
	if err == nil {
		return "200"
	}
	return strconv.Itoa(statusOf(err))
}

// shedOf is why a request was shed; empty if it was not.
func shedOf(err error) string {
	var f fault
	errors.As(err, &f)
	return f.shed
}

// statusOf is the HTTP status of an answer.
func statusOf(err error) int {
	var f fault
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &f):
		return f.status
	}
	return http.StatusInternalServerError
}

// writeError answers with {"error": ...}.
func writeError(w http.ResponseWriter, err error) {
	var f fault
	if errors.As(err, &f) && (f.shed != "" || f.status == http.StatusServiceUnavailable) {
		seconds := math.Ceil(max(f.retry, time.Second).Seconds())
		w.Header().Set("Retry-After", strconv.Itoa(int(min(seconds, 3600))))
	}
	if f.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeBody(w, statusOf(err), protocol.Error(err.Error()))
}

// writeJSON answers with v. What cannot be encoded is found before the first byte is sent.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	writeBody(w, status, body)
	return nil
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // a client that is gone cannot be told so
}
