// Package policies reads what operators write: Policy documents, which say what Trimtab may do for
// which workloads, and Prices documents, which say what nodes cost. It turns bytes into valid values
// once, with every fault and its line, and tells which policy is for which workload.
//
// One table per kind (table_policy.go, table_prices.go) drives the reading, the defaults and the
// reference that people read, so that the three cannot drift apart.
//
// It never reads a file, the clock or the cluster, and it never acts: what a policy allows is carried
// out elsewhere.
package policies
