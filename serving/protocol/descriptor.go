package protocol

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Service is the full name of the gRPC service.
const Service = "inference.GRPCInferenceService"

// Methods are the service's methods that this package carries. A method X takes an XRequest and gives an
// XResponse.
func Methods() []string {
	return []string{"ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer",
		"ModelConfig", "ModelStatistics", "RepositoryIndex"}
}

// schema are the messages: a name, then its fields by number, type and name. A star is a list, a percent sign a
// map from strings, a question mark a choice of one.
const schema = `
ServerLiveRequest
ServerLiveResponse
	1 bool live
ServerReadyRequest
ServerReadyResponse
	1 bool ready
ModelReadyRequest
	1 string name
	2 string version
ModelReadyResponse
	1 bool ready
ServerMetadataRequest
ServerMetadataResponse
	1 string name
	2 string version
	3 *string extensions
ModelMetadataRequest
	1 string name
	2 string version
ModelMetadataResponse
	1 string name
	2 *string versions
	3 string platform
	4 *ModelMetadataResponse.TensorMetadata inputs
	5 *ModelMetadataResponse.TensorMetadata outputs
ModelMetadataResponse.TensorMetadata
	1 string name
	2 string datatype
	3 *int64 shape
InferParameter
	1 ?bool bool_param
	2 ?int64 int64_param
	3 ?string string_param
	4 ?double double_param
	5 ?uint64 uint64_param
InferTensorContents
	1 *bool bool_contents
	2 *int32 int_contents
	3 *int64 int64_contents
	4 *uint32 uint_contents
	5 *uint64 uint64_contents
	6 *float fp32_contents
	7 *double fp64_contents
	8 *bytes bytes_contents
ModelInferRequest
	1 string model_name
	2 string model_version
	3 string id
	4 %InferParameter parameters
	5 *ModelInferRequest.InferInputTensor inputs
	6 *ModelInferRequest.InferRequestedOutputTensor outputs
	7 *bytes raw_input_contents
ModelInferRequest.InferInputTensor
	1 string name
	2 string datatype
	3 *int64 shape
	4 %InferParameter parameters
	5 InferTensorContents contents
ModelInferRequest.InferRequestedOutputTensor
	1 string name
	2 %InferParameter parameters
ModelInferResponse
	1 string model_name
	2 string model_version
	3 string id
	4 %InferParameter parameters
	5 *ModelInferResponse.InferOutputTensor outputs
	6 *bytes raw_output_contents
ModelInferResponse.InferOutputTensor
	1 string name
	2 string datatype
	3 *int64 shape
	4 %InferParameter parameters
	5 InferTensorContents contents
ModelConfigRequest
	1 string name
	2 string version
ModelConfigResponse
	1 ModelConfig config
ModelConfig
	1 string name
	2 string platform
	4 int32 max_batch_size
	5 *ModelInput input
	6 *ModelOutput output
	7 *ModelInstanceGroup instance_group
	11 ModelDynamicBatching dynamic_batching
	17 string backend
ModelInput
	1 string name
	2 int32 data_type
	4 *int64 dims
ModelOutput
	1 string name
	2 int32 data_type
	3 *int64 dims
ModelInstanceGroup
	1 string name
	2 int32 count
	4 int32 kind
ModelDynamicBatching
	2 uint64 max_queue_delay_microseconds
ModelStatisticsRequest
	1 string name
	2 string version
ModelStatisticsResponse
	1 *ModelStatistics model_stats
ModelStatistics
	1 string name
	2 string version
	3 uint64 last_inference
	4 uint64 inference_count
	5 uint64 execution_count
	6 InferStatistics inference_stats
	7 *InferBatchStatistics batch_stats
InferStatistics
	1 StatisticDuration success
	2 StatisticDuration fail
	3 StatisticDuration queue
	4 StatisticDuration compute_input
	5 StatisticDuration compute_infer
	6 StatisticDuration compute_output
	7 StatisticDuration cache_hit
	8 StatisticDuration cache_miss
InferBatchStatistics
	1 uint64 batch_size
	2 StatisticDuration compute_input
	3 StatisticDuration compute_infer
	4 StatisticDuration compute_output
StatisticDuration
	1 uint64 count
	2 uint64 ns
RepositoryIndexRequest
	1 string repository_name
	2 bool ready
RepositoryIndexResponse
	1 *RepositoryIndexResponse.ModelIndex models
RepositoryIndexResponse.ModelIndex
	1 string name
	2 string version
	3 string state
	4 string reason
`

// message is one of the schema.
type message struct {
	name   string     // with that of the message around it
	fields [][]string // number, type, name
}

func messages() (list []message) {
	for line := range strings.Lines(strings.TrimSpace(schema)) {
		part := strings.Fields(line)
		if len(part) == 1 {
			list = append(list, message{name: part[0]})
			continue
		}
		m := &list[len(list)-1]
		m.fields = append(m.fields, part)
	}
	return list
}

// Descriptor is the service as a FileDescriptorProto, for server reflection. Of Triton's messages it has the
// fields that are used here; enums are int32, which is the same on the wire.
func Descriptor() []byte {
	dst := appendText(appendText(nil, 1, "grpc_service.proto"), 2, "inference")
	all := messages()
	for _, m := range all {
		if !strings.Contains(m.name, ".") {
			dst = appendMessage(dst, 4, func(dst []byte) []byte { return m.describe(dst, all) })
		}
	}
	dst = appendMessage(dst, 6, describeService)
	return appendText(dst, 12, "proto3")
}

func describeService(dst []byte) []byte {
	dst = appendText(dst, 1, strings.TrimPrefix(Service, "inference."))
	for _, name := range Methods() {
		dst = appendMessage(dst, 2, func(dst []byte) []byte {
			dst = appendText(dst, 1, name)
			return appendText(appendText(dst, 2, ".inference."+name+"Request"), 3, ".inference."+name+"Response")
		})
	}
	return dst
}

// describe appends the DescriptorProto of a message and, in it, of those that belong to it.
func (m message) describe(dst []byte, all []message) []byte {
	dst = appendText(dst, 1, m.name[strings.LastIndexByte(m.name, '.')+1:])
	choice := false
	for _, f := range m.fields {
		kind := f[1]
		choice = choice || kind[0] == '?'
		if kind[0] == '%' {
			entry := message{m.name + "." + entryName(f[2]), [][]string{{"1", "string", "key"}, {"2", kind[1:], "value"}}}
			dst = appendMessage(dst, 3, func(dst []byte) []byte {
				return appendMessage(entry.describe(dst, nil), 7, func(dst []byte) []byte { return appendNumber(dst, 7, 1) }) // map_entry
			})
			kind = "*" + entry.name
		}
		dst = appendMessage(dst, 2, func(dst []byte) []byte { return describeField(dst, f[0], kind, f[2]) })
	}
	for _, inner := range all {
		if strings.HasPrefix(inner.name, m.name+".") {
			dst = appendMessage(dst, 3, func(dst []byte) []byte { return inner.describe(dst, nil) })
		}
	}
	if choice {
		dst = appendMessage(dst, 8, func(dst []byte) []byte { return appendText(dst, 1, "parameter_choice") })
	}
	return dst
}

// entryName is the name that protobuf gives the entries of a map field.
func entryName(field string) string { return strings.ToUpper(field[:1]) + field[1:] + "Entry" }

// describeField appends a FieldDescriptorProto.
func describeField(dst []byte, number, kind, name string) []byte {
	const optional, repeated, aMessage = 1, 3, 11
	n, _ := strconv.ParseUint(number, 10, 32)
	label, plain := uint64(optional), strings.TrimLeft(kind, "*?")
	if kind[0] == '*' {
		label = repeated
	}
	dst = appendNumber(appendNumber(appendText(dst, 1, name), 3, n), 4, label)
	if t, ok := scalars()[plain]; ok {
		dst = appendNumber(dst, 5, t)
	} else {
		dst = appendText(appendNumber(dst, 5, aMessage), 6, ".inference."+plain)
	}
	if kind[0] == '?' {
		dst = protowire.AppendVarint(protowire.AppendTag(dst, 9, protowire.VarintType), 0) // the first choice
	}
	return dst
}

// scalars are the numbers of types in FieldDescriptorProto.
func scalars() map[string]uint64 {
	return map[string]uint64{"double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
}
