package main

import (
	"slices"
	"testing"
)

func TestTakeOut(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"--out", "d", "get", "pods"}, []string{"get", "pods"}},
		{[]string{"--out=d", "get"}, []string{"get"}},
		{[]string{"get", "--out", "d"}, []string{"get", "--out", "d"}},
	} {
		got, err := takeOut(t.TempDir(), c.in)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}
