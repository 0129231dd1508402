package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

func TestMetadata(t *testing.T) {
	server := Server{Name: "trimtab-modelserver", Version: "1.0", Extensions: []string{"a", "b"}}
	model := About("m", []string{"1", "2"}, specMeta())
	tests := []struct{ got, want string }{
		{string(server.JSON()), `{"name":"trimtab-modelserver","version":"1.0","extensions":["a","b"]}`},
		{string(Server{Name: "s"}.JSON()), `{"name":"s","version":"","extensions":[]}`},
		{string(model.JSON()), `{"name":"m","versions":["1","2"],"platform":"trimtab_builtin","inputs":[{"name":"input0","datatype":"UINT32","shape":[-1,2]},{"name":"input1","datatype":"BOOL","shape":[-1]}],"outputs":[{"name":"output0","datatype":"FP32","shape":[-1,2]},{"name":"output1","datatype":"FP32","shape":[-1,1]}]}`},
		{string(About("m", nil, runtime.Meta{}).JSON()), `{"name":"m","platform":"","inputs":[],"outputs":[]}`},
		{string(Live(true)), `{"live":true}`},
		{string(Ready(false)), `{"ready":false}`},
		{string(ModelReady("m", true)), `{"name":"m","ready":true}`},
		{string(V1Models([]string{"m"})), `{"models":["m"]}`},
		{string(V1Models(nil)), `{"models":[]}`},
		{string(Error("no \"m\"\n")), `{"error":"no \"m\"\u000a"}`},
		{string(Index([]Indexed{{"m", "1", "READY", ""}})), `[{"name":"m","version":"1","state":"READY","reason":""}]`},
		{string(Index(nil)), `[]`},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s; want %s", tt.got, tt.want)
		}
	}
	sameMessage(t, "ServerMetadataResponse", server.Proto(), `name: "trimtab-modelserver" version: "1.0" extensions: ["a", "b"]`)
	sameMessage(t, "ModelMetadataResponse", model.Proto(), `name: "m" versions: ["1", "2"] platform: "trimtab_builtin"
		inputs { name: "input0" datatype: "UINT32" shape: [-1, 2] } inputs { name: "input1" datatype: "BOOL" shape: [-1] }
		outputs { name: "output0" datatype: "FP32" shape: [-1, 2] } outputs { name: "output1" datatype: "FP32" shape: [-1, 1] }`)
	sameMessage(t, "RepositoryIndexResponse", IndexProto([]Indexed{{"m", "1", "UNAVAILABLE", "no file"}}), `models { name: "m" version: "1" state: "UNAVAILABLE" reason: "no file" }`)
}

func TestDecodeIndex(t *testing.T) {
	tests := []struct {
		body  string
		ready bool
		fault string
	}{
		{``, false, ""}, {` `, false, ""}, {`{}`, false, ""}, {`{"x":[1],"ready":true}`, true, ""},
		{`{"ready":1}`, false, "true or false"}, {`[]`, false, "an object"}, {`{}{}`, false, "the end"},
	}
	for _, tt := range tests {
		ready, err := DecodeIndex([]byte(tt.body))
		if err == nil && ready != tt.ready || (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%q: %v, %v; want %v %q", tt.body, ready, err, tt.ready, tt.fault)
		}
	}
}

func TestConfig(t *testing.T) {
	c := Config{Name: "m", Meta: specMeta(), MaxBatch: 64, MaxDelay: 2 * time.Millisecond, Instances: 2, Batching: true}
	want := `{"name":"m","platform":"trimtab_builtin","backend":"trimtab_builtin","max_batch_size":64,"input":[{"name":"input0","data_type":"TYPE_UINT32","dims":[2]},{"name":"input1","data_type":"TYPE_BOOL","dims":[]}],"output":[{"name":"output0","data_type":"TYPE_FP32","dims":[2]},{"name":"output1","data_type":"TYPE_FP32","dims":[1]}],"instance_group":[{"name":"m","kind":"KIND_CPU","count":2}],"dynamic_batching":{"max_queue_delay_microseconds":2000}}`
	if got := string(c.JSON()); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	sameMessage(t, "ModelConfigResponse", c.Proto(), `config { name: "m" platform: "trimtab_builtin" backend: "trimtab_builtin" max_batch_size: 64
		input { name: "input0" data_type: 4 dims: 2 } input { name: "input1" data_type: 1 }
		output { name: "output0" data_type: 11 dims: 2 } output { name: "output1" data_type: 11 dims: 1 }
		instance_group { name: "m" kind: 2 count: 2 } dynamic_batching { max_queue_delay_microseconds: 2000 } }`)
	c.Batching = false
	if strings.Contains(string(c.JSON()), "dynamic") {
		t.Errorf("%s has dynamic batching", c.JSON())
	}
}

// TestDatatypes: the numbers of Triton's DataType, from its model_config.proto.
func TestDatatypes(t *testing.T) {
	want := map[string]uint64{"BOOL": 1, "UINT8": 2, "UINT16": 3, "UINT32": 4, "UINT64": 5, "INT8": 6, "INT16": 7, "INT32": 8, "INT64": 9, "FP16": 10, "FP32": 11, "FP64": 12, "BF16": 14}
	for k := runtime.Bool; k <= runtime.FP64; k++ {
		if got := configType(k); got != want[k.String()] {
			t.Errorf("%s is %d; want %d", k, got, want[k.String()])
		}
	}
}

func TestStatistics(t *testing.T) {
	s := Stats{Name: "m", Version: "1", LastInference: 1700000000000, Inferences: 10, Executions: 4,
		Requests: RequestStats{Success: Duration{3, 300}, Fail: Duration{1, 100}, Queue: Duration{3, 30}, ComputeInput: Duration{4, 1}, ComputeInfer: Duration{4, 200}, ComputeOutput: Duration{4, 2}},
		Batches:  []BatchStats{{Rows: 2, ComputeInput: Duration{4, 1}, ComputeInfer: Duration{4, 200}, ComputeOutput: Duration{4, 2}}}}
	zero := `{"count":0,"ns":0}`
	want := `{"model_stats":[{"name":"m","version":"1","last_inference":1700000000000,"inference_count":10,"execution_count":4,"inference_stats":{"success":{"count":3,"ns":300},"fail":{"count":1,"ns":100},"queue":{"count":3,"ns":30},"compute_input":{"count":4,"ns":1},"compute_infer":{"count":4,"ns":200},"compute_output":{"count":4,"ns":2},"cache_hit":` + zero + `,"cache_miss":` + zero + `},"batch_stats":[{"batch_size":2,"compute_input":{"count":4,"ns":1},"compute_infer":{"count":4,"ns":200},"compute_output":{"count":4,"ns":2}}]}]}`
	if got := string(Statistics([]Stats{s})); got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got := string(Statistics([]Stats{{}})); !strings.Contains(got, `"batch_stats":[]`) || !json.Valid([]byte(got)) {
		t.Errorf("a model without batches: %s", got)
	}
	if got := string(Statistics(nil)); got != `{"model_stats":[]}` {
		t.Errorf("no models: %s", got)
	}
	sameMessage(t, "ModelStatisticsResponse", StatisticsProto([]Stats{s}), `model_stats { name: "m" version: "1" last_inference: 1700000000000 inference_count: 10 execution_count: 4
		inference_stats { success { count: 3 ns: 300 } fail { count: 1 ns: 100 } queue { count: 3 ns: 30 } compute_input { count: 4 ns: 1 }
			compute_infer { count: 4 ns: 200 } compute_output { count: 4 ns: 2 } cache_hit { } cache_miss { } }
		batch_stats { batch_size: 2 compute_input { count: 4 ns: 1 } compute_infer { count: 4 ns: 200 } compute_output { count: 4 ns: 2 } } }`)
}
