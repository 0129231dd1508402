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

// What a connection may send that nobody has asked for yet is mostStreams·streamWindow, 16 MiB. gRPC's own
// guess at the windows would let each stream send as much.
const (
	mostStreams  = 256              // requests at once on one gRPC connection
	streamWindow = 64 << 10         // bytes of a request that may come before its message is read
	connWindow   = 1 << 20          // bytes of a connection that may be on their way
	pingsApart   = 10 * time.Second // clients may ask whether we are there, but not more often
	pingAfter    = time.Minute      // we ask a silent client
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
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connWindow), grpc.StreamInterceptor(s.fewSchemas),
		grpc.ConnectionTimeout(s.patience.header), grpc.InTapHandle(s.bear),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsApart, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: s.patience.idle, Time: pingAfter}),
	)
	g.RegisterService(s.describe(), nil)
	g.RegisterService(health{s}.describe(), nil)
	files.reflect(g)
	return g, nil
}

// bear ends streams that take too long: of a client that does not send its message, or does not take the answer.
func (s *Server) bear(ctx context.Context, info *tap.Info) (context.Context, error) {
	longest := s.patience.body + s.cfg.RequestTimeout + s.patience.answer
	if isAside(info.FullMethodName) {
		longest = s.patience.header
	}
	bounded, cancel := context.WithTimeout(ctx, longest)
	_ = cancel // ctx ends with the stream, and that with it
	return patient{bounded, ctx}, nil
}

// describe is the protocol's service. Its methods are, to the server, streams of one message each, which is
// read when there is a key and room for it; on the wire that is the same.
func (s *Server) describe() *grpc.ServiceDesc {
	d := &grpc.ServiceDesc{ServiceName: protocol.Service}
	d.Streams = []grpc.StreamDesc{{StreamName: "ModelInfer", Handler: s.stream}}
	for name, a := range map[string]aside{
		"ServerLive":      {call: s.grpcLive, open: true, empty: true},
		"ServerReady":     {call: s.grpcReady, open: true, empty: true},
		"ModelReady":      {call: s.grpcModelReady, open: true},
		"ServerMetadata":  {call: s.grpcAbout, empty: true},
		"ModelMetadata":   {call: s.grpcAboutModel},
		"ModelConfig":     {call: s.grpcModelConfig},
		"ModelStatistics": {call: s.grpcStatistics},
		"RepositoryIndex": {call: s.grpcIndex},
	} {
		d.Streams = append(d.Streams, grpc.StreamDesc{StreamName: name, Handler: s.aside(a)})
	}
	return d
}

// stream is ModelInfer.
func (s *Server) stream(_ any, stream grpc.ServerStream) error {
	out, err := s.grpcInfer(stream.Context(), func() (in []byte, err error) {
		return in, receive(stream, &in)
	})
	if err != nil {
		return grpcError(err)
	}
	return stream.SendMsg(out)
}

// receive reads the message of a stream.
func receive(stream grpc.ServerStream, into any) error {
	openGate(stream.Context())
	return unread(stream.RecvMsg(into))
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
