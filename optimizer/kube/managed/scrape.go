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
	metricRows       = "modelserver_inferences_total"
	metricBatches    = "modelserver_executions_total"
	metricBusy       = "modelserver_busy_seconds_total"
	metricCompute    = "modelserver_compute_cpu_seconds_total"
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
	model      string        // that its flags name
	generation int64         // of the settings in force
	age        time.Duration // for which they are
	account    capacity.Account
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

// scrape reads one pod's metrics, and what it says of its model's speed.
func scrape(ctx context.Context, client *http.Client, url string) (shown, error) {
	body, err := read(ctx, client, url)
	if err != nil {
		return shown{}, err
	}
	s, err := parse(body)
	if err != nil {
		return shown{}, err
	}
	s.account, err = readAccount(ctx, client, curveURL(url, s.model))
	return s, err
}

// read gives the body of an answer of 200.
func read(ctx context.Context, client *http.Client, url string) (body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4, application/json;q=0.9")
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return nil, &answer{url, res.StatusCode}
	}
	if body, err = io.ReadAll(io.LimitReader(res.Body, mostBody)); err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	return body, nil
}

// answer is one that is not 200.
type answer struct {
	url    string
	status int
}

func (a *answer) Error() string {
	return fmt.Sprintf("%s answers %d %s", a.url, a.status, http.StatusText(a.status))
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
	total := func(name string) float64 {
		v, err := sum(all[name], name)
		faults = append(faults, err)
		return v
	}
	s.model = nameOfModel(all[metricGeneration])
	s.generation = int64(number(metricGeneration))
	s.age = time.Duration(min(number(metricAge), 1e9) * float64(time.Second))
	s.CPUSeconds, s.Memory = number(metricCPU), int64(number(metricMemory))
	s.Rows, s.Batches = int64(total(metricRows)), int64(total(metricBatches))
	s.Busy, s.Compute = total(metricBusy), total(metricCompute)
	s.Answered, s.Errors, s.Came, err = requests(all[metricRequests])
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

// sum adds up the series of a metric, of which each model has one.
func sum(v model.Vector, name string) (float64, error) {
	if len(v) == 0 {
		return 0, fmt.Errorf("it has no %s", name)
	}
	total := 0.0
	for _, m := range v {
		n, err := sane(m, name)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// nameOfModel is the model that the settings in force are of.
func nameOfModel(v model.Vector) string {
	if len(v) == 0 {
		return ""
	}
	return string(v[0].Metric["model"])
}

// requests counts those that were answered, those that failed and all. One failed if its answer was the
// server's fault, or came too late for a client that had gone by then: any status of 429 or from 499 on.
func requests(v model.Vector) (answered, failed, came int64, err error) {
	if len(v) == 0 {
		return 0, 0, 0, fmt.Errorf("it has no %s", metricRequests)
	}
	for _, m := range v {
		n, err := sane(m, metricRequests)
		if err != nil {
			return 0, 0, 0, err
		}
		came += int64(n)
		switch code, _ := strconv.Atoi(string(m.Metric["code"])); {
		case code == http.StatusOK:
			answered += int64(n)
		case code == http.StatusTooManyRequests || code >= 499:
			failed += int64(n)
		}
	}
	return answered, failed, came, nil
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
