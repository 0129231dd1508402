package protocol

import (
	"google.golang.org/protobuf/encoding/protowire"

	"trimtab.dev/trimtab/serving/runtime"
)

// AppendGRPCInfer appends a ModelInferResponse. Its data is in raw_output_contents, as Triton's is.
func AppendGRPCInfer(dst []byte, a Answer) []byte {
	dst = appendText(dst, 1, a.Model)
	dst = appendText(dst, 2, a.Version)
	dst = appendText(dst, 3, a.ID)
	for _, w := range a.Wanted {
		dst = appendMessage(dst, 5, func(dst []byte) []byte {
			t := a.Outputs[w.Index]
			return appendTensor(dst, a.Specs[w.Index].Name, t.Type, t.Shape...)
		})
	}
	for _, w := range a.Wanted {
		dst = appendBytes(dst, 6, a.Outputs[w.Index].Data)
	}
	return dst
}

// appendTensor appends the fields that describe a tensor in three of the protocol's messages.
func appendTensor(dst []byte, name string, t runtime.Type, shape ...int) []byte {
	dst = appendText(dst, 1, name)
	dst = appendText(dst, 2, t.String())
	return appendDims(dst, 3, shape...)
}

// DecodeGRPCModel reads a request that only names a model and perhaps a version: ModelReadyRequest,
// ModelMetadataRequest, ModelConfigRequest and ModelStatisticsRequest.
func DecodeGRPCModel(msg []byte) (name, version string, err error) {
	err = fields(msg, func(f field) (err error) {
		switch {
		case f.is(1, protowire.BytesType):
			name, err = f.text()
		case f.is(2, protowire.BytesType):
			version, err = f.text()
		}
		return err
	})
	return name, version, err
}

// DecodeGRPCIndex reads a RepositoryIndexRequest: whether only the models that are ready are asked for.
func DecodeGRPCIndex(msg []byte) (ready bool, err error) {
	err = fields(msg, func(f field) error {
		if f.is(2, protowire.VarintType) {
			ready = f.bits != 0
		}
		return nil
	})
	return ready, err
}

// AppendGRPCBool appends a ServerLiveResponse, a ServerReadyResponse or a ModelReadyResponse.
func AppendGRPCBool(dst []byte, yes bool) []byte {
	if !yes {
		return dst
	}
	return appendNumber(dst, 1, 1)
}
