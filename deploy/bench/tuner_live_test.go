package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestQuantity(t *testing.T) {
	for text, want := range map[string]float64{
		"": 0, "300m": 0.3, "1": 1, "0.25": 0.25, "123456789n": 0.123456789, "1500u": 0.0015, "128Mi": 128 << 20, "1Gi": 1 << 30, "64Ki": 65536, "2M": 2e6, "134217728": 1 << 27,
	} {
		if got, err := quantity(text); err != nil || math.Abs(got-want) > 1e-9*(1+want) {
			t.Errorf("%q is %g, %v; want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"many", "1.5.2", "m", "3Xi"} {
		if got, err := quantity(text); err == nil {
			t.Errorf("%q is taken for %g", text, got)
		}
	}
}

// TestBill: 2 cores for 30 s and 1 core for 60 s; the looks are 30 s and more apart.
func TestBill(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	b := bill{{at: at(0), milli: 2000}, {at: at(30), milli: 1000}, {at: at(90), milli: 4000}}
	for _, tt := range []struct {
		name     string
		from, to int
		want     float64 // core seconds
	}{
		{"all that was seen: 2 x 30 + 1 x 60", 0, 90, 120},
		{"the last look holds: and 4 x 10", 0, 100, 160},
		{"from within: 2 x 10 + 1 x 60", 20, 90, 80},
		{"within one look: 1 x 10", 40, 50, 10},
		{"before the first look nothing is known", -50, 10, 20},
		{"nothing", 50, 50, 0},
	} {
		if got := b.dollars(at(tt.from), at(tt.to)) / coreHour * 3600; math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %g core seconds, want %g", tt.name, got, tt.want)
		}
	}
	// 2 cores and 8 GiB are the whole machine.
	if got := (requested{milli: 2000, bytes: 8 << 30}).hourly(); math.Abs(got-nodeHour) > 1e-12 {
		t.Errorf("a whole machine costs %g an hour", got)
	}
}

func TestTotalOf(t *testing.T) {
	pod := func(node, phase, cpu string) (p livePod) {
		p.Spec.NodeName, p.Status.Phase = node, phase
		p.Spec.Containers = make([]struct {
			Name      string
			Resources struct{ Requests map[string]string }
		}, 1)
		p.Spec.Containers[0].Resources.Requests = map[string]string{"cpu": cpu, "memory": "128Mi"}
		return p
	}
	leaving := pod("a", "Running", "100m")
	leaving.Metadata.DeletionTimestamp = "now"
	// 300 + 75 + the one that leaves, 100: it is paid until it is gone. The others have no node, or have ended.
	r, err := totalOf([]livePod{pod("a", "Running", "300m"), pod("b", "Pending", "75m"), leaving, pod("", "Pending", "1"), pod("a", "Succeeded", "1"), pod("a", "Failed", "1")}, time.Time{})
	if err != nil || r.milli != 475 || r.pods != 3 || r.bytes != 3*128<<20 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestVPARule(t *testing.T) {
	constant := func(n int, cores float64) (h vpaHistogram) {
		for range n {
			h.add(cores, 0)
		}
		return h
	}
	mixed := constant(90, 0.1)
	for range 10 {
		mixed.add(1, 0)
	}
	spiky := constant(80, 0.1)
	for range 20 {
		spiky.add(1, 0)
	}
	aged := constant(90, 1)
	for range 10 {
		aged.add(0.1, 10*vpaHalfLife) // weighs 1024 times as much: 10,240 of 10,330
	}
	// Bucket n begins at 0.2 (1.05^n - 1): 0.1 is in [0.09549, 0.11027), 1 in [0.95836, 1.01628).
	for _, tt := range []struct {
		name string
		h    vpaHistogram
		want int64
	}{
		{"0.1 all the time: 110.27 x 1.15 = 126.8", constant(10, 0.1), 127},
		{"a tenth at 1 core is above the p90", mixed, 127},
		{"a fifth is not: 1016.28 x 1.15 = 1168.7", spiky, 1169},
		{"nearly nothing: 10 x 1.15 is under the floor", constant(5, 0.001), 25},
		{"ten half-lives later the old weigh nothing", aged, 127},
	} {
		if got, ok := tt.h.target(); !ok || got != tt.want {
			t.Errorf("%s: %dm, want %dm", tt.name, got, tt.want)
		}
	}
	if got, ok := (vpaHistogram{}).target(); ok {
		t.Errorf("of no sample follows %dm", got)
	}
}

func TestCarefulPerson(t *testing.T) {
	for cores, want := range map[float64]liveSetting{
		0.30: {1, time.Millisecond, 2, 200}, // 390m over 2 are 195m
		0.05: {1, time.Millisecond, 2, 40},  //  65m over 2 are 32.5m
		0.60: {1, time.Millisecond, 3, 260}, // 780m do not fit 2 x 300m; over 3 they are 260m
	} {
		if got := careful(cores); got != want {
			t.Errorf("%g cores: %s, want %s", cores, got, want)
		}
	}
}

func TestSizedAndCheapest(t *testing.T) {
	at := func(replicas int, cores float64, p99 time.Duration, failed int) livePoint {
		return livePoint{setting: liveSetting{16, 20 * time.Millisecond, replicas, 300}, cores: cores, p99: p99, sums: sums{sent: 100, ok: 100 - failed}}
	}
	for _, tt := range []struct {
		p    livePoint
		want int64
	}{
		{at(2, 0.24, 0, 0), 150}, // 120 x 1.2 = 144
		{at(1, 0.05, 0, 0), 60},  //  50 x 1.2 = 60, in steps of 5
		{at(1, 0.051, 0, 0), 65}, //  61.2
		{at(4, 0.01, 0, 0), 25},  //   3
	} {
		if got := tt.p.sized().milli; got != tt.want {
			t.Errorf("%g cores on %d pods: %dm, want %dm", tt.p.cores, tt.p.setting.replicas, got, tt.want)
		}
	}
	points := []livePoint{
		at(1, 0.30, liveSLO, 0), at(1, 0.10, liveSLO+1, 0), at(1, 0.11, liveSLO/2, 1), at(1, 0.12, 0, 0), // the last three break the SLO, fail, or answered nothing
		at(1, 0.20, liveSLO/2, 0), at(2, 0.20, liveSLO/2, 0), at(1, 0.25, liveSLO/2, 0),
	}
	got := cheapestLive(points)
	// 240m and 2 x 120m cost the same CPU, but two pods hold twice the memory; then 300m.
	if len(got) != 3 || got[0].setting.replicas != 1 || got[0].cores != 0.20 || got[1].setting.replicas != 2 || got[2].cores != 0.25 {
		t.Errorf("the cheapest: %+v", got)
	}
}

func TestReportSums(t *testing.T) {
	slow, quick := 81.0, 80.0
	var r loadReport
	for i, p99 := range []*float64{&quick, &slow, nil, &quick} {
		r.Windows = append(r.Windows, struct {
			Start  float64  `json:"start_s"`
			Sent   int      `json:"sent"`
			OK     int      `json:"ok"`
			Within int      `json:"within"`
			P99    *float64 `json:"p99_ms"`
		}{float64(10 * i), 10, 9, 8, p99})
	}
	r.Windows[3].Sent = 0 // nothing was to be sent: no window that counts
	if got := r.sums(0, math.MaxInt64); got != (sums{30, 27, 24, 3, 2}) || got.failed() != 3 {
		t.Errorf("all: %+v", got)
	}
	if got := r.sums(10*time.Second, 20*time.Second); got != (sums{10, 9, 8, 1, 1}) {
		t.Errorf("the second: %+v", got)
	}
}

// TestSteady: after the last change ended 95 s into the load, the window from 100 s on counts.
func TestSteady(t *testing.T) {
	begun := time.Unix(1000, 0)
	r := armResult{report: loadReport{Begun: begun, Seconds: 200}, entries: []ledgerEntry{
		{Ended: begun.Add(95 * time.Second), Outcome: "done"}, {Ended: begun.Add(40 * time.Second), Outcome: "done"}, {Outcome: "failed"},
	}}
	r.entries[0].Change.Reverts = "abc"
	if from, ok := r.steady(); from != 100*time.Second || !ok {
		t.Errorf("steady from %s on, %v", from, ok)
	}
	if made, back := r.changes(); made != 2 || back != 1 {
		t.Errorf("%d changes, %d back", made, back)
	}
	r.report.Seconds = 129
	if _, ok := r.steady(); ok {
		t.Error("29 s are taken for steady")
	}
}

func TestSliceOf(t *testing.T) {
	var rows []rateRow
	for i := range 100 {
		rows = append(rows, rateRow{time.Duration(i) * time.Minute, 1})
	}
	for _, tt := range []struct {
		peak       int
		want       time.Duration
		from, last time.Duration // of a slice of 20 s of replay, 10 times as fast
	}{
		{50, 47 * time.Minute, 50*time.Minute - 50*time.Second, 0}, // 15 % of 20 min before it
		{1, 0, 10 * time.Second, 0},
		{95, 79 * time.Minute, 95*time.Minute - 50*time.Second, 0}, // the trace ends
	} {
		rows[tt.peak].rate = 2
		r := sliceOf(rows, 20*time.Minute)
		r.speed = 10
		if r.from != tt.want || r.busiest != time.Duration(tt.peak)*time.Minute {
			t.Errorf("peak in row %d: from %s", tt.peak, r.from)
		}
		if s := r.shorter(20 * time.Second); s.from != tt.from || s.length != 200*time.Second {
			t.Errorf("peak in row %d, shorter: from %s for %s", tt.peak, s.from, s.length)
		}
		rows[tt.peak].rate = 1
	}
}

func TestMadeUp(t *testing.T) {
	l := &live{liveOptions: liveOptions{minutes: 8}, dir: t.TempDir()}
	r, err := l.findTrace()
	if err != nil || r.length != 8*time.Minute || !strings.Contains(r.about, "MADE-UP") {
		t.Fatalf("%+v, %v", r, err)
	}
	rows, err := readRates(r.file)
	if err != nil || len(rows) != 96 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	// Peak at 0.15 of the day, 72 s; trough half a day later, 312 s: 100 and 40. At 192 s, 0.4 of the day,
	// a burst of 1.6 times 40 + 60 (1 + cos(2π 0.25))/2 = 70.
	for at, want := range map[int]float64{72 / 5: 99.9, 312 / 5: 40, 195 / 5: 109.8} {
		if got := rows[at].rate; math.Abs(got-want) > 0.5 {
			t.Errorf("at %s: %g, want %g", rows[at].at, got, want)
		}
	}
}

func TestReadRates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.csv")
	for text, want := range map[string]string{
		"t,req_per_s,cv\n600,5,1\n1200,7,1\n": "",
		"t,req_per_s\n600,5\n1200,x\n":        "line 3",
		"5\n6\n":                              "one column",
		"t,req_per_s\n1,2\n":                  "fewer than two",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rows, err := readRates(file)
		if want == "" && (err != nil || len(rows) != 2 || rows[1] != (rateRow{600 * time.Second, 7})) {
			t.Errorf("%q: %v, %v", text, rows, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestMetricOf(t *testing.T) {
	text := "# TYPE modelserver_config_generation gauge\nmodelserver_config_generation{model=\"m\"} 7\nprocess_cpu_seconds_total 1.5\n"
	for name, want := range map[string]float64{"modelserver_config_generation": 7, "process_cpu_seconds_total": 1.5} {
		if got, err := metricOf(text, name); err != nil || got != want {
			t.Errorf("%s is %g, %v", name, got, err)
		}
	}
	if _, err := metricOf(text, "process_cpu"); err == nil {
		t.Error("a part of a name is taken for it")
	}
}
