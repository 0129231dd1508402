// Package ledger remembers what Trimtab changed: the intent before a change, how it ended after. It
// decides what is kept, in which words and for how long; it stores nothing itself.
//
// A Book is the ledger as a value: up to 16 pages of short texts, one a key, which package kube keeps in
// ConfigMaps and Memory in the process. All of it is pure, so that rotation, pruning and what two
// writers do to each other are tested without a cluster.
//
// # What an entry is
//
// One JSON text under the entry's ID. What is not needed to go on with a change, to take it back or to
// report it is left out (see Compact), and each distinct pod shape is written once:
//
//	a Deployment with   3 pods:  about 1.3 KiB
//	a Deployment with 100 pods:  about  15 KiB
//
// # What is kept
//
// Intents are written to the front page, number 0, and there only, so that two writers always meet
// there and one of them loses. When it is full, its oldest closed entries move to the pages behind.
// A page holds 256 KiB of keys and values, more only where one entry alone or many open ones need it, and
// never more than the API server takes. That is 4 MiB in all: about 3,000 changes of small Deployments.
//
// When all pages are full the oldest closed entries are forgotten first; an open one never is, and
// neither is the newest change of a workload that was done, for it says what newer pods are given.
// What cannot be read is neither dropped nor written over: no change begins until a person has looked.
package ledger
