// Rivals replays usage through the genuine Kubernetes Vertical Pod Autoscaler
// (k8s.io/autoscaler/vertical-pod-autoscaler v1.8.1) beside Trimtab's own
// re-implementation of its rules, and prints one table for both, so that the
// figures given for the rival are the rival's and not ours.
//
//	go run . --traces DIR      every series of a folder, by its index.csv
//	go run . FILE.csv...       the series of some files
//	go run . --bench           what the autoscaler's model costs: one JSON object a line
//
// It is a module of its own because the autoscaler brings modules that Trimtab
// does not need (a first build takes minutes). Nothing in it talks to a cluster:
// the autoscaler's recommender and its updater's priority calculator are called
// as the library code that they are, with their own default settings.
//
// What is genuine: the histograms, the estimators and their bounds, the memory
// peaks, the bump after an out-of-memory kill, and the decision whether a pod is
// updated. What is ours: the loop around them, which runs once a sample instead
// of once a minute, and a pod that takes its new request at once.
package main
