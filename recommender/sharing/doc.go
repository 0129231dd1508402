// Package sharing says which pods may share a GPU, and how: by turns on the whole card (time-slicing) or
// each in a slice of its own (MIG). It looks at measured busy time and memory only. It never packs a pod
// that was not measured, reads no clock and moves nothing.
//
// Memory decides first, because a card that runs out of it kills work, while a card that is too busy only
// makes it wait. Busy time is added up slot by slot before its percentile is taken: pods that are busy at
// different minutes share a card well, and the sum of their own percentiles would not know it.
//
// Plan packs many pods onto few cards, Judge tells how a packing did on what was measured later, and
// Choices compares what one pod could be given.
//
// How people act on it: a card that several pods share is one ResourceClaim that all of them name (dynamic
// resource allocation), or a node whose device plugin offers each of its cards several times; the plugin
// does not let a pod choose its neighbours on a node with more than one card. Time-slicing keeps nobody
// from taking all of the memory, so each server's own limit should be set to its planned share.
package sharing
