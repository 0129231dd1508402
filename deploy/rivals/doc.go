// Package rivals pins the servers of others that make bench BENCH=serving measures beside ours. It holds
// no code of theirs and is linked into nothing: go.mod names KServe's agent, whose batcher is run as a
// sidecar in front of our server, which computes each of its batches as one, as KServe runs it in a pod;
// node/ is ONNX Runtime behind Node's HTTP server. Other batchers of the anchors (LitServe, BentoML, Triton) are not
// to be had from the registries of Go, npm or Debian and are not measured.
package rivals
