package serving

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"trimtab.dev/trimtab/serving/protocol"
	"trimtab.dev/trimtab/serving/router"
	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// file stands for the settings file: tests change what it says.
type file struct {
	mu   sync.Mutex
	text string
	err  error
}

func (f *file) says(text string) { f.mu.Lock(); defer f.mu.Unlock(); f.text, f.err = text, nil }
func (f *file) fails(err error)  { f.mu.Lock(); defer f.mu.Unlock(); f.err = err }

func (f *file) read() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []byte(f.text), f.err
}

// lines is a log that tests read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// rig is a server of sim models on loopback: its settings file is text, and a model's file is what
// sim.Parse reads, behind "sim:".
type rig struct {
	t         *testing.T
	s         *Server
	url, own  string // address of HTTP with its scheme; of gRPC's own listener
	text      *file
	log       *lines
	transport *http.Transport
	cancel    context.CancelFunc
	done      chan error
	ended     bool
}

// openSim opens what the rig's models are.
func openSim(_, file string, _ []byte) (runtime.Model, error) {
	text, ok := strings.CutPrefix(file, "sim:")
	if !ok {
		return nil, fmt.Errorf("%s is no model", file)
	}
	return sim.Parse(text)
}

// serves starts a rig and waits until it is ready.
func serves(t *testing.T, text string, change ...func(*Config, *Server)) *rig {
	r := starts(t, text, change...)
	untilReady(t, r.url)
	return r
}

// starts starts a rig. change may be called twice: with the config before the server is made, and with the
// server before it serves.
func starts(t *testing.T, text string, change ...func(*Config, *Server)) *rig {
	t.Helper()
	cfg := testConfig()
	cfg.MaxInflight, cfg.Open, cfg.Named = 256, openSim, func(string) bool { return true }
	cfg.RequestTimeout, cfg.DrainTimeout = 10*time.Second, 5*time.Second
	for _, c := range change {
		c(&cfg, nil)
	}
	r := &rig{t: t, text: &file{text: text}, log: &lines{}, done: make(chan error, 1), transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	s, err := New(cfg, NewRegistry(), slog.New(slog.NewTextHandler(r.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&cfg, s)
	}
	r.s = s
	ln, grpcLn := loopback(t), loopback(t)
	r.url, r.own = "http://"+ln.Addr().String(), grpcLn.Addr().String()
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(context.Background())
	st := standing(cfg)
	st.Models[0].Versions[0].File = "sim:linear:0s+0s"
	st.Limits.MaxQueueRows = 4096
	src := Source{Name: "model_config.json", Read: r.text.read, Standing: func() (router.Standing, error) { return st, nil }, Every: 5 * time.Millisecond}
	go func() { r.done <- s.Serve(ctx, ln, grpcLn, src) }()
	t.Cleanup(func() { r.stop() })
	return r
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// stop ends the server as SIGTERM does and returns what Serve gave, the first time.
func (r *rig) stop() error {
	if r.ended {
		return nil
	}
	r.ended = true
	r.transport.CloseIdleConnections()
	r.cancel()
	return <-r.done
}

// reply is an answer over HTTP.
type reply struct {
	code   int
	body   string
	header http.Header
}

// does sends a request; headers are name, value, name, value...
func (r *rig) does(method, path, body string, headers ...string) reply {
	r.t.Helper()
	got, err := r.tries(method, path, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) tries(method, path, body string, headers ...string) (reply, error) {
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := r.transport.RoundTrip(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, string(text), res.Header}, err
}

// shows waits until /metrics has the lines.
func (r *rig) shows(want ...string) {
	r.t.Helper()
	for _, line := range want {
		waitForMetric(r.t, r.url, line)
	}
}

// is checks the status of an answer and that its body has some text.
func (r *rig) is(what string, got reply, code int, want string) {
	r.t.Helper()
	if got.code != code || !strings.Contains(got.body, want) {
		r.t.Errorf("%s: %d %s; want %d %s", what, got.code, got.body, code, want)
	}
}

// dial connects a real gRPC client.
func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(strings.TrimPrefix(address, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{encoding.GetCodecV2("proto")})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// invoke calls a method of the protocol with bytes.
func invoke(ctx context.Context, c *grpc.ClientConn, method string, in []byte) (out []byte, code codes.Code, text string) {
	err := c.Invoke(ctx, "/"+protocol.Service+"/"+method, in, &out)
	return out, status.Code(err), status.Convert(err).Message()
}

// floats is values as a tensor's bytes.
func floats(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// once asks one of the ways in for one or more rows of the client's own.
func (r *rig) once(conn *grpc.ClientConn, client, i int) error {
	x := float32(1000*client + i)
	paths := []string{"/predict", "/v2/models/small/infer", "/v2/models/line/infer", "/v2/models/large/infer"}
	if way := (client/2 + i) % 5; way < 4 {
		body, want := infer("[2,1]", "FP32", fmt.Sprintf("[%v,%v]", x, x+1)), fmt.Sprintf(`"data":[%v,%v]`, x, x+1)
		if way == 0 {
			body, want = fmt.Sprintf(`{"propertyType":"residential","x":%v}`, x), fmt.Sprintf(`"prediction":%v,`, x)
		}
		got, err := r.tries("POST", paths[way], body)
		if err == nil && (got.code != 200 || !strings.Contains(got.body, want)) {
			err = fmt.Errorf("%s: %d %s, want %s", paths[way], got.code, got.body, want)
		}
		return err
	}
	in := wire(r.t, "ModelInferRequest", fmt.Sprintf(`model_name: "large" inputs {name: "x" datatype: "FP32" shape: [1, 1] contents {fp32_contents: %v}}`, x))
	out, code, text := invoke(context.Background(), conn, "ModelInfer", in)
	if code != codes.OK || !bytes.HasSuffix(out, floats(x)) {
		return fmt.Errorf("gRPC: %s %s %x, want %x at the end", code, text, out, floats(x))
	}
	return nil
}
