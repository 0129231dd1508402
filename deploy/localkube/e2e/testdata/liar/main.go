// Command liar answers like modelserver to whoever tunes it, and its numbers do not agree: it says that each
// batch takes 10 ms of CPU and that it ran many, has used hardly any, and counts more rows than requests could
// have brought. Only its settings are true: it takes up their generation.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	begun, config := time.Now(), ""
	for _, arg := range os.Args[1:] {
		if file, ok := strings.CutPrefix(arg, "--config="); ok {
			config = file
		}
	}
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }
	http.HandleFunc("GET /v2/health/", ok)
	http.HandleFunc("GET /v2/models/{name}/curve", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, curve, r.PathValue("name"), time.Now().UTC().Format(time.RFC3339))
	})
	http.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		generation, batch := settings(config)
		seconds := time.Since(begun).Seconds()
		n := int64(100 * seconds)
		fmt.Fprintf(w, metrics, n, n, n, n, generation, seconds, batch, 20*n, n, 0.001*float64(n), 0.010*float64(n), 0.001*float64(n), 0.001*seconds)
	})
	if err := http.ListenAndServe(":8080", nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// settings are the generation and the batch size that it was told.
func settings(file string) (generation int64, batch int) {
	var s struct {
		Generation int64 `json:"generation"`
		Batch      int   `json:"batch_size"`
	}
	if text, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(text, &s) // what cannot be read was never taken up
	}
	return s.Generation, s.Batch
}

const curve = `{"model": %q, "version": "v1", "curve": {
 "wall": {"form": "linear", "fixed_seconds": 0.01, "per_row_seconds": 0.0001},
 "cpu": {"form": "linear", "fixed_seconds": 0.01, "per_row_seconds": 0.0001},
 "error": 0.05, "samples": 1000, "updated": %q, "largest_rows": 32},
 "instances": 1, "batch_limit_rows": 1, "max_delay_seconds": 0.001,
 "arrivals": {"rate": 5000, "burst": 1, "peak": 9000, "rows": 1, "interactive": 0, "bulk": 0}}
`

const metrics = `model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="0.005"} %d
model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="0.01"} %d
model_prediction_latency_seconds_bucket{endpoint="infer",model_version="v1",le="+Inf"} %d
modelserver_requests_total{model="m",version="v1",code="200"} %d
modelserver_config_generation{model="m",version="v1"} %d
modelserver_config_age_seconds{model="m",version="v1"} %g
modelserver_batch_limit_rows{model="m",version="v1"} %d
modelserver_inferences_total{model="m",version="v1"} %d
modelserver_executions_total{model="m",version="v1"} %d
modelserver_compute_cpu_seconds_total{model="m",version="v1"} %g
modelserver_busy_seconds_total{model="m",version="v1"} %g
modelserver_compute_seconds_sum{model="m",version="v1"} %g
modelserver_instances{model="m",version="v1"} 1
modelserver_arrival_rate{model="m",version="v1"} 5000
modelserver_arrival_burst_ratio{model="m",version="v1"} 1
modelserver_arrival_peak_rate{model="m",version="v1"} 9000
process_cpu_seconds_total %g
process_resident_memory_bytes 2e7
`
