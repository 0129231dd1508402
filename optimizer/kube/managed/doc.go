// Package managed makes the model servers that Trimtab owns whole: from each InferenceServer document a
// ConfigMap with the server's settings, a Service, a PodDisruptionBudget and a Deployment, kept as asked
// by server-side apply. It also tunes their batch size, one step a pass.
//
// What a server is and how to tune it is decided elsewhere: package policies has the documents, package
// recommender/capacity the tuning. This package reads the objects and the servers' own metrics, and
// writes. How far tuning has come is an annotation of the ConfigMap that it changes, so that settings and
// state are written at once, and a restart or another leader goes on where the last one was.
//
// Objects that carry the server's name but were not made by Trimtab are never touched.
package managed
