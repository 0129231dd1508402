package protocol

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"trimtab.dev/trimtab/serving/runtime"
)

// Duration is how often something happened and how long it took in all.
type Duration struct {
	Count uint64 `json:"count"`
	NS    uint64 `json:"ns"` // nanoseconds
}

// Stats are the statistics of one version of a model, from its load on: an element of "model_stats" in the body
// of GET /v2/models/{name}/stats.
type Stats struct {
	Name          string       `json:"name"`
	Version       string       `json:"version"`
	LastInference uint64       `json:"last_inference"`  // milliseconds of Unix time
	Inferences    uint64       `json:"inference_count"` // rows answered
	Executions    uint64       `json:"execution_count"` // batches computed
	Requests      RequestStats `json:"inference_stats"`
	Batches       []BatchStats `json:"batch_stats"` // by rows, smallest first
}

// RequestStats are durations summed over requests. There is no response cache; clients read its fields all the
// same.
type RequestStats struct {
	Success       Duration `json:"success"` // from arrival to answer
	Fail          Duration `json:"fail"`
	Queue         Duration `json:"queue"`
	ComputeInput  Duration `json:"compute_input"`
	ComputeInfer  Duration `json:"compute_infer"`
	ComputeOutput Duration `json:"compute_output"`
	CacheHit      Duration `json:"cache_hit"`
	CacheMiss     Duration `json:"cache_miss"`
}

// BatchStats are durations summed over the batches of one size.
type BatchStats struct {
	Rows          uint64   `json:"batch_size"`
	ComputeInput  Duration `json:"compute_input"`
	ComputeInfer  Duration `json:"compute_infer"`
	ComputeOutput Duration `json:"compute_output"`
}

// Statistics is the body of GET /v2/models/stats and of /v2/models/{name}/stats.
func Statistics(models []Stats) []byte {
	list := append([]Stats{}, models...)
	for i := range list {
		list[i].Batches = append([]BatchStats{}, list[i].Batches...)
	}
	return encoded(struct {
		Models []Stats `json:"model_stats"`
	}{list})
}

// StatisticsProto is a ModelStatisticsResponse.
func StatisticsProto(models []Stats) (dst []byte) {
	for _, s := range models {
		dst = appendMessage(dst, 1, s.proto)
	}
	return dst
}

func (s Stats) proto(dst []byte) []byte {
	dst = appendText(appendText(dst, 1, s.Name), 2, s.Version)
	for i, v := range []uint64{s.LastInference, s.Inferences, s.Executions} {
		dst = appendNumber(dst, protowire.Number(3+i), v)
	}
	dst = appendMessage(dst, 6, s.Requests.proto)
	for _, b := range s.Batches {
		dst = appendMessage(dst, 7, b.proto)
	}
	return dst
}

func (r RequestStats) proto(dst []byte) []byte {
	return appendDurations(dst, 1, r.Success, r.Fail, r.Queue, r.ComputeInput, r.ComputeInfer, r.ComputeOutput, r.CacheHit, r.CacheMiss)
}

func (b BatchStats) proto(dst []byte) []byte {
	return appendDurations(appendNumber(dst, 1, b.Rows), 2, b.ComputeInput, b.ComputeInfer, b.ComputeOutput)
}

// appendDurations appends StatisticDurations as fields from first on.
func appendDurations(dst []byte, first protowire.Number, list ...Duration) []byte {
	for i, d := range list {
		dst = appendMessage(dst, first+protowire.Number(i), func(dst []byte) []byte {
			return appendNumber(appendNumber(dst, 1, d.Count), 2, d.NS)
		})
	}
	return dst
}

// Config is a model's configuration as Triton says it: GET /v2/models/{name}/config, ModelConfigResponse.
type Config struct {
	Name      string
	Meta      runtime.Meta
	MaxBatch  int           // rows; 0 only where the model has no batch axis
	MaxDelay  time.Duration // longest wait for a batch to fill
	Instances int
	Batching  bool // requests are batched together
}

type configJSON struct {
	Name     string          `json:"name"`
	Platform string          `json:"platform"`
	Backend  string          `json:"backend"`
	MaxBatch int             `json:"max_batch_size"`
	Input    []configTensor  `json:"input"`
	Output   []configTensor  `json:"output"`
	Groups   []instanceGroup `json:"instance_group"`
	Dynamic  *dynamic        `json:"dynamic_batching,omitempty"`
}

type configTensor struct {
	Name string `json:"name"`
	Type string `json:"data_type"`
	Dims []int  `json:"dims"` // without the batch axis
}

type instanceGroup struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Count int    `json:"count"`
}

type dynamic struct {
	MaxDelay int64 `json:"max_queue_delay_microseconds"`
}

// JSON is the body of GET /v2/models/{name}/config.
func (c Config) JSON() []byte {
	out := configJSON{Name: c.Name, Platform: c.Meta.Platform, Backend: c.Meta.Platform, MaxBatch: c.MaxBatch,
		Input: configTensors(c.Meta.Inputs), Output: configTensors(c.Meta.Outputs),
		Groups: []instanceGroup{{c.Name, "KIND_CPU", c.Instances}}}
	if c.Batching {
		out.Dynamic = &dynamic{c.MaxDelay.Microseconds()}
	}
	return encoded(out)
}

func configTensors(specs []runtime.Spec) []configTensor {
	list := make([]configTensor, 0, len(specs))
	for _, s := range specs {
		list = append(list, configTensor{s.Name, "TYPE_" + s.Type.String(), append([]int{}, s.Shape...)})
	}
	return list
}

// Proto is a ModelConfigResponse.
func (c Config) Proto() []byte {
	const kindCPU = 2
	return appendMessage(nil, 1, func(dst []byte) []byte {
		dst = appendText(appendText(dst, 1, c.Name), 2, c.Meta.Platform)
		dst = appendNumber(dst, 4, uint64(c.MaxBatch))
		dst = appendConfigTensors(dst, 5, 4, c.Meta.Inputs)
		dst = appendConfigTensors(dst, 6, 3, c.Meta.Outputs)
		dst = appendMessage(dst, 7, func(dst []byte) []byte {
			return appendNumber(appendNumber(appendText(dst, 1, c.Name), 2, uint64(c.Instances)), 4, kindCPU)
		})
		if c.Batching {
			dst = appendMessage(dst, 11, func(dst []byte) []byte { return appendNumber(dst, 2, uint64(c.MaxDelay.Microseconds())) })
		}
		return appendText(dst, 17, c.Meta.Platform)
	})
}

// appendConfigTensors appends ModelInputs or ModelOutputs, whose dims have different numbers.
func appendConfigTensors(dst []byte, num, dims protowire.Number, specs []runtime.Spec) []byte {
	for _, s := range specs {
		dst = appendMessage(dst, num, func(dst []byte) []byte {
			dst = appendNumber(appendText(dst, 1, s.Name), 2, configType(s.Type))
			return appendDims(dst, dims, s.Shape...)
		})
	}
	return dst
}

// configType is the number of a type in Triton's DataType: ours, but BF16, which came later, is its last.
func configType(t runtime.Type) uint64 {
	switch t {
	case runtime.BF16:
		return 14
	case runtime.FP32, runtime.FP64:
		return uint64(t) - 1
	}
	return uint64(t)
}
