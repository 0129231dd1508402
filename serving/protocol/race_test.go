//go:build race

package protocol

// fewer divides the rounds of the long tests: the race detector makes each ten times slower.
const fewer = 10
