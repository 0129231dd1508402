package managed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"trimtab.dev/trimtab/recommender/capacity"
)

// Metrics of the server that tuning goes by.
const (
	metricLatency    = "model_prediction_latency_seconds"
	metricRequests   = "modelserver_requests_total"
	metricGeneration = "modelserver_config_generation"
	metricAge        = "modelserver_config_age_seconds"
	metricCPU        = "process_cpu_seconds_total"
	metricMemory     = "process_resident_memory_bytes"
)

const (
	scrapeWithin = 2 * time.Second
	mostBody     = 4 << 20 // bytes of one answer
)

// shown is what one pod says of itself.
type shown struct {
	generation int64         // of the settings in force
	age        time.Duration // for which they are
	capacity.Reading
}

// newClient asks pods only what it is told to: no proxy, no redirects.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       scrapeWithin,
		Transport:     &http.Transport{DialContext: (&net.Dialer{Timeout: scrapeWithin}).DialContext, MaxIdleConnsPerHost: 1, IdleConnTimeout: 5 * time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// metricsURL is where the pod at ip serves its metrics.
func metricsURL(ip string) string {
	return "http://" + net.JoinHostPort(ip, strconv.Itoa(serverPort)) + "/metrics"
}

// scrape reads one pod's metrics.
func scrape(ctx context.Context, client *http.Client, url string) (s shown, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return shown{}, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	res, err := client.Do(req)
	if err != nil {
		return shown{}, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return shown{}, fmt.Errorf("%s answers %s", url, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, mostBody))
	if err != nil {
		return shown{}, fmt.Errorf("read %s: %w", url, err)
	}
	return parse(body)
}

// parse takes what tuning needs from metrics in the text format. A metric that is missing is an error:
// without it nothing can be judged.
func parse(body []byte) (shown, error) {
	all, err := samples(body)
	if err != nil {
		return shown{}, fmt.Errorf("parse metrics: %w", err)
	}
	var s shown
	var faults []error
	number := func(name string) float64 {
		v, err := single(all[name], name)
		faults = append(faults, err)
		return v
	}
	s.generation = int64(number(metricGeneration))
	s.age = time.Duration(min(number(metricAge), 1e9) * float64(time.Second))
	s.CPUSeconds, s.Memory = number(metricCPU), int64(number(metricMemory))
	s.Errors, err = failed(all[metricRequests])
	faults = append(faults, err)
	s.Latency, err = histogram(all[metricLatency+"_bucket"])
	return s, errors.Join(append(faults, err)...)
}

// samples is every series by name; a histogram's are those of its buckets.
func samples(body []byte) (map[string]model.Vector, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	all := map[string]model.Vector{}
	for _, f := range families { // the order does not count: names are different
		vector, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, f)
		if err != nil {
			return nil, err
		}
		for _, m := range vector {
			name := string(m.Metric[model.MetricNameLabel])
			all[name] = append(all[name], m)
		}
	}
	return all, nil
}

// single is the value of a metric that has one series.
func single(v model.Vector, name string) (float64, error) {
	if len(v) != 1 {
		return 0, fmt.Errorf("it has %d series of %s, not one", len(v), name)
	}
	return sane(v[0], name)
}

// sane is a value that can be counted with.
func sane(m *model.Sample, name string) (float64, error) {
	if v := float64(m.Value); v >= 0 && v <= 1<<53 {
		return v, nil
	}
	return 0, fmt.Errorf("its %s is %v", name, m.Value)
}

// failed counts the requests whose answer was the server's fault, or came too late for a client that had
// gone by then: any status of 429 or from 499 on.
func failed(v model.Vector) (int64, error) {
	if len(v) == 0 {
		return 0, fmt.Errorf("it has no %s", metricRequests)
	}
	var n int64
	for _, m := range v {
		code, err := strconv.Atoi(string(m.Metric["code"]))
		if err != nil || code != http.StatusTooManyRequests && code < 499 {
			continue
		}
		count, err := sane(m, metricRequests)
		if err != nil {
			return 0, err
		}
		n += int64(count)
	}
	return n, nil
}

// histogram adds up the latencies of every endpoint, which have the same buckets, and turns counts that
// contain those of the buckets below into each bucket's own.
func histogram(v model.Vector) (capacity.Histogram, error) {
	upTo := map[float64]int64{}
	for _, m := range v {
		bound, err := strconv.ParseFloat(string(m.Metric[model.BucketLabel]), 64)
		count, insane := sane(m, metricLatency)
		if err == nil && !(bound > 0) {
			err = fmt.Errorf("a bucket ends at %v seconds", bound)
		}
		if err := errors.Join(err, insane); err != nil {
			return capacity.Histogram{}, fmt.Errorf("its %s: %w", metricLatency, err)
		}
		upTo[bound] += int64(count)
	}
	if _, ok := upTo[math.Inf(1)]; !ok || len(upTo) < 2 {
		return capacity.Histogram{}, fmt.Errorf("it has no %s with buckets", metricLatency)
	}
	var h capacity.Histogram
	below := int64(0)
	for _, bound := range slices.Sorted(maps.Keys(upTo)) {
		if upTo[bound] < below {
			return capacity.Histogram{}, fmt.Errorf("the buckets of its %s do not add up", metricLatency)
		}
		if !math.IsInf(bound, 1) {
			h.Bounds = append(h.Bounds, time.Duration(math.Round(bound*float64(time.Second))))
		}
		h.Counts = append(h.Counts, upTo[bound]-below)
		below = upTo[bound]
	}
	return h, nil
}

// plus adds two histograms of the same buckets; the first may be empty.
func plus(a, b capacity.Histogram) (capacity.Histogram, error) {
	if len(a.Counts) == 0 {
		return capacity.Histogram{Bounds: b.Bounds, Counts: slices.Clone(b.Counts)}, nil
	}
	if !slices.Equal(a.Bounds, b.Bounds) {
		return a, errors.New("its pods have different buckets")
	}
	for i, c := range b.Counts {
		a.Counts[i] += c
	}
	return a, nil
}
