package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a core and a GiB cost for an hour on the nodes of localkube, m5.large at $0.096, split as Trimtab
// splits it: a core counts 31,611 and a GiB 4,237, so 2 cores and 8 GiB are 97,118 parts.
const (
	nodeHour  = 0.096
	coreHour  = nodeHour * 31_611 / 97_118 // $0.031247
	gibHour   = nodeHour * 4_237 / 97_118  // $0.0041882
	livePrice = "$0.0312 a core and $0.0042 a GiB an hour (m5.large on demand, us-east-1, $0.096 an hour)"
)

// requested is what pods request together at a moment.
type requested struct {
	at    time.Time
	pods  int
	milli int64
	bytes int64
}

// hourly is what that costs an hour, in dollars.
func (r requested) hourly() float64 {
	return float64(r.milli)/1000*coreHour + float64(r.bytes)/(1<<30)*gibHour
}

// bill is what was requested over time, in order.
type bill []requested

// dollars is what it cost between two moments. What was seen holds until the next look; before the first
// look nothing is known and nothing is counted.
func (b bill) dollars(from, to time.Time) float64 {
	return held(b, from, to, func(r requested) (time.Time, float64) { return r.at, r.hourly() })
}

// held adds up what was seen between two moments, in its unit times hours: each look, of which seen gives when and
// what, holds until the next.
func held[T any](looks []T, from, to time.Time, seen func(T) (time.Time, float64)) float64 {
	sum := 0.0
	for i, l := range looks {
		since, value := seen(l)
		until := to
		if i+1 < len(looks) {
			if next, _ := seen(looks[i+1]); next.Before(to) {
				until = next
			}
		}
		if since.Before(from) {
			since = from
		}
		if span := until.Sub(since); span > 0 {
			sum += value * span.Hours()
		}
	}
	return sum
}

// totalOf adds up what pods request: those that a node has and that have not ended, ready or not.
func totalOf(pods []livePod, at time.Time) (requested, error) {
	r := requested{at: at}
	for _, p := range pods {
		if p.Spec.NodeName == "" || p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
			continue
		}
		r.pods++
		for _, c := range p.Spec.Containers {
			cpu, err := quantity(c.Resources.Requests["cpu"])
			if err != nil {
				return r, fmt.Errorf("CPU of pod %s: %w", p.Metadata.Name, err)
			}
			memory, err := quantity(c.Resources.Requests["memory"])
			if err != nil {
				return r, fmt.Errorf("memory of pod %s: %w", p.Metadata.Name, err)
			}
			r.milli += int64(1000*cpu + 0.5)
			r.bytes += int64(memory)
		}
	}
	return r, nil
}

// quantity reads what the API server writes as a quantity of CPU or memory; "" is 0.
func quantity(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	for _, unit := range []struct {
		suffix string
		factor float64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"n", 1e-9}, {"u", 1e-6}, {"m", 1e-3}, {"", 1}} {
		if number, ok := strings.CutSuffix(text, unit.suffix); ok {
			v, err := strconv.ParseFloat(number, 64)
			return v * unit.factor, err
		}
	}
	return 0, fmt.Errorf("%q is no quantity", text) // unreachable: the last suffix fits all
}

// billing looks at the pods once a second until it is stopped. A look that fails is left out: what was
// seen before holds on.
func (l *live) billing(ctx context.Context) (stop func() (bill, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var b bill
	var last error
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			pods, err := l.podsNow(ctx)
			if err == nil {
				var r requested
				if r, err = totalOf(pods, time.Now()); err == nil {
					b = append(b, r)
				}
			}
			if ctx.Err() == nil {
				last = err
			}
			if pause(ctx, time.Second) != nil {
				return
			}
		}
	})
	return func() (bill, error) {
		cancel()
		wg.Wait()
		if len(b) == 0 {
			return nil, fmt.Errorf("the server's pods were never seen: %w", last)
		}
		return b, nil
	}
}
