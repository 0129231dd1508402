package upstream

import (
	"slices"
	"strconv"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// knownDifferences is how often the known difference comes up in TestQuota.
const knownDifferences = 1031

func TestLimitRange(t *testing.T) {
	n := compare(t, 200_000, ranged, askLimitRanger)
	n.show(t)
	if n.excepted != 0 {
		t.Errorf("%d exceptions, and there is none for LimitRanges", n.excepted)
	}
	if n.refused < n.cases/10 || n.refused > n.cases*9/10 || n.filled < n.cases/10 {
		t.Error("the scenes are too much alike")
	}
}

func TestQuota(t *testing.T) {
	n := compare(t, 100_000, quotaed, askQuota)
	n.show(t)
	if n.excepted != knownDifferences {
		t.Errorf("the known difference came up %d times, want %d: the scenes, ours or Kubernetes changed", n.excepted, knownDifferences)
	}
	if n.refused < n.cases/10 || n.refused > n.cases*9/10 {
		t.Error("the scenes are too much alike")
	}
}

// tally counts the scenes of a test by how the two answers stand to each other.
type tally struct {
	cases, agree    int
	excepted        int // differ as known, not in agree
	refused, filled int // by upstream
}

// show writes the counts for people and, as attributes, for programs that read go test -json.
func (n tally) show(t *testing.T) {
	t.Helper()
	t.Logf("%d cases: %d agree, %d are the known difference; upstream refused %d and filled in %d",
		n.cases, n.agree, n.excepted, n.refused, n.filled)
	t.Attr("cases", strconv.Itoa(n.cases))
	t.Attr("agree", strconv.Itoa(n.agree))
	t.Attr("excepted", strconv.Itoa(n.excepted))
}

// compare asks both sides about the scene of every seed and reports the first few that differ.
func compare(t *testing.T, seeds uint64, draw func(uint64) scene, ask func(*testing.T, scene) answer) tally {
	t.Helper()
	var n tally
	for seed := range seeds {
		s := draw(seed)
		a := ask(t, s)
		n.count(s, a)
		if differ := n.cases - n.agree - n.excepted; differ > 0 && differ <= 3 && !agree(s, a) {
			got, holds := ours(s)
			t.Errorf("seed %d: ours %v %+v\nupstream %q %+v\nscene %+v", seed, holds, got, a.Refused, a.Filled, s)
		}
	}
	return n
}

func (n *tally) count(s scene, a answer) {
	n.cases++
	switch {
	case !agree(s, a):
	case known(s, a):
		n.excepted++
	default:
		n.agree++
	}
	if a.Refused != "" {
		n.refused++
	}
	if a.Filled != nil && !slices.EqualFunc(s.Pod.Containers, a.Filled, same) {
		n.filled++
	}
}

// agree tells whether ours says what upstream says or, for the known difference, lets it through.
func agree(s scene, a answer) bool {
	got, holds := ours(s)
	refused := a.Refused != "" && !known(s, a)
	return refused == (len(holds) > 0) && (a.Filled == nil || slices.EqualFunc(got.Containers, a.Filled, same))
}

// same tells whether two containers ask for the same.
func same(a, b fleet.Container) bool {
	return a.Requests.Equal(b.Requests) && a.Limits.Equal(b.Limits)
}
