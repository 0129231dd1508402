package usage

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// How often a query is asked again that a server was not able to answer, and after how long.
const (
	attempts    = 4
	firstWait   = 500 * time.Millisecond // then twice as long each time
	longestWait = time.Minute            // a server that asks for more has refused
)

// door is the way to a server: it proves who asks, asks again where that may help, and says in the error what
// the server said. It follows no redirect: the credentials are for one server.
type door struct {
	next    http.RoundTripper
	headers http.Header
	token   string        // file
	timeout time.Duration // of one attempt, with its answer
	maxBody int64
	moved   func()
	pause   func(ctx context.Context, d time.Duration) error
	now     func() time.Time // for a Retry-After that names a time
}

func newDoor(o ServerOptions) (*door, error) {
	d := &door{token: o.TokenFile, timeout: o.Timeout, maxBody: o.MaxBody, moved: o.Moved, pause: pause, now: time.Now}
	if d.moved == nil {
		d.moved = func() {}
	}
	var faults [3]error
	d.headers, faults[0] = parseHeaders(o.Headers)
	if o.TokenFile != "" {
		_, faults[1] = readToken(o.TokenFile)
		if d.headers.Get("Authorization") != "" {
			faults[1] = errors.Join(faults[1], errors.New("a token file and an Authorization header: give one of them"))
		}
	}
	d.next, faults[2] = trusting(o.CAFile)
	return d, errors.Join(faults[:]...)
}

func parseHeaders(lines []string) (http.Header, error) {
	out := http.Header{}
	var faults []error
	for i, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n") {
			faults = append(faults, fmt.Errorf("header %d: write it as 'Name: value'", i+1)) // it may be a secret: not shown
			continue
		}
		out.Add(name, strings.TrimSpace(value))
	}
	return out, errors.Join(faults...)
}

func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("the token file %s holds no token: write the token alone into it", file)
	}
	return token, nil
}

func trusting(caFile string) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = externalQueries
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// pause waits for d, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// RoundTrip implements http.RoundTripper. It gives good answers only, and those after which the client asks
// again in another way; everything else is an error in the server's words.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	for try, wait := 1, firstWait; ; try, wait = try+1, 2*wait {
		res, err := d.once(req)
		d.moved()
		var later again
		if err == nil || !errors.As(err, &later) || req.Context().Err() != nil {
			return res, err
		}
		wait := max(wait, later.after)
		if try == attempts || wait > longestWait {
			return nil, err
		}
		if err := d.pause(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// again is an error that may pass by itself.
type again struct {
	error
	after time.Duration // as the server asked for; 0: it did not
}

func (a again) Unwrap() error { return a.error }

func (d *door) once(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), d.timeout, fmt.Errorf("%w: no answer within %s", errTooMuch, d.timeout))
	out, err := d.dressed(req.Clone(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res, err := d.next.RoundTrip(out)
	if err != nil {
		defer cancel()
		return nil, failed(ctx, err)
	}
	res.Body = &atMost{ReadCloser: res.Body, ctx: ctx, cancel: cancel, left: d.maxBody, limit: d.maxBody}
	switch {
	case res.StatusCode/100 == 2:
		return whole(res)
	case req.Method == http.MethodPost && asksByGET(res.StatusCode):
		return res, nil
	}
	defer res.Body.Close()
	return nil, d.refusal(res)
}

// headOf is how many bytes of an answer are looked at: VictoriaMetrics says behind the status whether it is partial.
const headOf = 64

// whole refuses an answer of a VictoriaMetrics cluster that did not reach all of its storage nodes: it is marked as
// partial in a field of its own, which clients of Prometheus do not read, and comes with a good status.
func whole(res *http.Response) (*http.Response, error) {
	body := bufio.NewReader(res.Body)
	head, _ := body.Peek(headOf) // what is wrong with the body is told when it is read
	if bytes.Contains(bytes.ReplaceAll(head, []byte(" "), nil), []byte(`"isPartial":true`)) {
		return nil, errors.Join(again{error: errors.New("the answer is partial: the server did not reach all of its storage nodes")}, res.Body.Close())
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{body, res.Body}
	return res, nil
}

// failed says of an attempt without an answer whether to make another.
func failed(ctx context.Context, err error) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w; name the certificate of its authority", err)
	}
	return again{error: err}
}

// asksByGET tells the answers to a POST after which the client tries GET.
func asksByGET(status int) bool {
	return status == http.StatusForbidden || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

// dressed puts the credentials and a body of its own on a copy of a request.
func (d *door) dressed(out *http.Request) (*http.Request, error) {
	if out.GetBody != nil {
		body, err := out.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	out.Header.Set("User-Agent", "trimtab")
	for name, values := range d.headers {
		out.Header[name] = values
	}
	if host := d.headers.Get("Host"); host != "" {
		out.Host = host
	}
	if d.token != "" {
		token, err := readToken(d.token)
		if err != nil {
			return nil, err
		}
		out.Header.Set("Authorization", "Bearer "+token)
	}
	return out, nil
}

// refusal says why the server did not answer.
func (d *door) refusal(res *http.Response) error {
	kind, text := saidBy(res)
	err := fmt.Errorf("the server answers %s%s", res.Status, text)
	switch code := res.StatusCode; {
	case code/100 == 3:
		return fmt.Errorf("the server answers %s and leads to %q, which is not followed: give the URL of Prometheus itself, with credentials if it wants any", res.Status, placeOf(res))
	case code == http.StatusUnprocessableEntity, code == http.StatusRequestEntityTooLarge, code == http.StatusGatewayTimeout,
		code == http.StatusServiceUnavailable && kind == "timeout":
		return fmt.Errorf("%w: %w", errTooMuch, err)
	case code == http.StatusTooManyRequests, code/100 == 5:
		after := d.retryAfter(res)
		if after > longestWait {
			err = fmt.Errorf("%w; it asks to be left alone for %s", err, after)
		}
		return again{err, after}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%w; give a token file or a header that lets Trimtab in", err)
	case code == http.StatusNotFound:
		return fmt.Errorf("%w; is the URL the one below which /api/v1/query_range is?", err)
	}
	return err
}

// saidBy reads the server's own words: the kind of the error, and the text with a colon before it.
func saidBy(res *http.Response) (kind, text string) {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is of it
	var said struct{ ErrorType, Error string }
	if json.Unmarshal(body, &said) == nil && said.Error != "" {
		return said.ErrorType, ": " + oneLine(said.Error, 300)
	}
	if words := oneLine(string(body), 200); words != "" && !strings.HasPrefix(words, "<") { // pages say nothing
		return "", ": " + words
	}
	return "", ""
}

// placeOf is where a redirect leads, without what it passes on.
func placeOf(res *http.Response) string {
	u, err := res.Location()
	if err != nil {
		return "nowhere"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// retryAfter reads the header of that name: seconds, or a time.
func (d *door) retryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(0, n), 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(d.now()))
	}
	return 0
}

// atMost is a body that may be so long and no longer, and must end in time.
type atMost struct {
	io.ReadCloser
	ctx         context.Context
	cancel      context.CancelFunc
	left, limit int64
}

func (a *atMost) Read(p []byte) (int, error) {
	if a.left < 0 {
		return 0, fmt.Errorf("%w: the answer is longer than %d bytes", errTooMuch, a.limit)
	}
	n, err := a.ReadCloser.Read(p[:min(int64(len(p)), cmp.Or(a.left, 1))])
	a.left -= int64(n)
	if err != nil && err != io.EOF && a.ctx.Err() != nil {
		err = context.Cause(a.ctx)
	}
	return n, err
}

func (a *atMost) Close() error {
	defer a.cancel()
	return a.ReadCloser.Close()
}
