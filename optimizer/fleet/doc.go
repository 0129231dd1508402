// Package fleet holds the nouns of Trimtab: what a model Deployment asks for,
// runs and used, and the node and namespace it lives in. They are plain values
// that every other package reads or hands on; nothing here decides anything.
//
// Conventions: CPU is in thousandths of a core, memory in bytes, times in UTC.
// A quantity that Kubernetes leaves out is zero here, because Kubernetes treats
// "no request" and "request 0" alike; a *measurement* that is missing is no
// Sample at all, never a zero.
package fleet
