package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// engine is Prometheus' own store and query engine behind the two paths of its HTTP API that are asked.
type engine struct {
	db      *tsdb.DB
	queries *promql.Engine
}

// newEngine holds what write appends.
func newEngine(t *testing.T, write func(app storage.Appender)) *httptest.Server {
	t.Helper()
	o := tsdb.DefaultOptions()
	o.RetentionDuration = (100 * 24 * time.Hour).Milliseconds()
	db, err := tsdb.Open(t.TempDir(), nil, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	app := db.Appender(t.Context())
	write(app)
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	e := engine{db, promql.NewEngine(promql.EngineOpts{
		MaxSamples: 10_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/query_range", e.queryRange)
	mux.HandleFunc("GET /api/v1/label/__name__/values", e.names)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func (e engine) queryRange(w http.ResponseWriter, r *http.Request) {
	number := func(name string) float64 { v, _ := strconv.ParseFloat(r.PostFormValue(name), 64); return v }
	at := func(name string) time.Time { return time.UnixMilli(int64(number(name)*1000 + 0.5)) }
	q, err := e.queries.NewRangeQuery(r.Context(), e.db, nil, r.PostFormValue("query"), at("start"), at("end"), time.Duration(number("step")*1e9))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer q.Close()
	m, err := q.Exec(r.Context()).Matrix()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var series []string
	for _, one := range m {
		var points, names []string
		for _, p := range one.Floats {
			points = append(points, fmt.Sprintf(`[%d.%03d,"%s"]`, p.T/1000, p.T%1000, strconv.FormatFloat(p.F, 'g', -1, 64)))
		}
		one.Metric.Range(func(l labels.Label) { names = append(names, fmt.Sprintf("%q:%q", l.Name, l.Value)) })
		series = append(series, fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, strings.Join(names, ","), strings.Join(points, ",")))
	}
	fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}}`, strings.Join(series, ","))
}

func (e engine) names(w http.ResponseWriter, r *http.Request) {
	var names []string
	reader, err := e.db.Querier(0, 1<<62)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer reader.Close()
	for _, text := range r.URL.Query()["match[]"] {
		matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		found, _, _ := reader.LabelValues(r.Context(), model.MetricNameLabel, nil, matchers...)
		for _, n := range found {
			names = append(names, strconv.Quote(n))
		}
	}
	fmt.Fprintf(w, `{"status":"success","data":[%s]}`, strings.Join(names, ","))
}

// scraped writes what a Prometheus would hold that reads everything once a minute, of one workload of two replicas
// and of others that are not meant.
type scraped struct {
	t   *testing.T
	app storage.Appender
	at  time.Time
}

func (s scraped) put(v float64, name string, kv ...string) {
	if _, err := s.app.Append(0, labels.FromStrings(append([]string{model.MetricNameLabel, name}, kv...)...), s.at.UnixMilli(), v); err != nil {
		s.t.Fatal(err)
	}
}

func (s scraped) container(namespace, pod, container string, seconds, mebi float64) {
	of := []string{"namespace", namespace, "pod", pod, "container", container, "image", "registry.example.com/" + container + ":1"}
	s.put(seconds, "container_cpu_usage_seconds_total", of...)
	s.put(mebi*(1<<20), "container_memory_working_set_bytes", of...)
}

func (s scraped) owner(namespace, pod, set, name string) {
	s.put(1, "kube_pod_owner", "namespace", namespace, "pod", pod, "owner_kind", "ReplicaSet", "owner_name", set, "owner_is_controller", "true")
	s.put(1, "kube_replicaset_owner", "namespace", namespace, "replicaset", set, "owner_kind", "Deployment", "owner_name", name)
}

// The workload of the article, in whose container one replica uses half a core by day and a tenth by night and
// holds 300 MiB, while the other one uses a fifth always and holds 100 MiB; beside that one a proxy uses a
// twentieth. The other one is replaced in a rollout halfway, at noon.
const ownNS, ownName = "ml-production", "recommendation-model"

func ownEngine(t *testing.T, until time.Time, days int) *httptest.Server {
	return newEngine(t, func(app storage.Appender) {
		begin := until.Truncate(time.Minute).AddDate(0, 0, -days)
		swap := begin.AddDate(0, 0, days/2).Truncate(24 * time.Hour).Add(12 * time.Hour)
		busy := 0.0
		for at := begin; !at.After(until); at = at.Add(time.Minute) {
			s := scraped{t, app, at}
			busy += map[bool]float64{true: 30, false: 6}[at.Hour() >= 8 && at.Hour() < 20]
			minutes := at.Sub(begin).Minutes()
			set, other := ownName+"-5f", ownName+"-5f-a"
			if at.After(swap) {
				set, other = ownName+"-6c", ownName+"-6c-a"
			}
			s.container(ownNS, ownName+"-5f-b", "model-server", busy, 300)
			s.container(ownNS, other, "model-server", 12*minutes, 100)
			s.container(ownNS, other, "proxy", 3*minutes, 40)
			s.container(ownNS, "else-1", "model-server", 600*minutes, 4000)
			s.container("staging", "twin-1", "model-server", 600*minutes, 4000)
			s.owner(ownNS, ownName+"-5f-b", ownName+"-5f", ownName)
			if at.After(swap) {
				s.owner(ownNS, other, set, ownName)
			} else {
				s.put(1, "kube_pod_owner", "namespace", ownNS, "pod", other, "owner_kind", "ReplicaSet", "owner_name", set, "owner_is_controller", "true")
			}
			s.owner(ownNS, "else-1", "else-set", "else")
			s.owner("staging", "twin-1", "twin-set", ownName)
		}
	})
}
