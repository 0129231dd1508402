package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/replay"
)

// TestReplayOwnHistory: a workload's own history, from the engine by HTTP to the table, page and lines.
func TestReplayOwnHistory(t *testing.T) {
	l := articleLists(t)
	api := httptest.NewServer(l)
	defer api.Close()
	prom := ownEngine(t, time.Now(), 9)
	dir := t.TempDir()
	html, lines := filepath.Join(dir, "out.html"), filepath.Join(dir, "lines")
	args := []string{"replay", ownNS + "/" + ownName, "--prometheus", prom.URL, "--kubeconfig", kubeconfigFor(t, api.URL), "--lookback", "20d", "--rule", "krr"}
	out, fault, code := run(append(args, "--html", html, "--emit", lines)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, fault)
	}
	for _, want := range []string{"CPU: 2 series", "Memory: 2 series", "wrote the page to " + html} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "contention min") {
		t.Errorf("containers of one pod were packed:\n%s", out)
	}
	if page, err := os.ReadFile(html); err != nil || !strings.Contains(string(page), "Trimtab replay of "+ownNS+"/"+ownName) {
		t.Errorf("the page: %v", err)
	}
	for _, name := range []string{"model-server.csv", "model-server.memory.csv", "proxy.csv"} {
		if _, err := os.Stat(filepath.Join(lines, "krr", ownNS+"_"+ownName+"_"+name)); err != nil {
			t.Error(err)
		}
	}
	ownFigures(t, args)
	for _, a := range l.asked {
		if !strings.HasPrefix(a, "GET ") || strings.Contains(a, "secrets") || strings.Contains(a, "configmaps") {
			t.Errorf("it asked %s", a)
		}
	}
}

// ownFigures by hand: p95 of the hottest replica, which uses half a core for half of the time, is half a core, which
// is what the article requests; its memory and 15 % more are 345 MiB of 1 GiB.
func ownFigures(t *testing.T, args []string) {
	t.Helper()
	out, fault, code := run(append(args, "-o", "json", "--only", ownNS+"/"+ownName+"/model")...)
	var got replayAnswer
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || len(got.Compared) != 2 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, fault, out)
	}
	cpu, memory := got.Compared[0].Rows[0].Summary, got.Compared[1].Rows[0].Summary
	if math.Abs(cpu.Mean.Ratio-1) > 1e-6 || cpu.Mean.Over != 0 || cpu.Resizes != 0 {
		t.Errorf("CPU: %+v", cpu)
	}
	if math.Abs(memory.Mean.Ratio-345./1024) > 1e-6 {
		t.Errorf("memory: %+v", memory)
	}
}

// TestReplayOwnSeries: of two replicas the hottest one, through a rollout, and of nobody else.
func TestReplayOwnSeries(t *testing.T) {
	until := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	var said bytes.Buffer
	o := ownHistory{localPlan{outside: outside{url: ownEngine(t, until, 6).URL}, lookback: 14 * 24 * time.Hour, progress: &said}, func() time.Time { return until }}
	all, err := o.series(t.Context(), ownNS, ownName, false)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d series, %v", len(all), err)
	}
	want := map[string]func(hour int) float64{
		"cores model-server": func(hour int) float64 { return map[bool]float64{true: 0.5, false: 0.2}[hour >= 8 && hour < 20] },
		"cores proxy":        func(int) float64 { return 0.05 },
		"bytes model-server": func(int) float64 { return 300 << 20 },
		"bytes proxy":        func(int) float64 { return 40 << 20 },
	}
	for _, s := range all {
		of := want[s.Unit+" "+filepath.Base(s.ID)]
		if of == nil || s.Granted != 0 || s.Floor != replay.FloorOf(s.Unit) || s.Step() != 5*time.Minute || len(s.At) < 6*288-5 || !strings.HasPrefix(s.ID, ownNS+"/"+ownName+"/") {
			t.Fatalf("%s of %s: %d samples by %s, granted %v", s.Unit, s.ID, len(s.At), s.Step(), s.Granted)
		}
		for i, at := range s.At {
			when := time.Unix(at, 0).UTC()
			near := func(hour int) bool {
				return when.Sub(when.Truncate(24*time.Hour).Add(time.Duration(hour)*time.Hour)).Abs() < 8*time.Minute
			}
			if near(8) || near(20) || near(12) || i == 0 {
				continue // a rate looks a minute further back than its window
			}
			if w := of(when.Hour()); math.Abs(s.Used[i]-w) > 1e-6*w {
				t.Fatalf("%s of %s at %s: %v, want %v", s.Unit, s.ID, when, s.Used[i], w)
			}
		}
	}
	for _, text := range []string{"reading what the hottest replica of ml-production/recommendation-model used since 2026-02-24 00:00", "samples of 3 pods"} {
		if !strings.Contains(said.String(), text) {
			t.Errorf("%q was not said:\n%s", text, said.String())
		}
	}
}

// TestReplayOwnGrants: what the live pods do not request is said, for a ratio to it there is not.
func TestReplayOwnGrants(t *testing.T) {
	l := articleLists(t)
	l.forbid = []string{"/api/v1/nodes", "/api/v1/pods"} // a role in the namespace is enough
	api := httptest.NewServer(l)
	defer api.Close()
	var said bytes.Buffer
	o := ownHistory{localPlan{outside: outside{url: ownEngine(t, time.Now(), 5).URL}, kubeconfig: kubeconfigFor(t, api.URL), lookback: 14 * 24 * time.Hour, progress: &said}, time.Now}
	all, err := o.series(t.Context(), ownNS, ownName, true)
	if err != nil || len(all) != 4 {
		t.Fatalf("%d series, %v\n%s", len(all), err, said.String())
	}
	for i, want := range []float64{0.5, 0, 1 << 30, 0} { // cores, then bytes; the proxy is in no pod any more
		if all[i].Granted != want {
			t.Errorf("%s of %s: granted %v, want %v", all[i].Unit, all[i].ID, all[i].Granted, want)
		}
	}
	for _, unit := range []string{"cores", "bytes"} {
		if want := "note: " + ownNS + "/" + ownName + "/proxy requests no " + unit + " now"; !strings.Contains(said.String(), want) {
			t.Errorf("%q was not said:\n%s", want, said.String())
		}
	}
}

// TestReplayHelp: the flags of an own history are told.
func TestReplayHelp(t *testing.T) {
	out, _, code := run("replay", "--help")
	for _, want := range []string{"-prometheus URL", "-prometheus-match matchers", "-kubeconfig file", "-context context", "-lookback time"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %q is not in\n%s", code, want, out)
		}
	}
}

// TestReplayOwnWithoutCluster: the live requests are done without, and that is said.
func TestReplayOwnWithoutCluster(t *testing.T) {
	api := httptest.NewServer(nil)
	config := kubeconfigFor(t, api.URL)
	api.Close()
	var said bytes.Buffer
	o := ownHistory{localPlan: localPlan{kubeconfig: config, progress: &said}}
	if live, err := o.granted(t.Context(), ownNS); err != nil || len(live) != 0 || !strings.Contains(said.String(), "note: the live requests are unknown: ") {
		t.Errorf("%v, %v\n%s", live, err, said.String())
	}
	o.context = "nowhere"
	if _, err := o.granted(t.Context(), ownNS); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Error(err)
	}
}

// TestReplayOwnFaults: each is one clear error with its exit code; what can be refused is, before anything is asked.
func TestReplayOwnFaults(t *testing.T) {
	const nobody = "http://u:secret@127.0.0.1:1"
	few := ownEngine(t, time.Now(), 2).URL
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"shop/web", 2, []string{"shop/web: there is no such file or folder", "give --prometheus URL"}},
		{"shop/web --prometheus-match a=\"b\"", 2, []string{"--prometheus-...: give --prometheus URL too"}},
		{"shop/web.csv --prometheus " + nobody, 2, []string{"shop/web.csv: cannot be read: no such file"}},
		{"Shop/web --prometheus " + nobody, 2, []string{"Shop/web: cannot be read: no such file"}},
		{"shop/web --lookback 14 --prometheus " + nobody, 2, []string{"write days such as 14d, or a duration such as 336h"}},
		{"shop/web --lookback 3d --rule vpaa --prometheus prometheus:9090", 2, []string{"--lookback 3d: give 4d to 366d", "--rule vpaa: there is no such rule", "write it as https://"}},
		{"shop/web --rule crane --resource memory --prometheus " + nobody, 2, []string{"--rule crane: is not for bytes"}},
		{"shop/web --context nowhere --prometheus " + nobody, 2, []string{"nowhere"}},
		{"shop/web --granted 1 --granted-memory 1 --prometheus " + few, 2, []string{"no series of shop/web in the last 14d at " + few + "; give the namespace and name"}},
		{ownNS + "/" + ownName + " --granted 1 --granted-memory 1 --prometheus " + few, 2, []string{ownNS + "/" + ownName + " has only 2.0 days of use at " + few}},
	} {
		out, fault, code := run(append([]string{"replay"}, strings.Fields(c.args)...)...)
		for _, want := range c.want {
			if code != c.code || !strings.Contains(fault, want) || out != "" || strings.Contains(fault, "secret") {
				t.Errorf("trimtab replay %s: exit code %d, want %d and %q\n%s%s", c.args, code, c.code, want, out, fault)
			}
		}
	}
}

// TestReplayPathGoesFirst: a folder that is called as a workload could be is the folder.
func TestReplayPathGoesFirst(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "shop/web/app.csv", aWeek())
	t.Chdir(dir)
	out, fault, code := run("replay", "shop/web", "--prometheus", "http://127.0.0.1:1", "--rule", "krr")
	if code != 0 || !strings.Contains(out, "CPU: 1 series") {
		t.Errorf("exit code %d\n%s%s", code, out, fault)
	}
}

// TestReplayHottest against a plain twin: the largest of each container, time and unit; what is no number is left out.
func TestReplayHottest(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	var samples []fleet.Sample
	want := map[string]float64{}
	for at := range int64(50) {
		for pod := range 3 {
			for _, signal := range []fleet.Signal{fleet.CPU, fleet.Latency, fleet.Memory} {
				s := fleet.Sample{Ref: fleet.Deployment("a", "b"), Pod: fmt.Sprint(pod), Container: []string{"x", "y"}[r.IntN(2)], Signal: signal, At: time.Unix(at*300, 0), Mean: r.Float64(), Max: 2 + r.Float64()}
				if r.IntN(9) == 0 {
					s.Mean, s.Max = math.NaN(), math.Inf(1)
				}
				samples = append(samples, s)
				value, unit := s.Mean, replay.Cores
				if signal == fleet.Memory {
					value, unit = s.Max, replay.Bytes
				}
				if key := fmt.Sprint(unit, " a/b/", s.Container, " ", at*300); signal != fleet.Latency && value < 9 {
					want[key] = max(want[key], value)
				}
			}
		}
	}
	u := newOwnUse()
	for part := range slices.Chunk(samples, 90) { // as they come
		u.add(part)
	}
	got := map[string]float64{}
	for _, s := range u.series(map[fleet.Ref]fleet.PodShape{fleet.Deployment("a", "b"): {Containers: []fleet.Container{{Name: "x", Requests: fleet.Resources{MilliCPU: 250, Memory: 7}}}}}) {
		grant := map[string]float64{"cores a/b/x": 0.25, "bytes a/b/x": 7}[s.Unit+" "+s.ID]
		if s.Granted != grant || !slices.IsSorted(s.At) {
			t.Errorf("%s of %s: granted %v, want %v", s.Unit, s.ID, s.Granted, grant)
		}
		for i, at := range s.At {
			got[fmt.Sprint(s.Unit, " ", s.ID, " ", at)] = s.Used[i]
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
