package usage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// protocol answers the two calls that are made of a server's HTTP API from the engine and the data of a store:
// the same PromQL as the embedded reader's, behind the real protocol.
func protocol(t *testing.T, s *Store) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
		step, _ := strconv.ParseFloat(r.PostFormValue("step"), 64)
		m, done, err := s.query(r.Context(), r.PostFormValue("query"), unix(r.PostFormValue("start")), unix(r.PostFormValue("end")), time.Duration(step*1e9))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":%q}`, err.Error())
			return
		}
		defer done()
		var series []string
		for _, one := range m {
			var points []string
			for _, p := range one.Floats {
				points = append(points, fmt.Sprintf(`[%s,"%s"]`, strconv.FormatFloat(float64(p.T)/1000, 'f', -1, 64), strconv.FormatFloat(p.F, 'f', -1, 64)))
			}
			var names []string
			one.Metric.Range(func(l labels.Label) { names = append(names, fmt.Sprintf("%q:%q", l.Name, l.Value)) })
			series = append(series, fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, strings.Join(names, ","), strings.Join(points, ",")))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}}`, strings.Join(series, ","))
	})
	mux.HandleFunc("GET /api/v1/label/__name__/values", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		found, err := s.names(r.Context(), q["match[]"], unix(q.Get("start")), unix(q.Get("end")))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for i, n := range found {
			found[i] = strconv.Quote(n)
		}
		fmt.Fprintf(w, `{"status":"success","data":[%s]}`, strings.Join(found, ","))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func unix(text string) time.Time {
	sec, _ := strconv.ParseFloat(text, 64)
	return time.UnixMilli(int64(sec*1000 + 0.5))
}

func serverAt(t *testing.T, address string) *server {
	t.Helper()
	s, err := newServer(ServerOptions{URL: address}, DefaultMaxSeries)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestServerRangeByHand: times, values that are no numbers, and labels survive the protocol.
func TestServerRangeByHand(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := url.Values{"query": {"up"}, "start": {"1772438400"}, "end": {"1772438460.5"}, "step": {"0.5"}, "timeout": {"30s"}}
		if r.ParseForm() != nil || r.Form.Encode() != want.Encode() || r.Method != http.MethodPost {
			t.Errorf("%s %v, want %v", r.Method, r.Form, want)
		}
		fmt.Fprint(w, `{"status":"success","infos":["PromQL info: x"],"data":{"resultType":"matrix","result":[
			{"metric":{"__name__":"up","b":"2","a":"1"},"values":[[1772438400,"1"],[1772438400.5,"NaN"],[1772438401.25,"+Inf"]]}]}}`)
	}))
	defer srv.Close()
	m, _, err := serverAt(t, srv.URL).query(t.Context(), "up", time.Unix(1772438400, 0), time.UnixMilli(1772438460500), 500*time.Millisecond)
	if err != nil || len(m) != 1 || m[0].Metric.String() != `{__name__="up", a="1", b="2"}` {
		t.Fatalf("%v, %v", m, err)
	}
	if got := fmt.Sprint(m[0].Floats); got != "[1 @[1772438400000] NaN @[1772438400500] +Inf @[1772438401250]]" {
		t.Error(got)
	}
}

const empty = `{"status":"success","data":{"resultType":"matrix","result":[]}}`

// say is one answer of a server: status, headers as "Name: value" and a body, in that order.
type say struct {
	status int
	header string
	body   string
}

// answeredBy runs one query against a server that gives these answers in turn, the last one for ever, and reports
// the error, how often it was asked and how long it was waited between.
func answeredBy(t *testing.T, answers ...say) (asked int, waits []time.Duration, err error) {
	t.Helper()
	var mu sync.Mutex
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		a := answers[min(asked, len(answers)-1)]
		asked++
		if name, value, ok := strings.Cut(a.header, ": "); ok {
			w.Header().Set(name, value)
		}
		w.WriteHeader(a.status)
		fmt.Fprint(w, a.body)
	}))
	defer srv.Close()
	gate, err := newDoor(ServerOptions{Timeout: 5 * time.Second, MaxBody: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	gate.now = func() time.Time { return t0 }
	gate.pause = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	u, _ := url.Parse(srv.URL)
	s, err := serverBehind(gate, u, 3)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.query(t.Context(), "up", t0, t0, time.Minute)
	mu.Lock()
	defer mu.Unlock()
	return asked, waits, err
}

func series(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(`{"metric":{"a":"%d"},"values":[[0,"1"]]}`, i))
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(out, ",") + `]}}`
}

func TestServerFaults(t *testing.T) {
	ms := func(n ...int) (out []time.Duration) {
		for _, n := range n {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	cases := []struct {
		name    string
		answers []say
		want    string // in the error; empty: none
		is      error
		asked   int
		waits   []time.Duration
	}{
		{"good", []say{{200, "", empty}}, "", nil, 1, nil},
		{"unwell, then good", []say{{503, "", "starting"}, {500, "", ""}, {200, "", empty}}, "", nil, 3, ms(500, 1000)},
		{"unwell for long", []say{{502, "", "<html>bad gateway</html>"}}, "502 Bad Gateway", nil, 4, ms(500, 1000, 2000)},
		{"come later", []say{{429, "Retry-After: 7", "busy"}, {200, "", empty}}, "", nil, 2, ms(7000)},
		{"come at a time", []say{{429, "Retry-After: Mon, 02 Mar 2026 08:00:20 GMT", ""}, {200, "", empty}}, "", nil, 2, ms(20_000)},
		{"come tomorrow", []say{{429, "Retry-After: 86400", "busy"}}, "429 Too Many Requests: busy; it asks to be left alone for 24h0m0s", nil, 1, nil},
		{"too many samples", []say{{422, "", `{"status":"error","errorType":"execution","error":"query processing would load too many samples"}`}},
			"422 Unprocessable Entity: query processing would load too many samples", errTooMuch, 1, nil},
		{"too large a request", []say{{413, "", ""}}, "413", errTooMuch, 1, nil},
		{"the server's timeout", []say{{503, "", `{"status":"error","errorType":"timeout","error":"query timed out"}`}}, "query timed out", errTooMuch, 1, nil},
		{"the gateway's timeout", []say{{504, "", ""}}, "504", errTooMuch, 1, nil},
		{"bad query", []say{{400, "", `{"status":"error","errorType":"bad_data","error":"parse error"}`}}, "400 Bad Request: parse error", nil, 1, nil},
		{"an error with status 200", []say{{200, "", `{"status":"error","errorType":"execution","error":"odd"}`}}, "odd", nil, 1, nil},
		{"partial", []say{{200, "", strings.Replace(empty, `"data"`, `"warnings":["store 10.0.0.7 unavailable"],"data"`, 1)}}, "partial: store 10.0.0.7 unavailable", nil, 1, nil},
		{"partial, of VictoriaMetrics", []say{{200, "", strings.Replace(empty, `"data"`, `"isPartial":true,"data"`, 1)}}, "partial: the server did not reach all", nil, 4, ms(500, 1000, 2000)},
		{"whole again", []say{{200, "", strings.Replace(empty, `"data"`, `"isPartial": true,"data"`, 1)}, {200, "", strings.Replace(empty, `"data"`, `"isPartial":false,"data"`, 1)}}, "", nil, 2, ms(500)},
		{"a remark", []say{{200, "", strings.Replace(empty, `"data"`, `"warnings":["PromQL info: metric might not be a counter"],"data"`, 1)}}, "", nil, 1, nil},
		{"no POST", []say{{405, "", ""}, {200, "", empty}}, "", nil, 2, nil},
		{"not let in", []say{{403, "", "no"}}, "give a token file or a header", nil, 2, nil},
		{"unknown", []say{{401, "", ""}}, "401 Unauthorized; give a token file or a header", nil, 1, nil},
		{"elsewhere", []say{{302, "Location: https://login.example.com/?from=secret", ""}}, `leads to "https://login.example.com/", which is not followed`, nil, 1, nil},
		{"not there", []say{{404, "", "404 page not found"}}, "is the URL the one below which", nil, 1, nil},
		{"a page", []say{{200, "", "<html>hello</html>"}}, "not Prometheus's", nil, 1, nil},
		{"cut JSON", []say{{200, "", empty[:40]}}, "not Prometheus's", nil, 1, nil},
		{"no matrix", []say{{200, "", `{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}`}}, "no matrix", nil, 1, nil},
		{"three series", []say{{200, "", series(3)}}, "", nil, 1, nil},
		{"a series too many", []say{{200, "", series(4)}}, "4, more than 3", errTooManySeries, 1, nil},
		{"a huge answer", []say{{200, "", series(2) + strings.Repeat(" ", 10_000)}}, "longer than 10000 bytes", errTooMuch, 1, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			asked, waits, err := answeredBy(t, c.answers...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
			for _, sentinel := range []error{errTooMuch, errTooManySeries} {
				if errors.Is(err, sentinel) != (sentinel == c.is) {
					t.Errorf("%v is %v: %v", err, sentinel, errors.Is(err, sentinel))
				}
			}
			if asked != c.asked || !slices.Equal(waits, c.waits) {
				t.Errorf("asked %d times, waits %v; want %d, %v", asked, waits, c.asked, c.waits)
			}
		})
	}
}

// TestServerThatSaysNothing: an attempt has its time, and one without an answer asked for too much.
func TestServerThatSaysNothing(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("late") == "" {
			w.Write([]byte(empty[:20])) // headers and a beginning, then nothing
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer srv.Close()
	defer close(release)
	s, err := newServer(ServerOptions{URL: srv.URL, Timeout: 50 * time.Millisecond}, 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.query(t.Context(), "up", t0, t0, time.Minute); !errors.Is(err, errTooMuch) || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Error(err)
	}
	s, err = newServer(ServerOptions{URL: srv.URL, Timeout: time.Minute}, 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, _, err := s.query(ctx, "up", t0, t0, time.Minute); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestServerOutOfReach names the address, is tried again, and shows no query.
func TestServerOutOfReach(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	address := srv.URL
	srv.Close()
	d, _ := newDoor(ServerOptions{Timeout: time.Second, MaxBody: 1000})
	tries := 0
	d.pause = func(context.Context, time.Duration) error { tries++; return nil }
	u, _ := url.Parse(address)
	s, _ := serverBehind(d, u, 10)
	_, err := s.names(t.Context(), []string{"{secret=\"x\"}"}, t0, t0)
	if err == nil || !strings.Contains(err.Error(), u.Host) || strings.Contains(err.Error(), "secret") || tries != attempts-1 {
		t.Errorf("%d waits: %v", tries, err)
	}
}
