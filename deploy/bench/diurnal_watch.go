package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// glance is what was seen of a server's pod at a moment.
type glance struct {
	at      time.Time
	asked   int64   // thousandths of a core that it requests
	inForce int64   // and that its node has given it
	used    float64 // CPU seconds since it began; below 0: not looked at
}

// looks are a server's, in order.
type looks []glance

// held is the look that holds at a moment; false: there was none before.
func (s looks) held(at time.Time) (int, bool) {
	n := 0
	for n < len(s) && !s[n].at.After(at) {
		n++
	}
	return n - 1, n > 0
}

// coreHours is what was requested between two moments. What was seen holds until the next look.
func (s looks) coreHours(from, to time.Time) float64 {
	return held(s, from, to, func(l glance) (time.Time, float64) { return l.at, float64(l.asked) / 1000 })
}

// cores is the mean use between two moments, from the first to the last look at it; false: there are no two.
func (s looks) cores(from, to time.Time) (float64, bool) {
	var first, last *glance
	for i := range s {
		l := &s[i]
		if l.used < 0 || l.at.Before(from) || l.at.After(to) {
			continue
		}
		if first == nil {
			first = l
		}
		last = l
	}
	if first == last {
		return 0, false
	}
	return (last.used - first.used) / last.at.Sub(first.at).Seconds(), true
}

// resizes counts the changes of the request between two moments.
func (s looks) resizes(from, to time.Time) (n int) {
	for i := 1; i < len(s); i++ {
		if at := s[i].at; s[i].asked != s[i-1].asked && !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// ahead is how long before a moment so much had come into force, below 0 where that was after it, by a later
// one at the latest. Not raised is what was in force since before a moment, or never came: kept tells which.
func (s looks) ahead(since, at, until time.Time, need int64) (by time.Duration, raised, kept bool) {
	i, ok := s.held(at)
	if !ok {
		return 0, false, false
	}
	if s[i].inForce < need {
		for ; i < len(s) && !s[i].at.After(until); i++ {
			if s[i].inForce >= need {
				return at.Sub(s[i].at), true, false
			}
		}
		return 0, false, false
	}
	for i > 0 && s[i-1].inForce >= need {
		i--
	}
	if !s[i].at.After(since) {
		return 0, false, true
	}
	return at.Sub(s[i].at), true, false
}

// diurnalWatch looks at both servers until it is stopped.
type diurnalWatch struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	seen   map[string]looks
	fault  error // the last one
}

// looksAtUse is how many looks come with one at the CPU that was used, which costs more.
const looksAtUse = 5

func (d *diurnal) watch(ctx context.Context) *diurnalWatch {
	ctx, cancel := context.WithCancel(ctx)
	w := &diurnalWatch{cancel: cancel, seen: map[string]looks{}}
	w.wg.Go(func() {
		for n := 0; ; n++ {
			if err := d.look(ctx, w, n%looksAtUse == 0); err != nil && ctx.Err() == nil {
				w.fault = err
			}
			if pause(ctx, time.Second) != nil {
				return
			}
		}
	})
	return w
}

func (w *diurnalWatch) stop() {
	w.cancel()
	w.wg.Wait()
}

// look adds what is seen now, and says what has changed.
func (d *diurnal) look(ctx context.Context, w *diurnalWatch, use bool) error {
	pods, err := d.live.podsNow(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	var faults []error
	for _, p := range pods {
		name, _, _ := strings.Cut(p.Metadata.Name, "-")
		if !p.ready() || name != byPlan && name != byPeak {
			continue
		}
		l, err := lookAt(p, now)
		if use && err == nil {
			l.used, err = d.live.metric(ctx, p, "process_cpu_seconds_total")
		}
		faults = append(faults, err)
		if before := w.seen[name]; len(before) > 0 && before[len(before)-1].asked != l.asked {
			d.say("%s requests %dm, %dm before", name, l.asked, before[len(before)-1].asked)
		}
		w.seen[name] = append(w.seen[name], l)
	}
	return errors.Join(faults...)
}

// lookAt reads the requests of a pod's one container.
func lookAt(p livePod, now time.Time) (glance, error) {
	l := glance{at: now, used: -1}
	asked, err := quantity(p.Spec.Containers[0].Resources.Requests["cpu"])
	given, err2 := quantity(p.Status.ContainerStatuses[0].Resources.Requests["cpu"])
	if err := errors.Join(err, err2); err != nil {
		return l, fmt.Errorf("CPU of pod %s: %w", p.Metadata.Name, err)
	}
	l.asked, l.inForce = int64(1000*asked+0.5), int64(1000*given+0.5)
	return l, nil
}
