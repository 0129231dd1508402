package serving

import (
	"context"
	"errors"
	"net/http"

	"trimtab.dev/trimtab/serving/protocol"
)

func (s *Server) grpcLive(context.Context, []byte) ([]byte, error) {
	return protocol.AppendGRPCBool(nil, true), nil
}

func (s *Server) grpcReady(context.Context, []byte) ([]byte, error) {
	return protocol.AppendGRPCBool(nil, s.unready() == nil), nil
}

func (s *Server) grpcModelReady(_ context.Context, in []byte) ([]byte, error) {
	name, version, err := named(in)
	if err != nil {
		return nil, err
	}
	err = s.known(name, version)
	var f fault
	if errors.As(err, &f) && f.status == http.StatusNotFound {
		return nil, err
	}
	return protocol.AppendGRPCBool(nil, err == nil && s.unready() == nil), nil
}

// grpcInfer is ModelInfer. It is admitted before its message is read, which may be large.
func (s *Server) grpcInfer(ctx context.Context, read reader) ([]byte, error) {
	a := s.begun(EndpointGRPC, header(ctx))
	out, err := s.grpcAdmitted(ctx, a, read)
	s.over(a, err)
	return out, err
}

func (s *Server) grpcAdmitted(ctx context.Context, a *asked, read reader) (out []byte, err error) {
	defer s.recovered(&err)
	if !s.keys.allows(a.header) {
		return nil, errKey()
	}
	if err := s.admit(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.await(ctx, a); err != nil {
		return nil, err
	}
	in, err := read()
	if err != nil {
		return nil, err
	}
	if err := s.keep(a, int64(len(in))); err != nil {
		return nil, err
	}
	return s.inferred(ctx, a, in)
}

func (s *Server) inferred(ctx context.Context, a *asked, in []byte) ([]byte, error) {
	head, err := protocol.PeekGRPCInfer(in)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%w", err)
	}
	if err := s.pick(a, head.Model, head.Version, nil); err != nil {
		return nil, err
	}
	if err := s.room(a); err != nil {
		return nil, err
	}
	x, back := s.exchange()
	defer back()
	meta := a.target.Meta()
	if err := protocol.DecodeGRPCInfer(in, meta, &x.in); err != nil {
		return nil, refuse(http.StatusBadRequest, "%w", err)
	}
	out, err := s.compute(ctx, a, &x.in)
	if err != nil {
		return nil, err
	}
	return protocol.AppendGRPCInfer(nil, protocol.Answer{Model: a.model, Version: a.version, ID: x.in.ID, Specs: meta.Outputs, Outputs: out, Wanted: x.in.Outputs}), nil
}
