package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	gometrics "runtime/metrics"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"trimtab.dev/trimtab/serving/protocol"
	"trimtab.dev/trimtab/serving/router"
)

// fuzzed is a server without a network, with models of all shapes that there are ways to ask for.
func fuzzed(f *testing.F) *Server {
	f.Helper()
	cfg := testConfig()
	cfg.Open, cfg.Named = openSim, func(string) bool { return true }
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		f.Fatal(err)
	}
	text := strings.Replace(several, `"models": [`, `"models": [{"name": "open", "versions": [{"version": "1", "file": "sim:linear:0s+0s,in=2x2,out=3"}]},`, 1)
	st, _ := standingNothing()
	c, _, err := router.ParseConfig([]byte(text), st)
	if err == nil {
		err = s.router.Apply(context.Background(), c)
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.close() })
	return s
}

// allocated is the bytes that the process has allocated so far.
func allocated() uint64 {
	sample := []gometrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	gometrics.Read(sample)
	return sample[0].Value.Uint64()
}

// bounded checks that a request of some bytes cost memory in proportion. The slack is for what else the
// process does at the time.
func bounded(t *testing.T, sent, answer int, before uint64) {
	t.Helper()
	if used := allocated() - before; used > uint64(100*sent+16<<20) {
		t.Errorf("%d bytes made the server allocate %d", sent, used)
	}
	if answer > 100*sent+16<<10 {
		t.Errorf("%d bytes were answered with %d", sent, answer)
	}
}

// FuzzREST sends any request to the handler: nothing panics, memory is bounded, and whatever comes back is
// what the protocol has for it.
func FuzzREST(f *testing.F) {
	s := fuzzed(f)
	handler := s.Handler()
	for _, path := range []string{"/v2/models/small/infer", "/v2/models/large/versions/v1/infer", "/v2/models/line/infer", "/v2/models/appraise/infer", "/v2/models/open/infer"} {
		for _, body := range []string{infer("[1,1]", "FP32", "[2]"), infer("[2,1]", "INT64", "[[1],[2]]"), infer("[1,2,2]", "FP32", "[1,2,3,4]"), infer("[9223372036854775807,1]", "FP32", "[]")} {
			f.Add("POST", path, "", "", []byte(body))
		}
		head := `{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","parameters":{"binary_data_size":4}}],"parameters":{"binary_data_output":true}}`
		f.Add("POST", path, "Inference-Header-Content-Length", "134", append([]byte(head), floats(1)...))
	}
	for _, body := range []string{`{"x":2,"propertyType":"residential"}`, `{"instances":[[1],[2]]}`, `{"instances":[{"x":1}]}`, `{"inputs":{"x":[1]}}`, `[`, `{"x":1e999}`, ``} {
		f.Add("POST", "/predict", "X-Routing-Key", "k", []byte(body))
		f.Add("POST", "/v1/models/large:predict", "X-Priority", "1", []byte(body))
		f.Add("POST", "/v2/repository/index", "Content-Encoding", "gzip", []byte(body))
		f.Add("POST", "/v2/repository/index", "", "", []byte(body))
	}
	for _, path := range []string{"/v2", "/v2/models/large", "/v2/models/line/config", "/v2/models/stats", "/v2/models/large/curve", "/v2/models/pinned/ready", "/v1/models", "/nothing", "/v2//models/..", "/v2/models/%2e%2e"} {
		f.Add("GET", path, "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", []byte{})
	}
	f.Add("POST", "/v2/models/pinned/infer", "X-Model-Version", "v2", []byte(infer("[1,1]", "FP32", "[2]")))
	f.Add("POST", "/v2/models/small/infer", "X-Request-Timeout", "1us", []byte(infer("[1,1]", "FP32", "[2]")))
	f.Fuzz(func(t *testing.T, method, path, name, value string, body []byte) {
		if len(body) > 1<<14 || path == "/metrics" || path == "/drain" || !strings.HasPrefix(path, "/") || strings.ContainsAny(method+path, " \r\n\t?#%\x00\x7f") || method == "" {
			return
		}
		q := httptest.NewRequest("GET", "/", bytes.NewReader(body))
		q.Method, q.URL.Path, q.RequestURI = method, path, path
		q.Header.Set(name, value)
		w := httptest.NewRecorder()
		before := allocated()
		handler.ServeHTTP(w, q)
		bounded(t, len(body)+len(path)+len(value), w.Body.Len(), before)
		answersProtocol(t, w)
		leftNothing(t, s)
	})
}

// answersProtocol checks an answer: JSON, perhaps with tensors behind it, and an error that says something.
func answersProtocol(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	text := w.Body.Bytes()
	if n, err := headerLength(&http.Request{Header: w.Header()}); err == nil && n > 0 {
		text = text[:n]
	}
	var e struct{ Error string }
	switch {
	case w.Code >= 300 && w.Code < 400: // the path was not clean
	case w.Code == 500:
		t.Errorf("an error of the server: %s", text)
	case !json.Valid(text):
		t.Errorf("%d %q is no JSON", w.Code, text)
	case w.Code >= 400 && (json.Unmarshal(text, &e) != nil || e.Error == ""):
		t.Errorf("%d %q is no error of the protocol", w.Code, text)
	}
}

// FuzzGRPC sends any message to any method: nothing panics, memory is bounded, and what comes back is a
// message or a status of the protocol.
func FuzzGRPC(f *testing.F) {
	s := fuzzed(f)
	methods := protocol.Methods()
	for i, method := range methods {
		f.Add(uint8(i), "x-priority", "1", []byte{})
		if strings.HasPrefix(method, "Model") {
			f.Add(uint8(i), "x-api-key", "", wire(f, "ModelMetadataRequest", `name: "large" version: "v1"`))
		}
		for _, text := range []string{
			`model_name: "small" id: "7" inputs {name: "x" datatype: "FP32" shape: [2, 1] contents {fp32_contents: [1, 2]}}`,
			`model_name: "line" inputs {name: "x" datatype: "FP32" shape: [1, 1]} raw_input_contents: "\x00\x00\x80\x3f"`,
			`model_name: "open" inputs {name: "x" datatype: "FP32" shape: [1, 2, 2] contents {fp32_contents: [1, 2, 3, 4]}} outputs {name: "y"}`,
			`model_name: "large" parameters {key: "timeout" value {int64_param: 5}} inputs {name: "x" datatype: "INT64" shape: [1, 1] contents {int64_contents: 3}}`,
			`model_name: "small" inputs {name: "x" datatype: "FP32" shape: [9223372036854775807, 1]}`,
		} {
			f.Add(uint8(i), "x-routing-key", "k", wire(f, "ModelInferRequest", text))
		}
	}
	responses := map[string]proto.Message{}
	for _, method := range methods {
		responses[method] = message(f, method+"Response", "")
	}
	f.Fuzz(func(t *testing.T, which uint8, name, value string, in []byte) {
		if len(in) > 1<<14 {
			return
		}
		method := methods[int(which)%len(methods)]
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(name, value))
		before := allocated()
		out, err := askMethod(ctx, s, method, in)
		bounded(t, len(in)+len(value), len(out), before)
		switch code := status.Code(err); {
		case code == codes.Unknown || code == codes.Internal || code > codes.Unauthenticated:
			t.Errorf("%s: %v", method, err)
		case err == nil:
			m := proto.Clone(responses[method])
			if err := proto.Unmarshal(out, m); err != nil || len(m.ProtoReflect().GetUnknown()) > 0 {
				t.Errorf("%s: answer %x: %v", method, out, err)
			}
		}
		leftNothing(t, s)
	})
}

// leftNothing checks that what is over holds neither a place nor memory.
func leftNothing(t *testing.T, s *Server) {
	t.Helper()
	if s.inside() != 0 || s.bodies.Load() != 0 || len(s.asides) != 0 {
		t.Errorf("%d requests, %d bytes and %d asides are inside for ever", s.inside(), s.bodies.Load(), len(s.asides))
	}
}

// askMethod calls a method as the gRPC server does.
func askMethod(ctx context.Context, s *Server, method string, in []byte) ([]byte, error) {
	streams := s.describe().Streams
	i := slices.IndexFunc(streams, func(d grpc.StreamDesc) bool { return d.StreamName == method })
	one := &oneMessage{ctx: ctx, in: in}
	err := streams[i].Handler(nil, one)
	return one.out, err
}

// oneMessage is a stream without a network, of one message each way.
type oneMessage struct {
	grpc.ServerStream
	ctx     context.Context
	in, out []byte
	asked   bool // for the message
}

func (o *oneMessage) Context() context.Context { return o.ctx }
func (o *oneMessage) SendMsg(m any) error      { o.out = m.([]byte); return nil }
func (o *oneMessage) RecvMsg(m any) error      { o.asked = true; *m.(*[]byte) = o.in; return nil }
