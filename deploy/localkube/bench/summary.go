package main

import "slices"

// summary is the median and the largest of at least one figure.
func summary(x []float64) (median, worst float64) {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2, s[n-1]
}
