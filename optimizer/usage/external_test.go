package usage

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

func everything(t *testing.T, e *External, refs []fleet.Ref, since, until time.Time) []fleet.Sample {
	t.Helper()
	var out []fleet.Sample
	if err := e.EachOf(t.Context(), refs, since, until, func(s []fleet.Sample) error { out = append(out, s...); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

var fine = ExternalOptions{Settle: -1}

// TestDialectsAgree: the same use, told in both ways, is read as the same within 5 %.
func TestDialectsAgree(t *testing.T) {
	ours, theirs := twoTowns(t, 4*hour)
	until := t0.Add(4 * time.Hour)
	type key struct {
		at        time.Time
		ref       fleet.Ref
		container string
		signal    fleet.Signal
	}
	want := map[key]fleet.Sample{}
	for _, s := range samples(t, NewReader(ours, now), t0, until) {
		want[key{s.At, s.Ref, s.Container, s.Signal}] = s
	}
	got := everything(t, newExternal(theirs, "x", fine), nil, t0, until)
	restarted := func(at time.Time) bool { return at.Sub(t0.Add(2*time.Hour)).Abs() <= 2*time.Minute }
	seen := map[fleet.Signal]int{}
	for _, s := range got {
		k := key{s.At, s.Ref, s.Container, s.Signal}
		w, ok := want[k]
		delete(want, k)
		if s.Signal == fleet.Throttling { // ours has no source for it
			if math.Abs(s.Mean-0.2) > 1e-9 {
				t.Errorf("throttled %v, want 0.2", s.Mean)
			}
			continue
		}
		if !s.At.After(t0.Add(2 * time.Minute)) {
			continue // a rate does not know what was used before the first reading
		}
		off := math.Abs(s.Mean-w.Mean) / w.Mean
		if s.Signal == fleet.CPU && s.Ref == web && restarted(s.At) { // of the two halves the larger; never both
			off = max(0, s.Mean-w.Mean) / w.Mean
		}
		if !ok || s.Pod != w.Pod || s.Image != w.Image || s.Window != w.Window || off > 0.05 {
			t.Fatalf("%s of %s, want %s of %s", line(s), s.Ref, line(w), w.Ref)
		}
		seen[s.Signal]++
	}
	for k, s := range want {
		if k.at.After(t0.Add(2 * time.Minute)) {
			t.Errorf("missing: %s of %s", line(s), s.Ref)
		}
	}
	if seen[fleet.OOM] != 1 || seen[fleet.GPU] != 476 || seen[fleet.GPUMemory] != 476 || seen[fleet.CPU] < 470 || seen[fleet.Requests] < 230 || seen[fleet.Latency] < 230 {
		t.Errorf("samples by signal: %v", seen)
	}
}

// TestBackendsAgree: the embedded engine, and a server behind HTTP, give the same samples in both dialects.
func TestBackendsAgree(t *testing.T) {
	ours, theirs := twoTowns(t, 4*hour)
	until := t0.Add(5 * time.Hour)
	want := samples(t, NewReader(ours, now), t0, until)
	got := samples(t, newReader(serverAt(t, protocol(t, ours).URL), ours.span, now), t0, until)
	if !slices.Equal(got, want) || len(want) < 1500 {
		t.Errorf("trimtab dialect: %d samples by HTTP, %d embedded", len(got), len(want))
	}
	o := fine
	o.Fine = 2 * time.Hour // the older half in windows of five minutes
	want = everything(t, newExternal(theirs, "x", o), nil, t0, until)
	got = everything(t, newExternal(serverAt(t, protocol(t, theirs).URL), "x", o), nil, t0, until)
	if !slices.Equal(got, want) || len(want) < 900 {
		t.Errorf("cadvisor dialect: %d samples by HTTP, %d embedded", len(got), len(want))
	}
}

// TestCoarseWindowsKeepThePeak: five minutes with one busy minute in them have a mean, and a largest minute.
func TestCoarseWindowsKeepThePeak(t *testing.T) {
	w := &town{every: 15 * time.Second}
	for s, total := 0, 0.0; s <= 1200; s += 15 {
		if s > 600 && s <= 660 {
			total += 15 * 2.0 // two cores for a minute, then a tenth
		} else {
			total += 15 * 0.1
		}
		w.add(metric(cadvisorCPU, "namespace", "shop", "pod", "a", "container", "main", "image", image), s, total)
		w.add(metric(PodOwner, "namespace", "shop", "pod", "a", "kind", "Deployment", "workload", "web"), s, 1)
	}
	e := newExternal(w.stored(t, ""), "x", ExternalOptions{Settle: -1, Fine: time.Second})
	for _, s := range everything(t, e, nil, t0, t0.Add(20*time.Minute)) {
		// (600, 900]: 60 s of 2 and 240 s of 0.1 are 0.48; the rate looks 30 s further back, the guessed pace.
		if s.At.Equal(t0.Add(15*time.Minute)) && (math.Abs(s.Mean-0.48) > 0.05 || s.Max < 1.3 || s.Max > 2.01 || s.Window != 5*time.Minute) {
			t.Errorf("%s over %s", line(s), s.Window)
		}
	}
}

// TestWindowsOfAnOutsideRead: coarse up to the border, fine after it, no window twice and none left out.
func TestWindowsOfAnOutsideRead(t *testing.T) {
	e := newExternal(nil, "x", ExternalOptions{Settle: -1, Fine: time.Hour})
	for _, c := range []struct {
		name         string
		since, until int // minutes
		want         string
	}{
		{"recent", 120, 150, "121..150/1"},
		{"old and recent", 0, 120, "5..60/5 61..120/1"},
		{"odd ends", 3, 127, "5..65/5 66..127/1"}, // since 0:03, the window that ends at 0:05 is coarse
		{"nothing", 120, 120, ""},
		{"backwards", 120, 100, ""},
		{"long ago", -600, -590, "-599..-590/1"},
	} {
		var got []string
		minutes := func(at time.Time) int { return int(at.Sub(t0).Minutes()) }
		for _, s := range e.stretches(known{}, t0.Add(time.Duration(c.since)*time.Minute), t0.Add(time.Duration(c.until)*time.Minute)) {
			got = append(got, fmt.Sprintf("%d..%d/%.0f", minutes(s.first), minutes(s.last), s.step.Minutes()))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
	if s := e.stretches(known{interval: 90 * time.Second}, t0, t0.Add(10*time.Minute)); len(s) != 1 || s[0].step != 2*time.Minute {
		t.Errorf("scraped every 90 s: %v, want windows of two minutes", s)
	}
}

// TestRefusedQueriesAreHalved: whatever the server's limits are, the samples are the same; below one window of
// one namespace there is nothing left to halve, and the error says so.
func TestRefusedQueriesAreHalved(t *testing.T) {
	_, theirs := twoTowns(t, 3*hour)
	next := protocol(t, theirs).Config.Handler
	refs, until := []fleet.Ref{db, web}, t0.Add(3*time.Hour)
	want := everything(t, newExternal(theirs, "x", fine), refs, t0, until)
	for _, c := range []struct{ windows, namespaces int }{{1000, 9}, {60, 9}, {17, 9}, {1000, 1}} {
		l := &limited{next: next, windows: c.windows, namespaces: c.namespaces}
		front := httptest.NewServer(l)
		got := everything(t, newExternal(serverAt(t, front.URL), "x", fine), refs, t0, until)
		front.Close()
		if !slices.Equal(got, want) || len(want) < 1000 {
			t.Errorf("%+v: %d samples, without limits %d", c, len(got), len(want))
		}
		if (c.windows < 180 || c.namespaces < 2) != (l.refused > 0) {
			t.Errorf("%+v: %d refused", c, l.refused)
		}
	}
	front := httptest.NewServer(&limited{next: next, windows: 1, namespaces: 0})
	defer front.Close()
	err := newExternal(serverAt(t, front.URL), "x", fine).EachOf(t.Context(), refs, t0, until, func([]fleet.Sample) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "too many samples") {
		t.Error(err)
	}
}

// TestManyNamespaces: their names never make a text that VictoriaMetrics would refuse, and one of few is asked once.
func TestManyNamespaces(t *testing.T) {
	for _, c := range []struct{ namespaces, asked int }{{3, 1}, {600, 2}} {
		var names []string
		for _, f := range slices.Concat(servedFamilies(), []string{cadvisorCPU, statePodOwner, stateSetOwner}) {
			names = append(names, fmt.Sprintf("%q", f))
		}
		var mu sync.Mutex
		longest, asked := 0, 0
		mux := http.NewServeMux()
		mux.HandleFunc("GET /api/v1/label/__name__/values", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"status":"success","data":[%s]}`, strings.Join(names, ","))
		})
		mux.HandleFunc("POST /api/v1/query_range", func(w http.ResponseWriter, r *http.Request) {
			text := r.PostFormValue("query")
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, len(text))
			if strings.Contains(text, "max_over_time(rate("+cadvisorCPU) {
				asked++
			}
			fmt.Fprint(w, empty)
		})
		front := httptest.NewServer(mux)
		var refs []fleet.Ref
		for i := range c.namespaces {
			refs = append(refs, fleet.Deployment(fmt.Sprintf("team-%03d-models", i), "web"))
		}
		o := fine
		o.Step = 5 * time.Minute
		everything(t, newExternal(serverAt(t, front.URL), "x", o), refs, t0, t0.Add(20*time.Minute))
		front.Close()
		if longest > longestText || longest == 0 || asked < c.asked || c.asked == 1 && asked != 1 {
			t.Errorf("%d namespaces: a text of %d bytes, asked %d times", c.namespaces, longest, asked)
		}
	}
}

// TestMissingFamilies: what cannot be read is said; it is an error where that is everything.
func TestMissingFamilies(t *testing.T) {
	cpu := metric(cadvisorCPU, "namespace", "shop", "pod", "a", "container", "main", "image", image)
	owner := metric(statePodOwner, "namespace", "shop", "pod", "a", "owner_kind", "StatefulSet", "owner_name", "web")
	sets := metric(stateSetOwner, "namespace", "shop", "replicaset", "a", "owner_kind", "Deployment", "owner_name", "web")
	for _, c := range []struct {
		name      string
		has       []labels.Labels
		err, gaps []string
	}{
		{"nothing", []labels.Labels{metric("up")}, []string{"no container_cpu_usage_seconds_total and no container_memory_working_set_bytes", "no kube_pod_owner and no trimtab_pod_owner: connect kube-state-metrics"}, nil},
		{"no owners", []labels.Labels{cpu}, []string{"no kube_pod_owner and no trimtab_pod_owner: connect kube-state-metrics"}, nil},
		{"no images", []labels.Labels{metric(cadvisorCPU, "namespace", "shop", "pod", "a", "container", "main"), owner, sets}, []string{"with container and image labels"}, nil},
		{"no sets", []labels.Labels{cpu, owner}, nil, []string{"no kube_replicaset_owner: pods of Deployments are nobody's"}},
		{"no more than that", []labels.Labels{cpu, owner, sets}, nil, []string{"no container_memory_working_set_bytes", "no container_cpu_cfs_periods_total", "kills for want of memory are unknown",
			"no requests of model servers", "no latency of model servers", "what GPUs do is unknown; let the server scrape dcgm-exporter", "how much memory of GPUs is in use is unknown; let the server scrape dcgm-exporter"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &town{}
			for _, l := range c.has {
				w.add(l, 30, 1)
			}
			var log bytes.Buffer
			e := newExternal(w.stored(t, ""), "http://prom", ExternalOptions{Log: logTo(&log)})
			read := func(until time.Time) error {
				return e.Each(t.Context(), t0, until, func([]fleet.Sample) error { return nil })
			}
			err := read(t0.Add(5 * time.Minute))
			if (err == nil) != (c.err == nil) {
				t.Fatal(err)
			}
			for _, want := range c.err {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v lacks %q", err, want)
				}
			}
			if err := read(t0.Add(time.Hour)); (err == nil) != (c.err == nil) { // looked at anew
				t.Error(err)
			}
			gaps := strings.Join(e.Gaps(), "\n")
			for _, want := range c.gaps {
				if !strings.Contains(gaps, want) || strings.Count(log.String(), want) != 1 {
					t.Errorf("%q is not in\n%s\nor not once in\n%s", want, gaps, log.String())
				}
			}
		})
	}
}

// TestGPUMemoryOutside: MiB are read as bytes, 2048, 4096 and 2048 as 2.67 GiB on average and 4 at most. A GPU of
// which only memory is told has its place, and a window with a figure that no GPU has is not measured.
func TestGPUMemoryOutside(t *testing.T) {
	w := &town{}
	for i, used := range [][3]float64{{2048, 4096, 2048}, {700, 2147483632, 700}, {700, 700, 700}} {
		for j, v := range used {
			l := metric(dcgmUsed, "gpu", fmt.Sprint(8+i), "UUID", fmt.Sprint("GPU-", i), "namespace", "shop", "pod", "a", "container", "main")
			w.add(l, 15*(j+1), v)
			if i == 2 {
				w.add(plus(l, model.MetricNameLabel, dcgmActive), 15*(j+1), 0.5)
			}
		}
	}
	w.add(metric(cadvisorMemory, "namespace", "shop", "pod", "a", "container", "main", "image", image), 30, 1)
	w.add(metric(PodOwner, "namespace", "shop", "pod", "a", "kind", "Deployment", "workload", "web"), 30, 1)
	got := lines(everything(t, newExternal(w.stored(t, ""), "x", fine), nil, t0, t0.Add(time.Minute)))
	want := []string{"60 a/gpu 0 gpu-memory 2.86331e+09 4.29497e+09 3", "60 a/gpu 2 gpu 0.5 0.5 3", "60 a/gpu 2 gpu-memory 7.34003e+08 7.34003e+08 3", "60 a/main memory 1 1 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestSeveralClusters: of a server that holds two, the matchers pick one.
func TestSeveralClusters(t *testing.T) {
	w := &town{}
	for i, cluster := range []string{"east", "west"} {
		w.add(metric(cadvisorMemory, "cluster", cluster, "namespace", "shop", "pod", "a", "container", "main", "image", image), 30, float64(1+i))
		w.add(metric(PodOwner, "cluster", cluster, "exported_namespace", "shop", "exported_pod", "a", "namespace", "trimtab", "pod", "t-0", "kind", "Deployment", "workload", "web"), 30, 1)
	}
	s := w.stored(t, "")
	for cluster, want := range map[string]float64{"east": 1, "west": 2} {
		o := fine
		o.Match = `cluster="` + cluster + `"`
		for _, refs := range [][]fleet.Ref{nil, {web}} {
			got := everything(t, newExternal(s, "x", o), refs, t0, t0.Add(time.Minute))
			if len(got) != 1 || got[0].Mean != want || got[0].Ref != web {
				t.Errorf("%s: %q, want %v", cluster, lines(got), want)
			}
		}
	}
	if got := everything(t, newExternal(s, "x", fine), []fleet.Ref{db}, t0, t0.Add(time.Minute)); len(got) != 0 {
		t.Errorf("of another workload: %q", lines(got))
	}
	if got := everything(t, newExternal(s, "x", fine), []fleet.Ref{}, t0, t0.Add(time.Minute)); len(got) != 0 {
		t.Errorf("of no workload: %q", lines(got))
	}
}

// TestOutsideReadsJoinUp: reading in two parts is reading at once.
func TestOutsideReadsJoinUp(t *testing.T) {
	_, theirs := twoTowns(t, 3*hour)
	e, end := newExternal(theirs, "x", fine), t0.Add(3*time.Hour)
	want := everything(t, e, nil, t0, end)
	for _, cut := range []time.Duration{15 * time.Minute, 61 * time.Minute, 2*time.Hour + time.Minute} {
		got := append(everything(t, e, nil, t0, t0.Add(cut)), everything(t, e, nil, t0.Add(cut), end)...)
		if !slices.Equal(got, want) {
			t.Errorf("cut at %v: %d samples, at once %d", cut, len(got), len(want))
		}
	}
}

// TestEveryCadvisorGapIsExplained, and every text can be parsed, with namespaces and without.
func TestEveryCadvisorGapIsExplained(t *testing.T) {
	store := openAt(t, "", nil)
	for _, all := range []bool{true, false} {
		for _, q := range cadvisorQueries(func(string) bool { return all }) {
			if (q.mean == "") == (q.gap == "") || (q.mean == "") != (q.count == "") || (q.gap == "") != all {
				t.Errorf("%s: mean %q, count %q, gap %q", q.signal, q.mean, q.count, q.gap)
			}
			for _, w := range []where{{}, {`cluster="west"`, nil}, {`cluster="west"`, []string{"a", "b"}}, {"", []string{"a"}}} {
				for _, text := range []string{q.mean, q.max, q.count} {
					text = known{interval: time.Minute, served: time.Minute}.at(query{signal: q.signal, mean: text}, 5*time.Minute).each(w.fill).mean
					if text == "" {
						continue
					}
					if _, _, err := store.query(context.Background(), text, t0, t0, time.Minute); err != nil || strings.Contains(text, "$window") {
						t.Errorf("%s: %v", text, err)
					}
				}
			}
		}
	}
}
