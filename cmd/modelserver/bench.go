package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	target      *url.URL
	aimed       bool // a target was given, though it may be none
	metrics     string
	sameAs      []string
	name        string
	endpoint    string
	body        string
	apiKey      string
	arrivals    string
	shape       []int
	low, high   float64
	rate        float64 // requests a second; 0: a closed loop
	connections int     // 0: what suits the loop
	rows        int
	most        int // measured requests; 0: no limit
	seed        uint64
	tolerance   float64
	duration    time.Duration
	warmup      time.Duration
	slo         time.Duration
	timeout     time.Duration
	pids        []int
	asJSON      bool
	failOnError bool
}

// Words of the flags of bench.
const (
	endpointInfer   = "infer"
	endpointV1      = "v1"
	endpointPredict = "predict"
	bodyJSON        = "json"
	bodyBinary      = "binary"
	arrivalsPoisson = "poisson"
)

const (
	closedConnections = 64
	openConnections   = 512
)

func (o *benchOptions) settings() *settings {
	s := &settings{verb: "bench"}
	s.add("target", "TARGET", "", "URL of the server, like http://localhost:8080", o.setTarget)
	s.add("model", "MODEL", "", "name that the model is served under; its input is read from the server's own metadata", text(&o.name))
	s.add("endpoint", "", endpointInfer, "infer (Open Inference Protocol v2), v1 (KServe's :predict) or predict", oneOf(&o.endpoint, endpointInfer, endpointV1, endpointPredict))
	s.add("body", "", bodyJSON, "json or binary (binary tensors, both ways; with infer only)", oneOf(&o.body, bodyJSON, bodyBinary))
	s.add("api-key", "API_KEY", "", "key that the server wants; in the environment nobody sees it", text(&o.apiKey))
	s.add("shape", "", "", "shape of a row, like 512 or 32,32,3, for servers without metadata; one input of FP32 called input", shapeOf(&o.shape))
	s.add("values", "", "-1:1", "LOW:HIGH of the random input values", rangeOf(&o.low, &o.high))
	s.add("rows", "", "1", "rows in one request", whole(&o.rows, 1, 1<<16))
	s.add("rate", "", "", "requests a second whatever the answers do (an open loop); without it each connection waits for its answer (a closed loop)", number(&o.rate, 1e6))
	s.add("arrivals", "", "constant", "constant or poisson; with --rate", oneOf(&o.arrivals, "constant", arrivalsPoisson))
	s.add("connections", "", "", "connections in a closed loop, 64 if empty; the most that an open loop may open, 512 if empty", whole(&o.connections, 1, 1<<16))
	s.add("duration", "", "10s", "how long to measure", span(&o.duration, time.Millisecond))
	s.add("warmup", "", "1s", "how long to send before that", span(&o.warmup, 0))
	s.add("requests", "", "", "end after so many measured requests, even before --duration", whole(&o.most, 1, 1<<40))
	s.add("slo", "", "20ms", "an answer within it is goodput", span(&o.slo, time.Microsecond))
	s.add("timeout", "", "5s", "longest wait for an answer, from when its request was meant to be sent", span(&o.timeout, time.Millisecond))
	s.add("pid", "", "", "processes of the server, like 12,15: their CPU seconds are measured", numbersOf(&o.pids, 1))
	s.add("metrics", "", "", "URL of the server's metrics, for the mean batch and the runtime's share of the CPU", text(&o.metrics))
	s.add("same-as", "", "", "URL of a server whose answers must be the same; may be given several times: one of them", o.addSame)
	s.add("tolerance", "", "1e-4", "how far a value may be from the --same-as one, relative (absolute below 1)", number(&o.tolerance, 1))
	s.add("seed", "", "1", "seed of values and of poisson arrivals", whole(&o.seed, 0, 1<<62))
	s.toggle("json", "print one JSON object instead of a table", &o.asJSON)
	s.toggle("fail-on-error", "exit 1 if a request failed or an answer was not the same", &o.failOnError)
	return s
}

func (o *benchOptions) setTarget(v string) error {
	o.aimed = true
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("is not a URL like http://localhost:8080")
	}
	o.target = u
	return nil
}

func (o *benchOptions) addSame(v string) error {
	o.sameAs = append(o.sameAs, strings.TrimSuffix(v, "/"))
	return nil
}

// rangeOf reads LOW:HIGH.
func rangeOf(low, high *float64) func(string) error {
	return func(v string) error {
		a, b, _ := strings.Cut(v, ":")
		from, err := strconv.ParseFloat(a, 64)
		to, err2 := strconv.ParseFloat(b, 64)
		if err != nil || err2 != nil || !(from < to) || to-from > 1e30 {
			return fmt.Errorf("is not LOW:HIGH, like -1:1")
		}
		*low, *high = from, to
		return nil
	}
}

// shapeOf reads the dimensions of a row; their product stays below a million.
func shapeOf(to *[]int) func(string) error {
	return func(v string) error {
		var shape []int
		if err := numbersOf(&shape, 1)(v); err != nil {
			return err
		}
		n := 1
		for _, d := range shape {
			if n *= d; n > 1<<20 {
				return fmt.Errorf("is more than %d values", 1<<20)
			}
		}
		*to = shape
		return nil
	}
}

// numbersOf reads whole numbers of at least low, separated by commas.
func numbersOf(to *[]int, low int) func(string) error {
	return func(v string) error {
		var all []int
		for one := range strings.SplitSeq(v, ",") {
			n, err := strconv.Atoi(one)
			if err != nil || n < low || n > 1<<30 {
				return fmt.Errorf("is not whole numbers of at least %d, separated by commas", low)
			}
			all = append(all, n)
		}
		*to = all
		return nil
	}
}

// parse reads the flags and fills what follows from others.
func (o *benchOptions) parse(args []string, env func(string) string) faults {
	bad := o.settings().parse(args, env)
	if !o.aimed {
		bad = append(bad, "--target is missing")
	}
	if o.name == "" && (o.endpoint != endpointPredict || o.shape == nil) {
		bad = append(bad, "--model is missing: the name that the model is served under")
	}
	if o.body == bodyBinary && o.endpoint != endpointInfer {
		bad = append(bad, "--body binary goes with --endpoint infer only")
	}
	switch {
	case o.connections != 0:
	case o.rate == 0:
		o.connections = closedConnections
	default:
		o.connections = openConnections
	}
	return bad
}

// path of the endpoint on the server.
func (o *benchOptions) path() string {
	name := url.PathEscape(o.name)
	switch o.endpoint {
	case endpointV1:
		return "/v1/models/" + name + ":predict"
	case endpointPredict:
		return "/predict"
	}
	return "/v2/models/" + name + "/infer"
}

// bench measures a server and prints what it found.
func (p program) bench(ctx context.Context, args []string) error {
	var o benchOptions
	if bad := o.parse(args, p.env); len(bad) > 0 {
		return bad
	}
	bodies, err := o.makeBodies(ctx)
	if err != nil {
		return err
	}
	b := &bencher{benchOptions: o, requests: o.frame(bodies), found: newFindings(o.slo)}
	if b.right, err = o.references(ctx, bodies); err != nil {
		return err
	}
	r, err := b.measure(ctx)
	if err != nil {
		return err
	}
	r.BodyBytes = len(bodies[0].bytes)
	if err := r.print(p.stdout, o.asJSON); err != nil {
		return err
	}
	if bad := r.Failed + r.TimedOut + r.Refused + r.Different; o.failOnError && bad > 0 {
		return fmt.Errorf("%d of %d requests failed, or their answers are not the same", bad, r.Requests)
	}
	return ctx.Err()
}

func (r benchResult) print(w io.Writer, asJSON bool) error {
	if !asJSON {
		_, err := io.WriteString(w, r.table())
		return err
	}
	return json.NewEncoder(w).Encode(r)
}
