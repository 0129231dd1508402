package usage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// lookEvery is how long what was found out about a server stands.
const lookEvery = 10 * time.Minute

// How often a server scrapes is counted over a time; where nothing tells, it is guessed.
const (
	paceOver    = 10 * time.Minute
	guessedPace = 30 * time.Second
)

// known is what was found out about a server.
type known struct {
	asOf, since time.Time // when, and how far back it was looked
	have        map[string]bool
	queries     []query // those that it can answer
	gaps        []string
	interval    time.Duration // between two scrapes of a kubelet
	served      time.Duration // between two scrapes of a model server
}

// look finds out what the server has, anew from time to time.
func (e *External) look(ctx context.Context, since, until time.Time) (known, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.known; k.have != nil && !since.Before(k.since) && until.Sub(k.asOf).Abs() < lookEvery {
		return k, nil
	}
	k := known{asOf: until, since: since}
	containers, others := families()
	w := where{match: e.o.Match}
	names, err := e.backend.names(ctx, []string{
		w.fill(anyOf(containers) + "$container}"), w.fill(anyOf(others) + "$any}"),
	}, earlier(since, until.Add(-time.Hour)), until)
	if err != nil {
		return known{}, fmt.Errorf("ask %s which metrics it has: %w", e.name, err)
	}
	k.have = map[string]bool{}
	for _, n := range names {
		k.have[n] = true
	}
	if err := k.choose(e.name); err != nil {
		return known{}, err
	}
	if k.interval, err = e.pace(ctx, k.readingsOf(cadvisorMemory+"{$container}", cadvisorMemory), until); err != nil {
		return known{}, err
	}
	asked := firstOf(func(s source) string { return k.readingsOf(inPod(s.requests), s.requests) })
	if k.served, err = e.pace(ctx, asked, until); err != nil {
		return known{}, err
	}
	e.known = k
	e.tell(k.gaps)
	return k, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// anyOf opens a selector of several metrics.
func anyOf(names []string) string { return `{__name__=~"` + strings.Join(names, "|") + `",` }

// choose takes the queries that can be answered and notes the others' gaps. It is an error if that leaves
// nothing to read.
func (k *known) choose(server string) error {
	for _, q := range cadvisorQueries(func(family string) bool { return k.have[family] }) {
		if q.gap != "" {
			k.gaps = append(k.gaps, q.gap)
			continue
		}
		k.queries = append(k.queries, q)
	}
	var faults []error
	if !k.have[cadvisorCPU] && !k.have[cadvisorMemory] {
		faults = append(faults, fmt.Errorf("%s has no %s and no %s with container and image labels: let it scrape /metrics/cadvisor of the kubelets", server, cadvisorCPU, cadvisorMemory))
	}
	switch {
	case k.have[PodOwner], k.have[statePodOwner] && k.have[stateSetOwner]:
	case k.have[statePodOwner]:
		k.gaps = append(k.gaps, "no "+stateSetOwner+": pods of Deployments are nobody's; let kube-state-metrics tell of replicasets")
	default:
		faults = append(faults, fmt.Errorf("%s has no %s and no %s: connect kube-state-metrics, or let it scrape Trimtab's /metrics", server, statePodOwner, PodOwner))
	}
	return errors.Join(faults...)
}

// readingsOf is how often the series of each pod were read of late, of pods that lived through all of it; empty:
// there are none of the family.
func (k known) readingsOf(series, family string) string {
	if !k.have[family] {
		return ""
	}
	of := func(over string) string { return "max " + byHolder + "(count_over_time(" + series + over + "))" }
	return "(" + of("["+millis(paceOver)+"]") + " and " + of("["+millis(paceOver/5)+"] offset "+millis(paceOver*4/5)) + ")"
}

// pace is the time between two scrapes of the middle one of all pods.
func (e *External) pace(ctx context.Context, readings string, until time.Time) (time.Duration, error) {
	if readings == "" {
		return guessedPace, nil
	}
	text := where{match: e.o.Match}.fill("quantile(0.5, " + readings + ")")
	m, done, err := e.backend.query(ctx, text, until, until, time.Minute)
	switch {
	case errors.Is(err, errTooMuch):
		return guessedPace, nil // which only says how far a rate looks back
	case err != nil:
		return 0, fmt.Errorf("ask %s how often it scrapes: %w", e.name, err)
	}
	defer done()
	if len(m) == 0 || len(m[0].Floats) == 0 || !(m[0].Floats[0].F >= 2) {
		return guessedPace, nil
	}
	whole := math.Ceil(paceOver.Seconds() / m[0].Floats[0].F)
	return time.Duration(whole) * time.Second, nil
}

// tell logs what the server lacks, once.
func (e *External) tell(gaps []string) {
	if slices.Equal(e.told, gaps) {
		return
	}
	e.told = gaps
	for _, g := range gaps {
		e.log.Warn("some usage cannot be read", "server", e.name, "why", g)
	}
}

// Gaps says what cannot be read for want of metrics, as found out by the last read.
func (e *External) Gaps() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.known.gaps)
}

// at fills in the durations. Without a beat that is shorter than the window the mean is its one reading.
func (k known) at(q query, window time.Duration) query {
	interval := k.interval
	if q.signal == fleet.Requests || q.signal == fleet.Latency {
		interval = k.served
	}
	fine := multiple(max(beat, interval), beat)
	if strings.Contains(q.max, "$beat") && fine >= window {
		q.max = ""
	}
	q = q.each(strings.NewReplacer("$burst", millis(fine+interval), "$beat", millis(fine)).Replace)
	return q.at(window, interval)
}

// checkMatch refuses label matchers that would break every query.
func checkMatch(match string) error {
	if match == "" {
		return nil
	}
	if _, err := parser.NewParser(parser.Options{}).ParseMetricSelector("up{" + match + "}"); err != nil {
		return fmt.Errorf("label matchers %s: %w; write them as cluster=\"west\",env=\"prod\"", match, err)
	}
	return nil
}
