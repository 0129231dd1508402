package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// What ServerOptions means by zero.
const (
	DefaultTimeout = 30 * time.Second
	DefaultMaxBody = 64 << 20
)

// Why a smaller query may be answered where a larger one was not.
var (
	errTooMuch       = errors.New("the query asks for too much at once")
	errTooManySeries = errors.New("the answer has too many series")
)

// ServerOptions says how a Prometheus-compatible server is reached.
type ServerOptions struct {
	URL       string        // http or https, with the path below which /api/v1/query_range is
	Headers   []string      // sent with every request, each as "Name: value"
	TokenFile string        // a bearer token, read anew for every request; empty: none
	CAFile    string        // PEM certificates that are trusted too; empty: the system's only
	Timeout   time.Duration // of one attempt at a query; 0: DefaultTimeout
	MaxBody   int64         // bytes of one answer; 0: DefaultMaxBody
	// Moved is called whenever the server has answered or is waited for anew; nil: nobody is told.
	Moved func()
}

// server is a backend behind HTTP.
type server struct {
	api       v1.API
	name      string // its URL without credentials
	timeout   time.Duration
	maxSeries int
}

// newServer checks the options and asks nothing. The error holds every fault.
func newServer(o ServerOptions, maxSeries int) (*server, error) {
	o.Timeout, o.MaxBody = cmp.Or(o.Timeout, DefaultTimeout), cmp.Or(o.MaxBody, DefaultMaxBody)
	u, err := checkURL(o.URL)
	d, err2 := newDoor(o)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return serverBehind(d, u, maxSeries)
}

func serverBehind(d *door, u *url.URL, maxSeries int) (*server, error) {
	client, err := promapi.NewClient(promapi.Config{Address: u.String(), Client: &http.Client{Transport: d}})
	if err != nil {
		return nil, fmt.Errorf("build a client of %s: %w", u.Redacted(), err)
	}
	return &server{api: v1.NewAPI(client), name: u.Redacted(), timeout: d.timeout, maxSeries: maxSeries}, nil
}

// checkURL wants a URL that a path can be appended to.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the Prometheus URL cannot be read: write it as https://prometheus.example.com") // err would show a password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the Prometheus URL is %q: write it as https://prometheus.example.com or http://localhost:9090/prefix", u.Redacted())
	}
	return u, nil
}

// query implements backend.
func (s *server) query(ctx context.Context, text string, start, end time.Time, step time.Duration) (promql.Matrix, func(), error) {
	value, warnings, _, err := s.api.QueryRange(ctx, text, v1.Range{Start: start, End: end, Step: step}, v1.WithTimeout(s.timeout))
	if err = s.judge(ctx, warnings, err); err != nil {
		return nil, nil, fmt.Errorf("query %s: %w", oneLine(text, 300), err)
	}
	m, ok := value.(model.Matrix)
	if !ok {
		return nil, nil, fmt.Errorf("query %s: the answer is a %T, no matrix", oneLine(text, 300), value)
	}
	if len(m) > s.maxSeries {
		return nil, nil, fmt.Errorf("query %s: %w: %d, more than %d", oneLine(text, 300), errTooManySeries, len(m), s.maxSeries)
	}
	return matrix(m), func() {}, nil
}

// names implements backend.
func (s *server) names(ctx context.Context, selectors []string, start, end time.Time) ([]string, error) {
	values, warnings, err := s.labelValues(ctx, selectors, start, end)
	if err = s.judge(ctx, warnings, err); err != nil {
		return nil, err
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out, nil
}

func (s *server) labelValues(ctx context.Context, selectors []string, start, end time.Time) (model.LabelValues, v1.Warnings, error) {
	values, warnings, _, err := s.api.LabelValues(ctx, model.MetricNameLabel, selectors, start, end)
	return values, warnings, err
}

// judge makes one error of what went wrong. An answer with warnings is one from which something is missing, such
// as that of a Thanos which did not reach all of its stores; remarks on the PromQL are none.
func (s *server) judge(ctx context.Context, warnings v1.Warnings, err error) error {
	var bad *v1.Error
	var at *url.Error
	switch {
	case err == nil:
		return partial(warnings)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &bad) && bad.Type == v1.ErrBadResponse:
		return fmt.Errorf("the answer is not Prometheus's: %s; is the URL right?", oneLine(bad.Msg, 200))
	case errors.As(err, &at):
		return at.Err // without the URL, which holds the whole query
	}
	return err
}

func partial(warnings v1.Warnings) error {
	var missing []string
	for _, w := range warnings {
		if !strings.HasPrefix(w, "PromQL ") {
			missing = append(missing, oneLine(w, 200))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the answer is partial: %s", strings.Join(missing, "; "))
}

// matrix converts what the client read.
func matrix(in model.Matrix) promql.Matrix {
	out := make(promql.Matrix, 0, len(in))
	b := labels.NewScratchBuilder(8)
	for _, stream := range in {
		b.Reset()
		for name, value := range stream.Metric {
			b.Add(string(name), string(value))
		}
		b.Sort()
		s := promql.Series{Metric: b.Labels(), Floats: make([]promql.FPoint, len(stream.Values))}
		for i, v := range stream.Values {
			s.Floats[i] = promql.FPoint{T: int64(v.Timestamp), F: float64(v.Value)}
		}
		out = append(out, s)
	}
	return out
}

// oneLine is text without line breaks, cut where it is too long to read.
func oneLine(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
