package usage

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// realPrometheus starts the binary of TRIMTAB_TEST_PROMETHEUS on the data in dir and gives its URL. Of the version
// in go.mod it is built in an empty folder by
//
//	go mod init x && go get github.com/prometheus/prometheus/cmd/prometheus@VERSION
//	go build -tags remove_all_sd -o prometheus github.com/prometheus/prometheus/cmd/prometheus
func realPrometheus(t *testing.T, dir string) string {
	t.Helper()
	binary := os.Getenv("TRIMTAB_TEST_PROMETHEUS")
	if binary == "" {
		t.Skip("SKIPPED, no Prometheus is given by TRIMTAB_TEST_PROMETHEUS")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := errors.Join(l.Close(), os.WriteFile(config, []byte("global: {}\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+dir, "--storage.tsdb.retention.time=20y",
		"--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = io.Discard, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 200 {
		if res, err := http.Get("http://" + address + "/-/ready"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it is not ready after 10 s")
	return ""
}

// TestRealPrometheusAgrees: the same series, in a Prometheus of the same version and in the embedded engine, give the
// same samples in both dialects.
func TestRealPrometheusAgrees(t *testing.T) {
	until := t0.Add(5 * time.Hour)
	o := fine
	o.Fine = 2 * time.Hour
	for _, dialect := range []string{"trimtab", "cadvisor"} {
		t.Run(dialect, func(t *testing.T) {
			w := &town{every: 15 * time.Second, restart: 2*hour + 30}
			if w.theirs(4 * hour); dialect == "trimtab" {
				w.readings = nil
				w.ours(4 * hour)
			}
			dir := t.TempDir()
			s := w.stored(t, dir)
			oldest, newest, _ := s.span()
			read := func(b backend) []fleet.Sample {
				if dialect == "cadvisor" {
					return everything(t, newExternal(b, "x", o), nil, t0, until)
				}
				return samples(t, newReader(b, func() (time.Time, time.Time, bool) { return oldest, newest, true }, now), t0, until)
			}
			want := read(s)
			shut(t, s)
			if got := read(serverAt(t, realPrometheus(t, dir))); !slices.Equal(got, want) || len(want) < 900 {
				t.Errorf("%d samples from Prometheus, %d embedded", len(got), len(want))
			}
		})
	}
}
