package cluster

import "encoding/base64"

// Object is something to create: where, and what.
type Object struct {
	Path string
	Body map[string]any
}

const metricsServiceName = "metrics-server.kube-system.svc"

// Objects make the API server hand metrics.k8s.io to metrics-server, which is
// a process beside it: a Service of type ExternalName may lead to loopback,
// an EndpointSlice may not.
func (s Spec) Objects(ca []byte) []Object {
	service := map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": "metrics-server", "namespace": "kube-system"},
		"spec":     map[string]any{"type": "ExternalName", "externalName": "localhost"},
	}
	api := map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
		"metadata": map[string]any{"name": "v1beta1.metrics.k8s.io"},
		"spec": map[string]any{
			"group": "metrics.k8s.io", "version": "v1beta1",
			"groupPriorityMinimum": 100, "versionPriority": 100,
			"caBundle": base64.StdEncoding.EncodeToString(ca),
			"service":  map[string]any{"name": "metrics-server", "namespace": "kube-system", "port": s.Ports.Metrics},
		},
	}
	objects := []Object{
		{"/api/v1/namespaces/kube-system/services", service},
		{"/apis/apiregistration.k8s.io/v1/apiservices", api},
	}
	for _, n := range s.FakeNodes() {
		objects = append(objects, Object{"/api/v1/nodes", n})
	}
	return objects
}
