package usage

import (
	"slices"
	"strings"
)

// source says how one kind of server counts what it answers. All families are cumulative.
type source struct {
	server   string
	requests string // answered requests, of all codes
	seconds  string // summed latency of the requests that answered counts; empty: no latency
	answered string
	scale    string // what one unit of seconds is in seconds, as PromQL; empty: 1
}

// sources are looked for in this order, pod by pod: the first that a pod has is its truth, so that a
// server with two counters is not counted twice. Servers that count health checks and scrapes among
// their requests come last.
var sources = []source{
	{"trimtab modelserver", "modelserver_requests_total",
		"model_prediction_latency_seconds_sum", "model_prediction_latency_seconds_count", ""},
	{"a server with the latency histogram only", "model_prediction_latency_seconds_count", "", "", ""},
	{"KServe Python SDK", "request_predict_seconds_count",
		"request_predict_seconds_sum", "request_predict_seconds_count", ""},
	{"Triton", "nv_inference_request_success",
		"nv_inference_request_duration_us", "nv_inference_request_success", "0.000001"},
	{"vLLM", "vllm:request_success_total",
		"vllm:e2e_request_latency_seconds_sum", "vllm:e2e_request_latency_seconds_count", ""},
	{"TorchServe", "ts_inference_requests_total",
		"ts_inference_latency_microseconds", "ts_inference_requests_total", "0.000001"},
	{"Text Generation Inference", "tgi_request_count",
		"tgi_request_duration_sum", "tgi_request_duration_count", ""},
	{"TensorFlow Serving", ":tensorflow:serving:request_count",
		":tensorflow:serving:request_latency_sum", ":tensorflow:serving:request_latency_count", "0.000001"},
	{"any HTTP server", "http_requests_total",
		"http_request_duration_seconds_sum", "http_request_duration_seconds_count", ""},
}

// contract are the families of the model server that no source names: the tuner's inputs.
var contract = []string{
	"model_prediction_latency_seconds_bucket",
	"modelserver_executions_total",
	"modelserver_inferences_total",
	"modelserver_queue_rows",
	"modelserver_shed_total",
}

// Families are the metric names that the scraper keeps, sorted; all others are dropped unread. It is
// exported for the test of the contract with the model server.
func Families() []string {
	out := slices.Clone(contract)
	for _, s := range sources {
		out = append(out, s.requests, s.seconds, s.answered)
	}
	return sortedSet(out)
}

// sortedSet sorts names and drops empty ones and repetitions.
func sortedSet(names []string) []string {
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(f string) bool { return f == "" })
}

// firstOf joins the PromQL of every source that has any: per pod, the first that answers counts.
func firstOf(text func(source) string) string {
	var parts []string
	for _, s := range sources {
		if t := text(s); t != "" {
			parts = append(parts, t)
		}
	}
	return strings.Join(parts, "\n  or ")
}
