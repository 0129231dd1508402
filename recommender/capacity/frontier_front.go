package capacity

import (
	"cmp"
	"slices"
	"time"
)

// neighbours looks at the batch limits and numbers of replicas next to the chosen ones, at no delay and at the
// next longer one, so that people can be told what they would change.
func (s *planSearch) neighbours(chosen judged) {
	at := chosen.Setting
	s.beyond(at)
	s.seek(s.undelayed(at.Replicas), searchNear)
	for _, batch := range beside(s.batches(), at.Batch) {
		s.seek(s.group(batch, at.Replicas), searchNear)
	}
	for _, replicas := range beside(s.counts(), at.Replicas) {
		s.seek(s.group(0, replicas), searchNear)
	}
}

// beyond looks at the setting that waits one step longer.
func (s *planSearch) beyond(at Setting) {
	if i := s.longer(at); i >= 0 && !s.points[i].done && s.spent < searchNear {
		s.look(i)
	}
}

// undelayed is the aim of keeping the SLO with nobody waiting for others.
func (s *planSearch) undelayed(replicas int) aim {
	return aim{s.SLO.Latency, func(at Setting) bool { return at.Replicas == replicas && at.Delay == 0 }}
}

// group is the aim of keeping the SLO with a batch limit (0: any) and a number of replicas.
func (s *planSearch) group(batch, replicas int) aim {
	return aim{s.SLO.Latency, func(at Setting) bool {
		return at.Replicas == replicas && (batch == 0 || at.Batch == batch)
	}}
}

// beside is the numbers before and after one in an ascending list.
func beside(all []int, n int) []int {
	i, found := slices.BinarySearch(all, n)
	after := i
	if found {
		after++
	}
	var out []int
	if i > 0 {
		out = append(out, all[i-1])
	}
	if after < len(all) {
		out = append(out, all[after])
	}
	return out
}

// ladder searches for the cheapest setting for other promises, from an eighth of the SLO to twice.
func (s *planSearch) ladder() {
	for _, eighths := range []time.Duration{6, 4, 3, 2, 1, 12, 16} {
		s.seek(aim{latency: s.SLO.Latency * eighths / 8}, searchAll)
	}
}

// frontier is the settings within the bounds that no other beats in both money and latency, the quickest first.
func (s *planSearch) frontier() []Candidate {
	pool := slices.DeleteFunc(slices.Clone(s.pool), func(j judged) bool { return len(j.bounds) > 0 || j.full })
	slices.SortStableFunc(pool, func(a, b judged) int {
		return cmp.Or(cmp.Compare(a.slowest(), b.slowest()), cmp.Compare(a.Month, b.Month), preferred(a, b))
	})
	var out []Candidate
	for _, j := range pool {
		if n := len(out); n == 0 || j.Month < out[n-1].Month {
			out = append(out, j.Candidate)
		}
	}
	return out
}

// alternatives is the cheapest setting that keeps the SLO of every batch limit and number of replicas, but
// for the chosen ones, the cheapest first.
func (s *planSearch) alternatives(chosen judged) []Candidate {
	type group struct{ batch, replicas int }
	of := func(j judged) group { return group{j.Setting.Batch, j.Setting.Replicas} }
	meets := slices.DeleteFunc(slices.Clone(s.pool), func(j judged) bool { return !j.Meets })
	slices.SortStableFunc(meets, func(a, b judged) int { return cmp.Or(cmp.Compare(a.Month, b.Month), preferred(a, b)) })
	seen := map[group]bool{of(chosen): true}
	var out []Candidate
	for _, j := range meets {
		if g := of(j); !seen[g] {
			seen[g] = true
			out = append(out, j.Candidate)
		}
	}
	return out
}
