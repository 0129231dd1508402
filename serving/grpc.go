package serving

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"trimtab.dev/trimtab/serving/protocol"
)

// call answers one gRPC message with another.
type call func(ctx context.Context, in []byte) ([]byte, error)

// reader gives the message of a request.
type reader func() ([]byte, error)

const (
	mostStreams = 1024             // requests at once on one gRPC connection
	pingsApart  = 10 * time.Second // clients may ask whether we are there, but not more often
	pingAfter   = time.Minute      // we ask a silent client
)

// newGRPC makes the gRPC side. Messages go through as bytes: package protocol reads and writes them, so
// that no tensor is copied into generated structs and out again.
func (s *Server) newGRPC() (*grpc.Server, error) {
	files, err := newSchema()
	if err != nil {
		return nil, err
	}
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(raw{encoding.GetCodecV2("proto")}),
		grpc.MaxRecvMsgSize(int(min(s.cfg.MaxBody, math.MaxInt32))), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxHeaderListSize(maxHeader), grpc.MaxConcurrentStreams(mostStreams), grpc.WaitForHandlers(true),
		grpc.ConnectionTimeout(s.patience.header), grpc.InTapHandle(s.bear),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsApart, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: s.patience.idle, Time: pingAfter}),
	)
	g.RegisterService(s.describe(), nil)
	grpc_health_v1.RegisterHealthServer(g, health{server: s})
	files.reflect(g)
	return g, nil
}

// bear ends streams that take too long: of a client that does not send its message, or does not take the answer.
func (s *Server) bear(ctx context.Context, _ *tap.Info) (context.Context, error) {
	longest := s.patience.body + s.cfg.RequestTimeout + s.patience.answer
	bounded, cancel := context.WithTimeout(ctx, longest)
	_ = cancel // ctx ends with the stream, and that with it
	return patient{bounded, ctx}, nil
}

// describe is the protocol's service. ModelInfer is, to the server, a stream of one message, which it reads
// when it has room; on the wire that is the same.
func (s *Server) describe() *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{ServiceName: protocol.Service}
	for method, c := range map[string]call{
		"ServerLive": s.grpcLive, "ServerReady": s.grpcReady, "ModelReady": s.grpcModelReady,
	} {
		d.Methods = append(d.Methods, s.method(method, c))
	}
	for method, c := range map[string]call{
		"ServerMetadata": s.grpcAbout, "ModelMetadata": s.grpcAboutModel, "ModelConfig": s.grpcModelConfig,
		"ModelStatistics": s.grpcStatistics, "RepositoryIndex": s.grpcIndex,
	} {
		d.Methods = append(d.Methods, s.method(method, s.keyed(c)))
	}
	d.Streams = []grpc.StreamDesc{{StreamName: "ModelInfer", Handler: s.stream}}
	return d
}

// keyed is a call that needs an API key.
func (s *Server) keyed(c call) call {
	return func(ctx context.Context, in []byte) ([]byte, error) {
		if !s.keys.allows(header(ctx)) {
			return nil, errKey()
		}
		return c(ctx, in)
	}
}

func (s *Server) method(name string, c call) grpc.MethodDesc {
	guarded := func(ctx context.Context, in []byte) (out []byte, err error) {
		defer s.recovered(&err)
		return c(ctx, in)
	}
	return grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var in []byte
		if err := read(&in); err != nil {
			return nil, err
		}
		out, err := guarded(ctx, in)
		if err != nil {
			return nil, grpcError(err)
		}
		return out, nil
	}}
}

// stream is ModelInfer.
func (s *Server) stream(_ any, stream grpc.ServerStream) error {
	out, err := s.grpcInfer(stream.Context(), func() ([]byte, error) {
		var in []byte
		err := stream.RecvMsg(&in)
		return in, unread(err)
	})
	if err != nil {
		return grpcError(err)
	}
	return stream.SendMsg(out)
}

// unread makes a fault of a message that did not come, or not whole.
func unread(err error) error {
	if errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "the message did not come")
	}
	switch status.Code(err) {
	case codes.OK:
		return nil
	case codes.ResourceExhausted:
		return refuse(http.StatusRequestEntityTooLarge, "%w", err)
	case codes.Canceled:
		return shed(ShedCancelled, 0)
	case codes.DeadlineExceeded:
		return shed(ShedTimeout, 0)
	}
	return refuse(http.StatusBadRequest, "read the message: %w", err)
}

// header reads a request's metadata as HTTP headers are read.
func header(ctx context.Context) func(string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return func(name string) string {
		if v := md.Get(name); len(v) > 0 {
			return v[0]
		}
		return ""
	}
}

// grpcError turns a fault into the protocol's status code.
func grpcError(err error) error {
	var f fault
	if !errors.As(err, &f) {
		return status.Error(codes.Internal, err.Error())
	}
	code := codes.Internal
	switch f.status {
	case http.StatusBadRequest:
		code = codes.InvalidArgument
	case http.StatusRequestEntityTooLarge: // what gRPC itself says of a message that is too large is kept
		if code = status.Code(f.err); code == codes.Unknown {
			code = codes.InvalidArgument
		}
	case http.StatusNotFound:
		code = codes.NotFound
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		if code = codes.Unavailable; f.shed == ShedTimeout {
			code = codes.DeadlineExceeded
		}
	case statusClientClosed:
		code = codes.Canceled
	}
	return status.Error(code, err.Error())
}

// raw is the codec that leaves bytes as they are; messages of other services go through that of protocol
// buffers.
type raw struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (r raw) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.([]byte); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	out, err := r.CodecV2.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write %T: %w", v, err)
	}
	return out, nil
}

// Unmarshal implements encoding.CodecV2. It copies: gRPC takes its buffers back.
func (r raw) Unmarshal(data mem.BufferSlice, v any) error {
	if b, ok := v.(*[]byte); ok {
		*b = data.Materialize()
		return nil
	}
	return r.CodecV2.Unmarshal(data, v)
}
