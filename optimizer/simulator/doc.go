// Package simulator is a whole fleet from a text file, driven by a virtual clock: nodes, namespaces,
// policies and workloads whose use follows curves. It implements the ports of the optimizer, so that
// the very same Cycle runs on it as on a cluster: for a first look, for tests and for what-if.
//
// It never reads a clock, a network or a random source: the same file gives the same bytes. What it
// leaves out is said here: pods are ready at once, an autoscaler owns its field but does not scale,
// a resize restarts nothing, and nodes neither fail nor are taken back.
package simulator
