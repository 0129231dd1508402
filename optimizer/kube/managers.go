package kube

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// What a fleet.Owner of this package may write or depend on.
const (
	fieldReplicas  = "replicas"
	fieldResources = "resources" // requests and limits in the pod template
	fieldRequests  = "requests"  // not written but measured against: changing them changes what the owner does
)

// fields is a set of field paths as metadata.managedFields writes it: nested objects of "f:name" and
// "k:{key}" without values.
type fields map[string]fields

// writers lists who else wrote the replica count or a container's resources, sorted, from an object's
// managedFields. An entry that cannot be read names no one: it is a hint, not a lock.
func writers(entries []metav1.ManagedFieldsEntry) []fleet.Owner {
	var owners []fleet.Owner
	for _, e := range entries {
		if e.Manager == daemonManager || e.FieldsV1 == nil {
			continue
		}
		var f fields
		if json.NewDecoder(e.FieldsV1.GetRawReader()).Decode(&f) != nil {
			continue
		}
		spec := f["f:spec"]
		if _, ok := spec["f:replicas"]; ok {
			owners = append(owners, fleet.Owner{Field: fieldReplicas, Kind: "FieldManager", Name: e.Manager})
		}
		if sizes(spec["f:template"]["f:spec"]) {
			owners = append(owners, fleet.Owner{Field: fieldResources, Kind: "FieldManager", Name: e.Manager})
		}
	}
	return sorted(owners)
}

// sizes tells whether a pod spec's field set holds the requests or limits of any container.
func sizes(spec fields) bool {
	for _, list := range []fields{spec["f:containers"], spec["f:initContainers"]} {
		for _, container := range list {
			if len(container["f:resources"]) > 0 {
				return true
			}
		}
	}
	return false
}

// sorted puts owners in their fixed order, each once.
func sorted(owners []fleet.Owner) []fleet.Owner {
	slices.SortFunc(owners, func(a, b fleet.Owner) int {
		return strings.Compare(a.Field+"\x00"+a.Kind+"\x00"+a.Name, b.Field+"\x00"+b.Kind+"\x00"+b.Name)
	})
	return slices.Compact(owners)
}
