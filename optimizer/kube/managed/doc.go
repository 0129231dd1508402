// Package managed makes the model servers that Trimtab owns whole: from each InferenceServer document a
// ConfigMap with the server's settings, a Service, a PodDisruptionBudget, a Deployment and, where it asks
// for one, a HorizontalPodAutoscaler, kept as asked by server-side apply. It also tunes them, one step a
// pass.
//
// What a server is and how to tune it is decided elsewhere: package policies has the documents, package
// recommender/capacity the tuning. This package reads the objects and the servers' own metrics, and
// writes. How far tuning has come is an annotation of the ConfigMap that it changes, so that settings and
// state are written at once, and a restart or another leader goes on where the last one was.
//
// Objects that carry the server's name but were not made by Trimtab are never touched, unless the document
// says adopt: then they are kept as they were found, and the document changes only what it says of them.
// A server that is paused is looked at and not written. When its document is gone a server goes too, or
// serves on without us, as the document had said.
package managed
