package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"trimtab.dev/trimtab/serving"
)

// loadOptions are the flags of load.
type loadOptions struct {
	targets               []string
	model, name, endpoint string
	rate                  float64
	rows, inflight        int
	perConnection         int
	seed                  uint64
	poisson, failOnError  bool
	day                   diurnal
	duration              time.Duration // 0: until a signal
	every, timeout        time.Duration
	listen                string
	apiKey                string
}

func (o *loadOptions) settings() *settings {
	s := &settings{verb: "load"}
	s.add("target", "TARGET", "", "URL of a server or a service, like http://localhost:8080; may be given several times", o.target)
	s.add("model", "MODEL", "valuation", "builtin model whose input is sent: "+strings.Join(exampleNames(), ", "), oneOf(&o.model, exampleNames()...))
	s.add("name", "MODEL_NAME", "", "name that the model is served under; the builtin's if empty", text(&o.name))
	s.add("endpoint", "", serving.EndpointInfer, "infer or predict", oneOf(&o.endpoint, serving.EndpointInfer, serving.EndpointPredict))
	s.add("rate", "RATE", "1", "requests a second over all targets; at the peak with --diurnal", number(&o.rate, 1e5))
	s.add("rows", "ROWS", "1", "rows in one request", whole(&o.rows, 1, 1<<20))
	s.add("duration", "DURATION", "0s", "how long; 0s is until a signal", span(&o.duration, 0))
	s.add("seed", "SEED", "1", "seed of rows and of poisson arrivals", whole(&o.seed, 0, 1<<62))
	s.toggle("poisson", "random arrivals instead of even ones", &o.poisson)
	s.add("diurnal", "DIURNAL", "", "PERIOD:DEPTH of a day's curve, like 24h:0.8: the trough has 0.2 of the rate", parseDiurnal(&o.day))
	s.add("every", "", "10s", "how often to print a line", span(&o.every, time.Millisecond))
	s.add("timeout", "", "30s", "longest wait for an answer", span(&o.timeout, time.Millisecond))
	s.add("max-inflight", "", "512", "requests open at once; more are sent late, which counts as their latency", whole(&o.inflight, 1, 1<<20))
	s.add("per-connection", "", "10", "requests on a connection before a new one, so that a service spreads them; 1 is no keep-alive", whole(&o.perConnection, 1, 1<<30))
	s.add("api-key", "API_KEY", "", "key that the server wants; in the environment nobody sees it", text(&o.apiKey))
	s.add("listen", "LISTEN", "", "address to serve the generator's own /metrics on; none if empty", text(&o.listen))
	s.toggle("fail-on-error", "exit 1 if a request failed", &o.failOnError)
	return s
}

// target adds one or several URLs, separated by commas.
func (o *loadOptions) target(v string) error {
	for one := range strings.SplitSeq(v, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("is not a URL like http://localhost:8080")
		}
		o.targets = append(o.targets, strings.TrimSuffix(one, "/"))
	}
	return nil
}

func (o *loadOptions) parse(args []string, env func(string) string) faults {
	bad := o.settings().parse(args, env)
	if len(o.targets) == 0 && len(bad) == 0 {
		bad = append(bad, "--target is missing")
	}
	if o.name == "" {
		o.name = o.model
	}
	return bad
}

// path of the endpoint on each target.
func (o *loadOptions) path() string {
	if o.endpoint == serving.EndpointPredict {
		return "/predict"
	}
	return "/v2/models/" + url.PathEscape(o.name) + "/infer"
}

// loader sends requests at times that do not depend on the answers (an open loop).
type loader struct {
	loadOptions
	client *http.Client
	bodies [][]byte
	tally  *tally
}

// load sends requests until ctx or the duration ends, waits for the answers and prints the sums.
func (p program) load(ctx context.Context, args []string) error {
	var o loadOptions
	if bad := o.parse(args, p.env); len(bad) > 0 {
		return bad
	}
	b, err := bodies(o.model, o.endpoint, o.rows, o.seed)
	if err != nil {
		return err
	}
	l := &loader{loadOptions: o, bodies: b, tally: newTally()}
	l.client = &http.Client{Timeout: o.timeout, Transport: &http.Transport{
		MaxIdleConnsPerHost: o.inflight, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}
	if o.listen != "" {
		ln, err := net.Listen("tcp", o.listen)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", o.listen, err)
		}
		defer l.tally.serve(ln)()
	}
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	l.run(ctx, p.stdout)
	if failed := l.tally.failed(); failed > 0 && o.failOnError {
		return fmt.Errorf("%d requests failed", failed)
	}
	return nil
}

// run sends and prints until ctx ends and every answer is in.
func (l *loader) run(ctx context.Context, out io.Writer) {
	sent := make(chan struct{})
	go func() { defer close(sent); l.send(ctx) }()
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			fmt.Fprintln(out, now.UTC().Format(time.RFC3339), l.tally.window())
		case <-sent:
			fmt.Fprintln(out, "total", l.tally.total())
			return
		}
	}
}

// send starts each request at its time. A request that finds inflight others open waits; its
// latency counts from when it was meant to be sent, so that a slow server cannot hide in the wait.
func (l *loader) send(ctx context.Context) {
	s := schedule{rate: l.rate, day: l.day, poisson: l.poisson, rand: rand.New(rand.NewPCG(l.seed, 1))}
	slots := make(chan struct{}, l.inflight)
	var open sync.WaitGroup
	defer open.Wait()
	at := time.Now()
	for i := 0; ; i++ {
		at = s.next(at)
		if !sleepUntil(ctx, at) {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		meant := at
		open.Go(func() {
			defer func() { <-slots }()
			code := l.one(i)
			l.tally.add(code, time.Since(meant))
		})
	}
}

// sleepUntil reports whether at came before the end of ctx.
func sleepUntil(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// one sends request i and returns its HTTP status, or codeTimeout or codeError. It is not bound to
// the generator's own end: what was sent is waited for.
func (l *loader) one(i int) string {
	body := l.bodies[i%len(l.bodies)]
	req, err := http.NewRequest(http.MethodPost, l.targets[i%len(l.targets)]+l.path(), bytes.NewReader(body))
	if err != nil {
		return codeError
	}
	req.Header.Set("Content-Type", "application/json")
	if l.apiKey != "" {
		req.Header.Set("X-Api-Key", l.apiKey)
	}
	round := i / len(l.targets) // each target has connections of its own
	req.Close = round%l.perConnection == l.perConnection-1
	res, err := l.client.Do(req)
	if err != nil {
		return codeOf(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return codeOf(err)
	}
	return strconv.Itoa(res.StatusCode)
}

func codeOf(err error) string {
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return codeTimeout
	}
	return codeError
}
