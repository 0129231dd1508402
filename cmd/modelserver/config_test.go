package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// volume is a folder as the kubelet mounts a ConfigMap: a file is a link through ..data to a folder of
// its own, and all files change at once, by a rename.
type volume struct{ dir string }

func newVolume(t *testing.T, text string) volume {
	t.Helper()
	v := volume{t.TempDir()}
	v.change(t, 0, text)
	if err := os.Symlink(filepath.Join("..data", "model_config.json"), v.file()); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v volume) file() string { return filepath.Join(v.dir, "model_config.json") }

// change puts version n, above the last, in the place of it.
func (v volume) change(t *testing.T, n int, text string) {
	t.Helper()
	folder := fmt.Sprintf("..2026_%03d", n)
	for _, err := range []error{
		os.Mkdir(filepath.Join(v.dir, folder), 0o755),
		os.WriteFile(filepath.Join(v.dir, folder, "model_config.json"), []byte(text), 0o644),
		os.Symlink(folder, filepath.Join(v.dir, "..data_tmp")),
		os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")),
		os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..2026_%03d", n-1))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// shown is the process' /metrics.
func shown(t *testing.T, address string) string {
	t.Helper()
	res, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// untilShown waits for a line of the process' /metrics.
func untilShown(t *testing.T, address, line string) {
	t.Helper()
	for range 400 {
		if strings.Contains(shown(t, address), line+"\n") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no line %s within 20 s in\n%s", line, shown(t, address))
}

// batched is how many batches ran and how many rows were in them, once they are as wanted or after 20 s: a batch is
// counted after its answers.
func batched(t *testing.T, address string, wanted func(batches, rows int) bool) (batches, rows int) {
	t.Helper()
	for range 400 {
		for line := range strings.Lines(shown(t, address)) {
			fmt.Sscanf(line, `modelserver_batch_rows_count{model="valuation",version="v2.1.0"} %d`, &batches)
			fmt.Sscanf(line, `modelserver_batch_rows_sum{model="valuation",version="v2.1.0"} %d`, &rows)
		}
		if wanted(batches, rows) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return batches, rows
}

// TestSettingsFileOfAProcess runs the real program on a mounted ConfigMap, under load: its settings
// change three times, once to something broken, and no request fails.
func TestSettingsFileOfAProcess(t *testing.T) {
	v := newVolume(t, `{"batch_size": 1, "generation": 1, "max_sequence_length": 512}`)
	_, address := process(t, "--model", "valuation", "--config", v.file())
	untilShown(t, address, `modelserver_config_generation{model="valuation",version="v2.1.0"} 1`)
	type answer struct {
		code int
		out  string
	}
	loaded := make(chan answer, 1)
	load := func(rate, duration string) answer {
		code, out, _ := try(nil, "load", "--target", "http://"+address, "--rate", rate, "--rows", "8", "--duration", duration, "--fail-on-error")
		return answer{code, out}
	}
	go func() { loaded <- load("100", "5s") }()
	if batches, rows := batched(t, address, func(batches, _ int) bool { return batches > 0 }); batches == 0 || rows != batches {
		t.Errorf("%d rows in %d batches under a batch size of 1", rows, batches)
	}
	v.change(t, 1, `{"batch_size": 8, "generation": 2}`)
	untilShown(t, address, `modelserver_config_generation{model="valuation",version="v2.1.0"} 2`)
	v.change(t, 2, `{"batch_size": `)
	untilShown(t, address, `modelserver_config_reload_failures_total{model="valuation",version="v2.1.0"} 1`)
	v.change(t, 3, `{"batch_size": 4, "generation": 4}`)
	untilShown(t, address, `modelserver_config_generation{model="valuation",version="v2.1.0"} 4`)
	if a := <-loaded; a.code != 0 || !strings.Contains(a.out, "failed=0") {
		t.Errorf("exit %d: requests failed while the settings changed: %s", a.code, a.out)
	}
	if a := load("20", "500ms"); a.code != 0 { // the other may have ended before the sizes came
		t.Errorf("exit %d: requests failed under the last settings: %s", a.code, a.out)
	}
	if batches, rows := batched(t, address, func(batches, rows int) bool { return rows > batches }); rows <= batches {
		t.Errorf("%d rows in %d batches: the larger sizes were never used", rows, batches)
	}
}
