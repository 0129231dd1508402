// Package cost says what things cost in US dollars: a node, a workload, and so what a change would
// save. It knows list prices and arithmetic and nothing of usage; what has no price is said to have
// none and is never counted as zero without saying so.
package cost
