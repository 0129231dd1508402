// Package policies reads what operators write: Policy documents, which say what Trimtab may do for
// which workloads; Prices, what nodes cost; Governance, the quotas and limits that namespaces get;
// InferenceServer, the model servers that Trimtab owns; Report, the mail that it sends. It turns bytes
// into valid values once, with every fault and its line, and tells which policy is for which workload.
//
// One table per kind (table_*.go) drives the reading, the defaults and the reference that people read,
// so that the three cannot drift apart.
//
// It never reads a file, the clock or the cluster, and it never acts: what a document allows is carried
// out elsewhere. What only calendars and zone files can tell is asked of Checks.
package policies
