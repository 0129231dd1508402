package usage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// accept asks for the plain text format, which all servers speak.
const accept = "text/plain;version=0.0.4"

// fetch scrapes one target: all of its answer, or an error and nothing.
func (s *Scraper) fetch(ctx context.Context, t target) answer {
	a := answer{at: s.o.Store.now().UnixMilli()}
	body, err := s.get(ctx, t.url)
	if err == nil {
		a.readings, err = t.read(body, a.at)
	}
	if err == nil && len(a.readings) > s.o.MaxSeries {
		err = fmt.Errorf("it has %d series of the kept families, more than %d", len(a.readings), s.o.MaxSeries)
	}
	if err != nil {
		a.readings, a.err = nil, fmt.Errorf("scrape %s/%s: %w", t.origin.ref.Namespace, t.origin.pod, err)
	}
	return a
}

func (s *Scraper) get(ctx context.Context, url string) (body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "trimtab")
	res, err := s.o.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, res.Status)
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, s.o.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if int64(len(body)) > s.o.MaxBody {
		return nil, fmt.Errorf("%s is longer than %d bytes", url, s.o.MaxBody)
	}
	return body, nil
}

// parse keeps the series of the known families, labelled as ours, in a fixed order. Times that the
// server writes beside its values are not used: the time of a reading is when it was asked for.
func (s *Scraper) parse(body []byte, o origin, at int64) ([]reading, error) {
	samples, err := exposed(body, s.wanted)
	if err != nil {
		return nil, err
	}
	var out []reading
	for _, m := range samples {
		if s.families[string(m.Metric[model.MetricNameLabel])] {
			out = append(out, reading{series: o.over(m.Metric), at: at, value: float64(m.Value)})
		}
	}
	return out, nil
}

// exposed is what a page in the text format tells of the wanted families, family by family.
func exposed(body []byte, wanted func(family string) bool) (model.Vector, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("parse metrics: %w", err)
	}
	var out model.Vector
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !wanted(name) {
			continue
		}
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, families[name])
		if err != nil {
			return nil, fmt.Errorf("read metrics of %s: %w", name, err)
		}
		out = append(out, samples...)
	}
	return out, nil
}

// wanted tells whether the family called name, which may be a histogram, has a series that is kept.
func (s *Scraper) wanted(name string) bool {
	return s.families[name] || s.families[name+"_sum"] || s.families[name+"_count"] || s.families[name+"_bucket"]
}

// over puts the origin's labels on a scraped series; what the server itself calls so is kept as exported_.
func (o origin) over(m model.Metric) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	for name, value := range m { // the order does not count: the builder sorts
		if n := string(name); ours(n) {
			b.Set("exported_"+n, string(value))
		} else {
			b.Set(n, string(value))
		}
	}
	o.label(b)
	return b.Labels()
}
