package serving

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// holds waits until so many bytes are reserved.
func (r *rig) holds(want int64) {
	r.t.Helper()
	for range 500 {
		if r.s.bodies.Load() == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%d bytes are reserved, want %d", r.s.bodies.Load(), want)
}

// waits is a model whose batches wait for 30 s.
const waits = `{"models": [{"name": "m", "batching": "static", "max_delay": "30s", "versions": [{"version": "v1", "file": "sim:linear:0s+0s,in=2,out=3"}]}]}`

// TestBodyOfUnknownLength: it holds what came of it, not what may come.
func TestBodyOfUnknownLength(t *testing.T) {
	r := serves(t, waits, func(c *Config, _ *Server) { c.MaxBody, c.MaxBodies = 1<<20, 1<<20 })
	chunk := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }
	for range 3 { // a fourth would fill the batch
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(pair)+chunk(""))
	}
	r.holds(int64(3 * len(pair)))
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /v2/models/m/infer HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(strings.Repeat(" ", bodyStep+1)))
	r.holds(int64(3*len(pair) + 2*bodyStep))
	io.WriteString(c, chunk(strings.Repeat(" ", 1<<20-bodyStep-1))+chunk("")) // all of it, and others have some
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 429") {
		t.Errorf("a body for which there is no room: %q %v", line, err)
	}
	r.holds(int64(3 * len(pair)))
}

// TestIndexGivesBack: what is read and is no inference request gives its memory back, too.
func TestIndexGivesBack(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody, c.MaxBodies = 1000, 1000 })
	for range 3 {
		r.is("index", r.does("POST", "/v2/repository/index", "{"+strings.Repeat(" ", 800)+"}"), 200, "READY")
	}
	r.holds(0)
}

// TestLargerThanAll: a body that will never fit is not told to come again.
func TestLargerThanAll(t *testing.T) {
	r := serves(t, pairs)
	r.s.mostBodies.Store(100) // as a small memory limit makes it
	r.is("a body of more", r.does("POST", "/v2/models/m/infer", pair+strings.Repeat(" ", 100)), 413, "larger than 100 bytes")
	r.is("a body of less", r.does("POST", "/v2/models/m/infer", pair), 200, "[5,6,7]")
	r.holds(0)
}

// opens begins a call of a method and sends nothing.
func opens(ctx context.Context, t *testing.T, c *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := c.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/inference.GRPCInferenceService/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestGRPCMemory: a message is reserved for before it is read, and holds what it needs after; one that has to
// wait for another's memory gets it.
func TestGRPCMemory(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(c *Config, s *Server) {
		if c.MaxBody, c.MaxBodies = 1<<20, 1<<20+1<<19; s != nil {
			s.patience.memory = 3 * time.Second
		}
	})
	in := wire(t, "ModelInferRequest", typedPair)
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		silent := opens(t.Context(), t, c, "ModelInfer")
		r.holds(3 << 18) // half of what there is
		other := opens(t.Context(), t, c, "ModelInfer")
		r.holds(3 << 19)
		if _, code, _ := invoke(t.Context(), c, "ModelInfer", in); code != codes.ResourceExhausted {
			t.Errorf("a third: %s", code)
		}
		third := make(chan codes.Code)
		go func() { _, code, _ := invoke(context.Background(), c, "ModelInfer", in); third <- code }()
		for _, stream := range []grpc.ClientStream{silent, other} {
			var out []byte
			if err := stream.SendMsg(in); err != nil {
				t.Error(err)
			}
			if err := stream.CloseSend(); err != nil {
				t.Error(err)
			}
			if err := stream.RecvMsg(&out); err != nil {
				t.Error(err)
			}
		}
		if code := <-third; code != codes.OK {
			t.Errorf("a third that waits: %s", code)
		}
		r.holds(0)
	})
}

// TestAwait: one that gives back much wakes all that have room then.
func TestAwait(t *testing.T) {
	cfg := testConfig()
	cfg.MaxBody, cfg.MaxBodies = 10, 40
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		t.Fatal(err)
	}
	holder, faults := &asked{}, make(chan error)
	if err := s.reserve(holder, 40); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		go func() { faults <- s.await(t.Context(), &asked{}) }()
	}
	time.Sleep(50 * time.Millisecond) // they wait; a test that is too quick tests less
	s.free(holder)
	for range 4 {
		if err := <-faults; err != nil {
			t.Error(err)
		}
	}
	if got := s.bodies.Load(); got != 40 {
		t.Errorf("%d bytes are reserved, want 40", got)
	}
}

// TestGRPCHolds: while a request waits to be computed it holds its message's length.
func TestGRPCHolds(t *testing.T) {
	r := serves(t, waits)
	in := wire(t, "ModelInferRequest", typedPair)
	go invoke(t.Context(), dial(t, r.own), "ModelInfer", in)
	r.holds(int64(len(in)))
}

// TestManyOverGRPC: that messages wait for memory is not seen from outside.
func TestManyOverGRPC(t *testing.T) {
	r := serves(t, `{"batch_size": 32, "models": [{"name": "m", "versions": [{"version": "v1", "file": "sim:linear:1ms+0s,in=2,out=3"}]}]}`,
		func(c *Config, s *Server) {
			if c.MaxBody, c.MaxBodies = 1<<20, 4<<20; s != nil {
				s.patience.memory = time.Minute // however busy the machine is
			}
		})
	in := wire(t, "ModelInferRequest", typedPair)
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		faults := make(chan error)
		for range 64 {
			go func() {
				for range 20 {
					if _, code, text := invoke(context.Background(), c, "ModelInfer", in); code != codes.OK {
						faults <- fmt.Errorf("%s %s", code, text)
						return
					}
				}
				faults <- nil
			}()
		}
		for range 64 {
			if err := <-faults; err != nil {
				t.Error(err)
			}
		}
	})
	r.holds(0)
}

// TestKeyBeforeMessage: without a key no message is read, of any method that needs one; and empty ones never.
func TestKeyBeforeMessage(t *testing.T) {
	cfg := testConfig()
	cfg.Keys = func() []string { return []string{"k"} }
	s, err := New(cfg, NewRegistry(), discard())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range s.describe().Streams {
		for key, with := range map[string]bool{"": false, "k": true} {
			one := &oneMessage{ctx: metadata.NewIncomingContext(t.Context(), metadata.Pairs("x-api-key", key))}
			err := d.Handler(nil, one)
			open := d.StreamName == "ServerLive" || d.StreamName == "ServerReady" || d.StreamName == "ModelReady"
			if (status.Code(err) == codes.Unauthenticated) != (!with && !open) {
				t.Errorf("%s with key %q: %v", d.StreamName, key, err)
			}
			if read := !strings.HasPrefix(d.StreamName, "Server") && (with || open); one.asked != read {
				t.Errorf("%s with key %q: message read %v, want %v", d.StreamName, key, one.asked, read)
			}
		}
	}
}

// TestAsides: a few are read at once, a silent one is cut soon, and the server lives beside them.
func TestAsides(t *testing.T) {
	t.Parallel()
	r := serves(t, pairs, func(_ *Config, s *Server) {
		if s != nil {
			s.patience.header, s.patience.body = 500*time.Millisecond, time.Hour
		}
	})
	bothPorts(t, r, func(t *testing.T, c *grpc.ClientConn) {
		if _, code, text := invoke(t.Context(), c, "ModelMetadata", make([]byte, mostAside+1)); code == codes.OK || code == codes.Unknown {
			t.Errorf("a large message: %s %s", code, text)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var silent []grpc.ClientStream
		for range 2 * mostAsides {
			silent = append(silent, opens(ctx, t, c, "ModelMetadata"))
		}
		for range 500 {
			if len(r.s.asides) == mostAsides {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if _, code, text := invoke(t.Context(), c, "ServerLive", nil); code != codes.OK {
			t.Errorf("live: %s %s", code, text)
		}
		for _, stream := range silent {
			var out []byte
			if err := stream.RecvMsg(&out); err == nil || ctx.Err() != nil {
				t.Errorf("answer %x to nothing; %v", out, ctx.Err())
			}
		}
		if _, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Errorf("health afterwards: %v", err)
		}
	})
	r.holds(0)
}

// TestFewSchemas: of those that ask for the schema a few may stay.
func TestFewSchemas(t *testing.T) {
	r := serves(t, pairs)
	c := dial(t, r.own)
	for i := range mostAsides + 1 {
		stream, err := grpc_reflection_v1.NewServerReflectionClient(c).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
		_, err = stream.Recv()
		if want := i < mostAsides; (err == nil) != want {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// TestGate: gRPC over the HTTP listener reads nothing before it is asked, and not more than one message.
func TestGate(t *testing.T) {
	r := serves(t, pairs, func(c *Config, _ *Server) { c.MaxBody = 100 << 10 })
	for path, most := range map[string]int{"/inference.GRPCInferenceService/ModelInfer": 100 << 10, "/inference.GRPCInferenceService/ModelReady": mostAside} {
		body := strings.NewReader(strings.Repeat("x", 1<<20))
		q := r.s.gated(httptest.NewRecorder(), httptest.NewRequest("POST", path, body))
		read := make(chan int)
		go func() { b, _ := io.ReadAll(q.Body); read <- len(b) }()
		select {
		case n := <-read:
			t.Fatalf("%s: %d bytes read unasked", path, n)
		case <-time.After(20 * time.Millisecond):
		}
		openGate(q.Context())
		if n := <-read; n != most+5 {
			t.Errorf("%s: %d bytes read, want %d", path, n, most+5)
		}
	}
	q := r.s.gated(httptest.NewRecorder(), httptest.NewRequest("POST", "/x", http.NoBody))
	done := make(chan bool)
	go func() { _, _ = q.Body.Read(make([]byte, 1)); close(done) }()
	q.Body.Close()
	<-done // who waits at the gate is let go at the end
}
