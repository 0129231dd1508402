package fleet

import (
	"cmp"
	"strings"
)

// Ref names one workload. Kind is always set: a Deployment and a StatefulSet may share a name.
type Ref struct {
	Cluster   string `json:"cluster,omitempty"` // empty: the cluster that the daemon runs in
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"` // "Deployment", "StatefulSet", ...
	Name      string `json:"name"`
}

// Deployment is the Ref of the Deployment ns/name in the daemon's own cluster.
func Deployment(ns, name string) Ref {
	return Ref{Namespace: ns, Kind: "Deployment", Name: name}
}

// String is the short form for people, "ns/name"; the kind is added when it is not a Deployment.
func (r Ref) String() string {
	s := r.Namespace + "/" + r.Name
	if r.Kind != "Deployment" {
		s = r.Kind + " " + s
	}
	if r.Cluster != "" {
		s = r.Cluster + ":" + s
	}
	return s
}

// Compare orders Refs by cluster, namespace, name and kind: the fixed order of every listing.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		strings.Compare(r.Cluster, o.Cluster),
		strings.Compare(r.Namespace, o.Namespace),
		strings.Compare(r.Name, o.Name),
		strings.Compare(r.Kind, o.Kind),
	)
}
