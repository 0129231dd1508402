package serving

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// All but ModelInfer are asides: anybody may ask some of them, and they are not admitted as inference requests
// are, so that a server that is full still says that it lives. Their messages are small, but gRPC has one limit
// for all: on a listener of its own it reads a message of MaxBody bytes before we see how long it is. So few
// are read at once: together with those that ask for the schema they have at most 2·mostAsides·MaxBody bytes
// beside the MaxBodies of inference requests. A message is there twice for a moment, in gRPC's buffers and whole.
const (
	mostAsides = 4
	mostAside  = 64 << 10 // bytes of an aside's message
)

// aside is a method other than ModelInfer.
type aside struct {
	call  call
	open  bool // needs no API key
	empty bool // its message has nothing in it, and is not read
}

// isAside reports whether a gRPC path is one's. A client that asks for the schema keeps its stream: none.
func isAside(path string) bool {
	return !strings.HasSuffix(path, "/ModelInfer") && !isSchema(path)
}

func isSchema(path string) bool { return strings.HasPrefix(path, "/grpc.reflection.") }

func (s *Server) aside(a aside) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		out, err := s.answer(stream, a)
		if err != nil {
			return grpcError(err)
		}
		return stream.SendMsg(out)
	}
}

func (s *Server) answer(stream grpc.ServerStream, a aside) (out []byte, err error) {
	defer s.recovered(&err)
	ctx := stream.Context()
	if !a.open && !s.keys.allows(header(ctx)) {
		return nil, errKey()
	}
	var in []byte
	if !a.empty {
		err = s.receiveAside(stream, &in)
	}
	if err == nil && len(in) > mostAside {
		err = refuse(http.StatusRequestEntityTooLarge, "message is larger than %d bytes", mostAside)
	}
	if err != nil {
		return nil, err
	}
	return a.call(ctx, in)
}

// receiveAside reads an aside's message when it is its turn.
func (s *Server) receiveAside(stream grpc.ServerStream, into any) error {
	late := time.NewTimer(s.patience.header)
	defer late.Stop()
	select {
	case s.asides <- struct{}{}:
	case <-late.C:
		return shed(ShedInflight, 0)
	case <-stream.Context().Done():
		return ended(stream.Context().Err())
	}
	defer func() { <-s.asides }()
	return receive(stream, into)
}

// fewSchemas lets only a few ask for the schema at once.
func (s *Server) fewSchemas(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if !isSchema(info.FullMethod) {
		return next(srv, stream)
	}
	select {
	case s.schemas <- struct{}{}:
	default:
		return grpcError(shed(ShedInflight, 0))
	}
	defer func() { <-s.schemas }()
	openGate(stream.Context())
	return next(srv, stream)
}

// gate holds back the body of a gRPC request that comes over the HTTP listener: there gRPC reads into memory
// all that comes, without limit, whether its message was asked for or not.
type gate struct {
	io.Reader
	body  io.Closer
	once  sync.Once
	asked chan struct{} // closed: its message was asked for, or the request is over
}

type gateKey struct{}

// gated puts a gate before a request's body, with room for one message of the method.
func (s *Server) gated(w http.ResponseWriter, q *http.Request) *http.Request {
	const prefix = 5 // of a message in gRPC
	most := s.cfg.MaxBody
	if isAside(q.URL.Path) {
		most = min(most, mostAside)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.patience.header)) // else the server's own holds
	}
	g := &gate{Reader: io.LimitReader(q.Body, most+prefix), body: q.Body, asked: make(chan struct{})}
	q = q.WithContext(context.WithValue(q.Context(), gateKey{}, g))
	q.Body = g
	return q
}

// openGate opens the gate of a request that has one.
func openGate(ctx context.Context) {
	if g, ok := ctx.Value(gateKey{}).(*gate); ok {
		g.open()
	}
}

func (g *gate) open() { g.once.Do(func() { close(g.asked) }) }

// Read implements io.Reader.
func (g *gate) Read(p []byte) (int, error) {
	<-g.asked
	return g.Reader.Read(p)
}

// Close implements io.Closer. gRPC waits for a Read that is under way.
func (g *gate) Close() error {
	err := g.body.Close()
	g.open()
	return err
}
