package main

import (
	"math"
	"slices"
)

// summary is the median and the largest of at least one figure.
func summary(x []float64) (median, worst float64) {
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2, s[n-1]
}

// rounded keeps four digits: no figure here is known better.
func rounded(x float64) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// medianOf is the median of one figure of each.
func medianOf[T any](all []T, get func(T) float64) float64 {
	var x []float64
	for _, one := range all {
		x = append(x, get(one))
	}
	m, _ := summary(x)
	return m
}
