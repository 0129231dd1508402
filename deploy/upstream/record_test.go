package upstream

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the recorded answers")

// recorded is read by a test of policies/admission, which needs no Kubernetes.
const recorded = "../../policies/admission/testdata/upstream.jsonl"

// record is one line: a scene and what upstream says to it.
type record struct {
	scene
	answer
}

// TestRecord: the recorded answers are those that upstream gives.
func TestRecord(t *testing.T) {
	var got bytes.Buffer
	lines := json.NewEncoder(&got)
	lines.SetEscapeHTML(false)
	for _, r := range slices.Concat(slice(t, 4000, 2, ranged, askLimitRanger), slice(t, 2000, 5, quotaed, askQuota)) {
		if err := lines.Encode(r); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, got.Bytes())
}

// slice is the first scenes of every kind, so many of each: the known difference, each edge, and off the
// edges what is let through and each beginning of a refusal.
func slice(t *testing.T, seeds uint64, each int, draw func(uint64) scene, ask func(*testing.T, scene) answer) []record {
	t.Helper()
	var all []record
	seen := map[string]int{}
	for seed := range seeds {
		s := draw(seed)
		a := ask(t, s)
		kind, most := edge(t, s, a, ask), each
		switch {
		case known(s, a):
			kind = "known"
		case kind == "" && a.Refused == "":
			most = 20
		case kind == "":
			kind = strings.Join(strings.Fields(amounts.ReplaceAllString(a.Refused, "#"))[:6], " ")
		}
		if seen[kind] < most {
			seen[kind]++
			all = append(all, record{s, a})
		}
	}
	return all
}

// edge is where a mistake of one shows: the kind of the refusal that begins, or ends, if one amount of the pod is one more or less;
// empty where there is no such amount, or where much is refused at once.
func edge(t *testing.T, s scene, a answer, ask func(*testing.T, scene) answer) string {
	t.Helper()
	for _, near := range nudged(s) {
		b := ask(t, near)
		begins, ends := a.Refused == "" && b.Refused != "", a.Refused != "" && b.Refused == ""
		if (begins || ends) && !strings.Contains(a.Refused+b.Refused, ";") {
			return fmt.Sprint(begins, amounts.ReplaceAllString(a.Refused+b.Refused, "#"))
		}
	}
	return ""
}

// amounts is what differs between refusals of one kind: amounts and names of containers.
var amounts = regexp.MustCompile(`\b(c?[0-9]+m?|c[0-9](,c[0-9])*)\b`)

// nudged is the scenes beside s.
func nudged(s scene) []scene {
	var all []scene
	for i := range s.Pod.Containers {
		for _, by := range []int64{1, -1} {
			for part := range 4 {
				near := s
				near.Pod.Containers = slices.Clone(s.Pod.Containers)
				c := &near.Pod.Containers[i]
				n := []*int64{&c.Requests.MilliCPU, &c.Requests.Memory, &c.Limits.MilliCPU, &c.Limits.Memory}[part]
				if *n+by >= 0 {
					*n += by
					all = append(all, near)
				}
			}
		}
	}
	return all
}

func golden(t *testing.T, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(recorded, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what upstream answers; run with -update and read the diff", recorded)
	}
}
