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
	aimed                 bool // a target was given, though it may be none
	model, name, endpoint string
	rate                  float64
	rows, inflight        int
	perConnection         int
	seed                  uint64
	poisson, failOnError  bool
	day                   diurnal
	duration              time.Duration // 0: until a signal
	every, timeout        time.Duration
	slo                   time.Duration // 0: none
	listen, report        string
	apiKey                string
	replay                replayOptions
}

func (o *loadOptions) settings() *settings {
	s := &settings{verb: "load"}
	s.add("target", "TARGET", "", "URL of a server or a service, like http://localhost:8080; may be given several times", o.target)
	s.add("model", "MODEL", "valuation", "builtin model whose input is sent: "+strings.Join(exampleNames(), ", "), oneOf(&o.model, exampleNames()...))
	s.add("name", "MODEL_NAME", "", "name that the model is served under; the builtin's if empty", text(&o.name))
	s.add("endpoint", "", serving.EndpointInfer, "infer or predict", oneOf(&o.endpoint, serving.EndpointInfer, serving.EndpointPredict))
	s.add("rate", "RATE", "", "requests a second over all targets; at the peak with --diurnal (1)", number(&o.rate, mostRate))
	s.add("rows", "ROWS", "1", "rows in one request", whole(&o.rows, 1, 1<<20))
	s.add("duration", "DURATION", "0s", "how long; 0s is until a signal, or the end of a trace", span(&o.duration, 0))
	s.add("seed", "SEED", "1", "seed of rows and of random arrivals", whole(&o.seed, 0, 1<<62))
	s.toggle("poisson", "random arrivals instead of even ones", &o.poisson)
	s.add("diurnal", "DIURNAL", "", "PERIOD:DEPTH of a day's curve, like 24h:0.8: the trough has 0.2 of the rate", parseDiurnal(&o.day))
	o.replay.settings(s)
	s.add("every", "", "10s", "how often to print a line; so long are the windows of --report", span(&o.every, time.Millisecond))
	s.add("slo", "", "", "count the answers within so long, like 50ms", span(&o.slo, time.Microsecond))
	s.add("timeout", "", "30s", "longest wait for an answer", span(&o.timeout, time.Millisecond))
	s.add("max-inflight", "", "512", "requests open at once; more are sent late, which counts as their latency", whole(&o.inflight, 1, 1<<20))
	s.add("per-connection", "", "10", "requests on a connection before a new one, so that a service spreads them; 1 is no keep-alive", whole(&o.perConnection, 1, 1<<30))
	s.add("api-key", "API_KEY", "", "key that the server wants; in the environment nobody sees it", text(&o.apiKey))
	s.add("report", "", "", "file for the total and its windows as one line of JSON; - is standard output", text(&o.report))
	s.add("listen", "LISTEN", "", "address to serve the generator's own /metrics on; none if empty", text(&o.listen))
	s.toggle("fail-on-error", "exit 1 if a request failed", &o.failOnError)
	return s
}

// target adds one or several URLs, separated by commas.
func (o *loadOptions) target(v string) error {
	o.aimed = true
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
	if !o.aimed {
		bad = append(bad, "--target is missing")
	}
	bad = append(bad, o.replay.check(o)...)
	if o.rate == 0 {
		o.rate = 1
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
	trace  *replay // nil: there is none, but a rate
	record *record
	took   time.Duration // in which requests were meant to be sent; read after send
}

// load sends requests until ctx or the duration ends, waits for the answers and prints the sums.
func (p program) load(ctx context.Context, args []string) error {
	var o loadOptions
	bad := o.parse(args, p.env)
	trace, more := o.replay.open()
	if bad = append(bad, more...); len(bad) > 0 {
		return bad
	}
	b, err := bodies(o.model, o.endpoint, o.rows, o.seed)
	if err != nil {
		return err
	}
	l := &loader{loadOptions: o, bodies: b, tally: newTally(o.slo), trace: trace}
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
	return l.end(p.stdout)
}

// end writes the report, if one is wanted, and judges what failed.
func (l *loader) end(stdout io.Writer) error {
	if l.report != "" {
		r := l.record.report(l.tally.all)
		r.Seconds, r.Asked = l.took.Seconds(), l.asked()
		if err := r.write(l.report, stdout); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if failed := l.tally.failed(); failed > 0 && l.failOnError {
		return fmt.Errorf("%d requests failed", failed)
	}
	return nil
}

// asked is how many requests the trace gave for the time; 0 without one.
func (l *loader) asked() float64 {
	if l.trace == nil {
		return 0
	}
	return l.trace.asked(l.took)
}

// run sends and prints until ctx ends and every answer is in.
func (l *loader) run(ctx context.Context, out io.Writer) {
	if l.trace != nil {
		fmt.Fprintf(out, "trace %s: %s\n", l.replay.file, l.trace)
	}
	sent := make(chan struct{})
	go func() { defer close(sent); l.send(ctx) }()
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			fmt.Fprintln(out, now.UTC().Format(time.RFC3339), l.tally.window())
		case <-sent:
			fmt.Fprintln(out, "total", l.total())
			return
		}
	}
}

// total is the line of all requests; of a trace, with how many it asked for.
func (l *loader) total() string {
	line := l.tally.total()
	if l.trace != nil {
		line += fmt.Sprintf(" asked=%.0f", l.asked())
	}
	return line
}

// times gives when each request is meant to be sent; false: none any more, and when the last part ends.
func (l *loader) times(begun time.Time) func() (time.Time, bool) {
	if l.trace != nil {
		return l.trace.times(begun, l.seed)
	}
	s := schedule{rate: l.rate, day: l.day, poisson: l.poisson, rand: rand.New(rand.NewPCG(l.seed, 1))}
	at := begun
	return func() (time.Time, bool) { at = s.next(at); return at, true }
}

// send starts each request at its time. A request that finds inflight others open waits; its
// latency counts from when it was meant to be sent, so that a slow server cannot hide in the wait.
func (l *loader) send(ctx context.Context) {
	begun := time.Now()
	l.record = &record{begun: begun, every: l.every, slo: l.slo}
	next := l.times(begun)
	slots := make(chan struct{}, l.inflight)
	var open sync.WaitGroup
	defer open.Wait()
	defer func() { l.took = time.Since(begun) }()
	for i := 0; ; i++ {
		at, more := next()
		if !awake(ctx, at) || !more {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		open.Go(func() {
			defer func() { <-slots }()
			late := time.Since(at)
			code := l.one(i)
			l.finished(at, code, late)
		})
	}
}

func (l *loader) finished(meant time.Time, code string, late time.Duration) {
	took := time.Since(meant)
	l.tally.add(code, took)
	if l.report != "" {
		l.record.add(meant, code, late, took)
	}
}

// awake reports whether at came before the end of ctx. It wakes as punctually as pause, without many naps.
func awake(ctx context.Context, at time.Time) bool {
	const late = 5 * time.Millisecond // no timer is later than that
	if time.Until(at) > late && !sleepUntil(ctx, at.Add(-late)) {
		return false
	}
	return pause(ctx, at)
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
