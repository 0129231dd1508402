package serving

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// message is one of the protocol's as the official implementation of protobuf has it, read from text.
func message(t testing.TB, name, text string) *dynamicpb.Message {
	t.Helper()
	files, err := newSchema()
	if err != nil {
		t.Fatal(err)
	}
	desc, err := files.FindDescriptorByName(protoreflect.FullName("inference." + name))
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(desc.(protoreflect.MessageDescriptor))
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

func wire(t testing.TB, name, text string) []byte {
	t.Helper()
	b, err := proto.Marshal(message(t, name, text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameProto checks that the bytes are the message that the text is.
func sameProto(t *testing.T, what, name string, got []byte, text string) {
	t.Helper()
	want := message(t, name, text)
	m := dynamicpb.NewMessage(want.Descriptor())
	if err := proto.Unmarshal(got, m); err != nil || !proto.Equal(m, want) {
		t.Errorf("%s: %v %v, want %s", what, m, err, text)
	}
}

const (
	typedPair = `model_name: "m" id: "7" inputs {name: "x" datatype: "FP32" shape: [1, 2] contents {fp32_contents: [1, 2]}}`
	pairOut   = `model_name: "m" model_version: "v1" outputs {name: "y" datatype: "FP32" shape: [1, 3]} raw_output_contents: "\x00\x00\xa0\x40\x00\x00\xc0\x40\x00\x00\xe0\x40"`
)

// bothPorts runs a test on the port that gRPC shares and on its own.
func bothPorts(t *testing.T, r *rig, test func(*testing.T, *grpc.ClientConn)) {
	for name, address := range map[string]string{"shared": r.url, "own": r.own} {
		t.Run(name, func(t *testing.T) { test(t, dial(t, address)) })
	}
}

func TestGRPC(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody = 4096 })
	const rawPair = `model_name: "m" model_version: "v1" inputs {name: "x" datatype: "FP32" shape: [1, 2]} raw_input_contents: "\x00\x00\x80\x3f\x00\x00\x00\x40"`
	calls := []struct {
		name, method, in string
		code             codes.Code
		want             string // the answer, or a part of the error
	}{
		{"live", "ServerLive", "", codes.OK, "live: true"},
		{"ready", "ServerReady", "", codes.OK, "ready: true"},
		{"model ready", "ModelReady", `name: "m"`, codes.OK, "ready: true"},
		{"no model ready", "ModelReady", `name: "n"`, codes.NotFound, "no such model"},
		{"metadata", "ModelMetadata", `name: "m"`, codes.OK, `name: "m" versions: "v1" platform: "trimtab_sim" inputs {name: "x" datatype: "FP32" shape: [-1, 2]} outputs {name: "y" datatype: "FP32" shape: [-1, 3]}`},
		{"metadata of a version", "ModelMetadata", `name: "m" version: "v2"`, codes.NotFound, "no such version"},
		{"typed", "ModelInfer", typedPair, codes.OK, `id: "7" ` + pairOut},
		{"raw", "ModelInfer", rawPair, codes.OK, pairOut},
		{"no model", "ModelInfer", strings.Replace(typedPair, `"m"`, `"n"`, 1), codes.NotFound, "no such model"},
		{"wrong shape", "ModelInfer", strings.Replace(typedPair, `[1, 2]`, `[1, 3]`, 1), codes.InvalidArgument, "shape"},
		{"wrong type", "ModelInfer", strings.Replace(typedPair, `FP32`, `BYTES`, 1), codes.InvalidArgument, "datatype"},
		{"bad priority", "ModelInfer", `parameters {key: "priority" value {string_param: "now"}} ` + typedPair, codes.InvalidArgument, "priority"},
		{"too large", "ModelInfer", `id: "` + strings.Repeat("x", 5000) + `"`, codes.ResourceExhausted, "4096"},
		{"index", "RepositoryIndex", "", codes.OK, `models {name: "m" version: "v1" state: "READY"}`},
		{"no method", "ModelExplain", "", codes.Unimplemented, "unknown method"},
	}
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		for _, tt := range calls {
			in := []byte(nil)
			if tt.in != "" {
				in = wire(t, tt.method+"Request", tt.in)
			}
			out, code, text := invoke(t.Context(), c, tt.method, in)
			if code != tt.code || code != codes.OK && !strings.Contains(text, tt.want) {
				t.Errorf("%s: %s %q, want %s %s", tt.name, code, text, tt.code, tt.want)
			}
			if code == codes.OK {
				sameProto(t, tt.name, tt.method+"Response", out, tt.want)
			}
		}
		if _, code, _ := invoke(t.Context(), c, "ModelInfer", []byte("\xff\xff\xff")); code != codes.InvalidArgument {
			t.Errorf("bytes that are no message: %s", code)
		}
		for method, want := range map[string]string{"ModelConfig": "max_batch_size", "ModelStatistics": "inference_count", "ServerMetadata": "trimtab-modelserver"} {
			out, code, text := invoke(t.Context(), c, method, nil)
			if method == "ModelConfig" {
				out, code, text = invoke(t.Context(), c, method, wire(t, "ModelConfigRequest", `name: "m"`))
			}
			m := message(t, method+"Response", "")
			if err := proto.Unmarshal(out, m); code != codes.OK || err != nil || !strings.Contains(m.String(), want) {
				t.Errorf("%s: %s %s %v %v", method, code, text, m, err)
			}
		}
	})
	r.shows(`modelserver_requests_total{code="413",model="m",version="v1"} 2`,
		`model_prediction_latency_seconds_count{endpoint="grpc",model_version="v1"} 4`)
}

// TestGRPCDeadline: what the client's timeout is over for is DEADLINE_EXCEEDED, and it is the batcher's deadline.
func TestGRPCDeadline(t *testing.T) {
	r := serves(t, `{"models": [{"name": "m", "batching": "static", "max_delay": "30s", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3"}]}]}`)
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
		defer cancel()
		if _, code, text := invoke(ctx, c, "ModelInfer", wire(t, "ModelInferRequest", typedPair)); code != codes.DeadlineExceeded {
			t.Errorf("%s %s", code, text)
		}
	})
	r.shows(`modelserver_queue_rows{model="m",version="v1"} 0`, `modelserver_inflight_requests{model="m",version="v1"} 0`)
}

// TestGRPCTimesOut: the server's own patience ends a request that waits, and says so.
func TestGRPCTimesOut(t *testing.T) {
	r := serves(t, `{"models": [{"name": "m", "batching": "static", "max_delay": "30s", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3"}]}]}`,
		func(c *Config, _ *Server) { c.RequestTimeout = 300 * time.Millisecond })
	_, code, text := invoke(t.Context(), dial(t, r.own), "ModelInfer", wire(t, "ModelInferRequest", typedPair))
	if code != codes.DeadlineExceeded || !strings.Contains(text, "not computed in time") {
		t.Errorf("%s %s", code, text)
	}
	r.shows(`modelserver_shed_total{model="m",reason="timeout",version="v1"} 1`)
}

// TestReflectionAndHealth: clients need no file with the messages, and those of gRPC's own services are
// ordinary ones.
func TestReflectionAndHealth(t *testing.T) {
	r := serves(t, pairs)
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(c).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ask := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "inference.GRPCInferenceService"}}
		if err := stream.Send(ask); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var file descriptorpb.FileDescriptorProto
		files := got.GetFileDescriptorResponse().GetFileDescriptorProto()
		if len(files) != 1 || proto.Unmarshal(files[0], &file) != nil || len(file.GetService()) != 1 || len(file.GetService()[0].GetMethod()) != 9 {
			t.Errorf("reflection: %v", got)
		}
		stream.CloseSend()
		for name, want := range map[string]codes.Code{"": codes.OK, "inference.GRPCInferenceService": codes.OK, "other": codes.NotFound} {
			res, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: name})
			if status.Code(err) != want || err == nil && res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
				t.Errorf("health of %q: %v %v", name, res, err)
			}
		}
	})
}

// TestGRPCKeys: metadata carries the key; health and liveness need none.
func TestGRPCKeys(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.Keys = func() []string { return []string{"right"} } })
	in := wire(t, "ModelInferRequest", typedPair)
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		for _, tt := range []struct {
			name, value string
			code        codes.Code
		}{
			{"x-other", "right", codes.Unauthenticated},
			{"authorization", "Bearer wrong", codes.Unauthenticated},
			{"authorization", "bearer right", codes.OK},
			{"x-api-key", "right", codes.OK},
		} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), tt.name, tt.value)
			for method, in := range map[string][]byte{"ModelInfer": in, "ServerMetadata": nil, "ModelStatistics": nil} {
				if _, code, text := invoke(ctx, c, method, in); code != tt.code {
					t.Errorf("%s with %s %s: %s %s", method, tt.name, tt.value, code, text)
				}
			}
			if out, code, _ := invoke(ctx, c, "ServerReady", nil); code != codes.OK || !bytes.Equal(out, []byte{8, 1}) {
				t.Errorf("ServerReady: %s %x", code, out)
			}
		}
	})
	r.shows(`modelserver_requests_total{code="401",model="m",version="v1"} 4`)
}

// TestSlowGRPC: a client that sends no message is cut, and does not keep a place for ever.
func TestSlowGRPC(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(c *Config, s *Server) {
		if c.RequestTimeout = 50 * time.Millisecond; s != nil {
			s.patience.body, s.patience.answer = 500*time.Millisecond, 500*time.Millisecond
		}
	})
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		stream, err := c.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/inference.GRPCInferenceService/ModelInfer")
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		if err := stream.RecvMsg(&out); err == nil {
			t.Errorf("answer %x to nothing", out)
		}
	})
	r.shows(`modelserver_inflight_requests{model="m",version="v1"} 0`)
}
