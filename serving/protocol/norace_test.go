//go:build !race

package protocol

// fewer divides the rounds of the long tests.
const fewer = 1
