package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"trimtab.dev/trimtab/recommender/replay"
	"trimtab.dev/trimtab/recommender/scaling"
)

// What the reactive rule does that ours stands beside: tools of the field fill 70 % of a replica by the newest
// window, and let replicas go after a while without need; here six windows.
const (
	reactiveFill   = 0.7
	reactiveMemory = 6
	replicasAtP99  = 8 // a replica's capacity is the 99th percentile of the rates, divided by this
)

// ratesScore is how a rule did on one series of request rates.
type ratesScore struct {
	windows  int // summed over the replicas
	over     int // windows in which they did not suffice
	measured int // windows
}

func (s ratesScore) overPercent() float64 { return 100 * float64(s.over) / float64(max(s.measured, 1)) }

func (s *ratesScore) add(o ratesScore) {
	s.windows, s.over, s.measured = s.windows+o.windows, s.over+o.over, s.measured+o.measured
}

// scoreReplicas counts a rule's replicas, one number for each window.
func scoreReplicas(rates []float64, capacity float64, replicas []int) ratesScore {
	s := ratesScore{measured: len(rates)}
	for i, rate := range rates {
		s.windows += replicas[i]
		if math.Ceil(rate/capacity) > float64(replicas[i]) {
			s.over++
		}
	}
	return s
}

// reactiveReplicas is the most that any of the last six windows needed. The first window is told what it needs.
func reactiveReplicas(rates []float64, capacity float64) []int {
	out := make([]int, len(rates))
	for i := range rates {
		for _, rate := range rates[max(0, i-reactiveMemory):max(1, i)] {
			out[i] = max(out[i], 1, int(math.Ceil(rate/(reactiveFill*capacity))))
		}
	}
	return out
}

// ourReplicas is what our rule asks for in each window, with so many windows until a replica is ready; the first
// windows are told what they need as the reactive rule does.
func ourReplicas(at []int64, rates []float64, capacity float64, step, lead time.Duration) []int {
	t := scaling.New(scaling.Options{Capacity: capacity, Window: step, Lead: lead})
	behind := 1 + int(lead/step)
	out := make([]int, len(rates))
	for i := range rates {
		if out[i] = max(1, int(math.Ceil(rates[0]/(reactiveFill*capacity)))); i >= behind {
			out[i] = t.Replicas(at[i]).Replicas
		}
		if known := i - behind + 1; known >= 0 {
			t.Add(at[known], rates[known])
		}
	}
	return out
}

// constantReplicas is the number that, never changed, falls short no oftener than over windows, chosen by all of them.
//
//	of needs 1 1 2 5:  over 0 -> 5   1 -> 2   2 -> 1
func constantReplicas(needs []int, over int) []int {
	least := slices.Sorted(slices.Values(needs))[max(len(needs)-1-over, 0)]
	return slices.Repeat([]int{least}, len(needs))
}

// neededReplicas is what each window needs, known before it comes.
func neededReplicas(rates []float64, capacity float64) []int {
	out := make([]int, len(rates))
	for i, rate := range rates {
		out[i] = max(1, int(math.Ceil(rate/capacity)))
	}
	return out
}

// late is the replicas that are ready when each number is followed so many windows later.
func late(replicas []int, windows int) []int {
	out := slices.Clone(replicas)
	copy(out[windows:], replicas)
	return out
}

// oneOfPool is how the parts of a pool are called whose total is a series of its own.
var oneOfPool = regexp.MustCompile(`-d\d+$`)

// replicas compares our rule for replicas with a reactive one.
func (a *advised) replicas() error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests\twindows\ttrimtab replica-windows\tover %\treactive\tover %\tone window late: trimtab\tover %\treactive\tover %\tknown afterwards: a constant\tover %\teach need\tover %\t")
	var faults []error
	var parts ratesScores
	idle := 0
	for _, e := range a.of("requests") {
		if !strings.HasSuffix(strings.TrimSuffix(e.Path, ".gz"), ".csv") {
			continue // numbers without times
		}
		scores, some, err := a.ratesOf(e)
		if err != nil || !some {
			faults, idle = append(faults, err), idle+1
			continue
		}
		if oneOfPool.MatchString(e.ID) {
			for k := range parts {
				parts[k].add(scores[k])
			}
			continue
		}
		ratesRow(t, e.ID, scores)
		faults = append(faults, a.ratesFigures(e.ID, scores))
	}
	ratesRow(t, "parts of pools, together", parts)
	t.Flush()
	a.say("%d series left out: nearly all of their rates are 0, there is one only, or they cannot be read", idle)
	return errors.Join(faults...)
}

// ratesScores are of ours and of the reactive rule, of both with replicas that are ready a window late, and of what could
// only be chosen afterwards: a constant that is over no oftener than ours, and what each window needs.
type ratesScores [6]ratesScore

// ratesOf is the scores of one series; false where the 99th percentile of the rates is 0, so that no capacity can be made up, or there is one rate only.
func (a *advised) ratesOf(e replay.Entry) (out ratesScores, some bool, err error) {
	var at []int64
	var values [][]float64
	err = a.folder.Open(e.Path, func(r io.Reader) (err error) {
		at, values, err = readColumns(r, e.Path, "")
		return err
	})
	if err != nil {
		return out, false, err
	}
	rates := values[0]
	capacity := linearPercentile(rates, 0.99) / replicasAtP99
	step := replay.Series{At: at}.Step()
	if !(capacity > 0) || step <= 0 {
		return out, false, nil
	}
	ours, reactive := ourReplicas(at, rates, capacity, step, 0), reactiveReplicas(rates, capacity)
	needs := neededReplicas(rates, capacity)
	for k, replicas := range [][]int{
		ours, reactive, ourReplicas(at, rates, capacity, step, step), late(reactive, 1),
		constantReplicas(needs, scoreReplicas(rates, capacity, ours).over), needs,
	} {
		out[k] = scoreReplicas(rates, capacity, replicas)
	}
	return out, true, nil
}

func ratesRow(w io.Writer, name string, s ratesScores) {
	fmt.Fprintf(w, "%s\t%d\t", name, s[0].measured)
	for _, one := range s {
		fmt.Fprintf(w, "%d\t%.2f\t", one.windows, one.overPercent())
	}
	fmt.Fprintln(w)
}

// ratesFigures records a series; the one of a load balancer, the hardest, has names of its own.
func (a *advised) ratesFigures(id string, s ratesScores) error {
	suffix := ""
	if strings.Contains(id, "elb") {
		suffix = "_elb"
	}
	return errors.Join(
		a.beside("replica_windows"+suffix, float64(s[0].windows), "replica-windows of "+id, other{"reactive", float64(s[1].windows)}),
		a.beside("replica_over_pct"+suffix, s[0].overPercent(), "% of the windows of "+id, other{"reactive", s[1].overPercent()}),
	)
}

// linearPercentile is the q-th quantile on the straight line between the two nearest ranks, as numpy has it.
//
//	of 1 2 3 4:  q 0.5 -> 2.5   0.9 -> 3.7
func linearPercentile(values []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	rank := q * float64(len(s)-1)
	i := min(int(rank), len(s)-1)
	return s[i] + (s[min(i+1, len(s)-1)]-s[i])*(rank-float64(i))
}
