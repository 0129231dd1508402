package usage

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// t0 is where the tests' time begins: a full hour, so that windows of a minute are aligned to it.
var t0 = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

var web = fleet.Deployment("shop", "web")

// clock is the tests' now: late enough for every sample they write.
func clock() time.Time { return t0.Add(1000 * time.Hour) }

func openAt(t *testing.T, dir string, log *slog.Logger) *Store {
	t.Helper()
	s, err := OpenStore(StoreOptions{Dir: dir, Log: log, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.db != nil {
			_ = s.Close()
		}
	})
	return s
}

// shut closes s before the end of the test.
func shut(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.db, s.lock, s.temp = nil, nil, ""
}

func put(t *testing.T, s *Store, readings ...reading) {
	t.Helper()
	if err := s.write(context.Background(), readings); err != nil {
		t.Fatal(err)
	}
}

// cpu is a reading of the container main of pod a, seconds after t0.
func cpu(seconds int, cores float64) reading {
	return reading{series: inMain(seriesCPU), at: sec(seconds), value: cores}
}

func inMain(name string) labels.Labels { return origin{web, "a", "main", "web:1"}.series(name) }

func sec(n int) int64 { return t0.Add(time.Duration(n) * time.Second).UnixMilli() }

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func samples(t *testing.T, r *Reader, since, until time.Time) []fleet.Sample {
	t.Helper()
	out, err := all(context.Background(), r, since, until)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// all gathers what Each hands over; nothing after an error.
func all(ctx context.Context, r *Reader, since, until time.Time) (out []fleet.Sample, err error) {
	err = r.Each(ctx, since, until, func(s []fleet.Sample) error {
		out = append(out, s...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func TestStoreCountsWhatItRefuses(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	s, err := OpenStore(StoreOptions{Registry: reg, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, ok := s.Since(); ok {
		t.Error("an empty store has a since")
	}
	put(t, s, cpu(0, 1), cpu(60, 2), cpu(60, 2)) // the same value again is no harm
	put(t, s, cpu(60, 3))                        // duplicate
	put(t, s, cpu(30, 3))                        // out of order
	put(t, s, cpu(61, -1), cpu(61, math.NaN()), cpu(61, math.Inf(1)))
	put(t, s, reading{series: inMain(seriesCPU), at: clock().Add(2 * time.Minute).UnixMilli(), value: 1})
	put(t, s, reading{series: inMain("other"), at: sec(-7200), value: 1}) // too old: the head goes back an hour
	put(t, s, reading{series: inMain(seriesCPU), at: sec(62), end: true})

	want := `
# HELP trimtab_store_samples_appended_total Samples written to the usage store, stale markers included.
# TYPE trimtab_store_samples_appended_total counter
trimtab_store_samples_appended_total 4
# HELP trimtab_store_samples_skipped_total Samples that the usage store did not take, by reason.
# TYPE trimtab_store_samples_skipped_total counter
trimtab_store_samples_skipped_total{reason="duplicate"} 1
trimtab_store_samples_skipped_total{reason="future"} 1
trimtab_store_samples_skipped_total{reason="invalid"} 3
trimtab_store_samples_skipped_total{reason="out_of_order"} 1
trimtab_store_samples_skipped_total{reason="too_old"} 1
# HELP trimtab_store_oldest_sample_timestamp_seconds Time of the oldest sample; absent while there is none.
# TYPE trimtab_store_oldest_sample_timestamp_seconds gauge
trimtab_store_oldest_sample_timestamp_seconds 1.7724384e+09
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), metricAppended, metricSkipped, metricOldest); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(reg, metricSeries, metricBytes, metricAside, metricTargets); err != nil || n != 4 {
		t.Errorf("%d of the 4 other metrics, %v", n, err)
	}
	if since, ok := s.Since(); !ok || !since.Equal(t0) {
		t.Errorf("since %v %v, want %v", since, ok, t0)
	}
}

func TestStoreInTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := OpenStore(StoreOptions{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, cpu(0, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestStoreIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir, nil)
	if _, err := OpenStore(StoreOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("a second owner: %v", err)
	}
	put(t, s, cpu(0, 1)) // the first is unharmed
}

func TestStoreRefusesAPlainFile(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(StoreOptions{Dir: file}); err == nil {
		t.Error("opened")
	}
}
