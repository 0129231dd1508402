package serving

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"trimtab.dev/trimtab/serving/protocol"
)

// schema finds descriptors of messages and services, the protocol's and those of gRPC's own services, so
// that clients need no file with them.
type schema struct{ own *protoregistry.Files }

func newSchema() (schema, error) {
	var file descriptorpb.FileDescriptorProto
	if err := proto.Unmarshal(protocol.Descriptor(), &file); err != nil {
		return schema{}, fmt.Errorf("read the service's descriptor: %w", err) // unreachable unless bug
	}
	desc, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		return schema{}, fmt.Errorf("build the service's descriptor: %w", err) // unreachable unless bug
	}
	own := new(protoregistry.Files)
	return schema{own}, own.RegisterFile(desc)
}

// FindFileByPath implements protodesc.Resolver.
func (s schema) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	desc, err := s.own.FindFileByPath(path)
	if errors.Is(err, protoregistry.NotFound) {
		return protoregistry.GlobalFiles.FindFileByPath(path)
	}
	return desc, err
}

// FindDescriptorByName implements protodesc.Resolver.
func (s schema) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	desc, err := s.own.FindDescriptorByName(name)
	if errors.Is(err, protoregistry.NotFound) {
		return protoregistry.GlobalFiles.FindDescriptorByName(name)
	}
	return desc, err
}

// reflect lets clients of g ask for the schema, in both versions of that protocol.
func (s schema) reflect(g *grpc.Server) {
	o := reflection.ServerOptions{Services: g, DescriptorResolver: s}
	grpc_reflection_v1.RegisterServerReflectionServer(g, reflection.NewServerV1(o))
	grpc_reflection_v1alpha.RegisterServerReflectionServer(g, reflection.NewServer(o))
}

// health is gRPC's own health service, as Kubernetes probes it. Watch is not served: clients that want it
// take that for healthy.
type health struct{ server *Server }

// describe is the service; its message is read as those of the protocol are.
func (h health) describe() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "grpc.health.v1.Health", Streams: []grpc.StreamDesc{{StreamName: "Check", Handler: h.stream}}}
}

func (h health) stream(_ any, stream grpc.ServerStream) error {
	in := new(grpc_health_v1.HealthCheckRequest)
	if err := h.server.receiveAside(stream, in); err != nil {
		return grpcError(err)
	}
	out, err := h.check(in)
	if err != nil {
		return err
	}
	return stream.SendMsg(out)
}

func (h health) check(in *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if name := in.GetService(); name != "" && name != protocol.Service {
		return nil, status.Errorf(codes.NotFound, "service %.80q is not served", name)
	}
	if h.server.unready() != nil {
		return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}
