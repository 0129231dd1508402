// Package kube is the Kubernetes side of Trimtab: it turns the objects of one cluster into the
// values of package fleet, and gives the daemon what only the API server can: leadership by a
// Lease, checkpoints in ConfigMaps, and a way in through the service proxy.
//
// Objects are read through informers and mapped once, when they arrive: the caches hold small
// records, never whole API objects. Reading fails closed: a resource that was not read, may not be
// read, or was not heard of for too long is an error with the verb and the resource in it, never an
// empty list.
//
// Only an Actuator changes workloads, by JSON patches that test what they replace; it is made only for a
// daemon that may enforce. What else the package writes is Trimtab's own or is kept as a document asks.
package kube

// CheckpointLabel marks the ConfigMaps that Checkpoints writes; its value is their name.
const CheckpointLabel = "trimtab.dev/checkpoint"

// systemNamespace is never a place for models: nothing in it is listed.
const systemNamespace = "kube-system"
