package main

import (
	"io"
	"strings"
	"testing"
)

func TestCountsOf(t *testing.T) {
	const events = `{"Action":"run","Test":"TestQuota"}
{"Action":"attr","Test":"TestQuota","Key":"cases","Value":"100"}
{"Action":"output","Test":"TestQuota","Output":"=== ATTR  TestQuota agree 81\n"}
{"Action":"attr","Test":"TestQuota","Key":"agree","Value":"81"}
{"Action":"attr","Test":"TestQuota","Key":"excepted","Value":"10"}
{"Action":"fail","Test":"TestQuota"}
`
	counts, err := countsOf(strings.NewReader(events), io.Discard)
	if want := (agreement{cases: 100, agree: 81, excepted: 10}); err != nil || counts["TestQuota"] != want {
		t.Fatalf("%+v, %v, want %+v", counts, err, want)
	}
	if got, ok := counts["TestQuota"].share(); !ok || got != 0.9 { // 81 of 100 - 10
		t.Errorf("share %v, %v, want 0.9", got, ok)
	}
	if _, ok := counts["TestLimitRange"].share(); ok {
		t.Error("a test that counted nothing has a share")
	}
}

func TestCountsOfFaults(t *testing.T) {
	for _, events := range []string{`# build failed`, `{"Action":"attr","Test":"TestQuota","Key":"cases","Value":"many"}`} {
		if counts, err := countsOf(strings.NewReader(events), io.Discard); err == nil {
			t.Errorf("%s: %v", events, counts)
		}
	}
}
