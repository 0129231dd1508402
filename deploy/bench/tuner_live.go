package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// liveOptions say how the tuner is measured on a real cluster.
type liveOptions struct {
	root    string   // of the repository
	binary  string   // folder with trimtab, modelserver and localkube; empty: they are built
	traces  string   // a folder of request traces, or one trace; empty: one is made up
	from    string   // where in the trace an arm begins, like 13h; empty: shortly before its busiest window
	only    string   // arms to run, separated by commas; empty: all of them
	minutes int      // of an arm; 0: 8, and 2 with quick
	quick   bool     // two short arms and no sweep, to try the harness
	command string   // that is written beside each figure; empty: make bench BENCH=tuner
	daemon  []string // its flags that differ from the demo's, like --hour=15s
	say     func(format string, a ...any)
}

// The server of every arm, mis-configured as it begins, and what is asked of it.
const (
	liveNamespace = "live"
	liveServer    = "quotes"
	liveModel     = "mlp-large"
	livePeak      = 150.0 // requests a second in the trace's busiest window
	liveSLO       = 80 * time.Millisecond
	liveTail      = 0.99
	liveMargin    = 0.2 // of requested CPU over what is used; the document's and the sweep's
	liveHeadroom  = 0.3 // of the careful person
)

// liveStart is what every arm but the careful person's begins with: single rows, four replicas, and many
// times the CPU that they need.
var liveStart = liveSetting{batch: 1, delay: time.Millisecond, replicas: 4, milli: 300}

// liveSetting is one way to run the server. Memory and limits are the same in all of them.
type liveSetting struct {
	batch    int
	delay    time.Duration
	replicas int
	milli    int64 // thousandths of a core that each pod requests
}

func (s liveSetting) String() string {
	return fmt.Sprintf("batch %d, delay %s, %d x %dm", s.batch, s.delay, s.replicas, s.milli)
}

// live is the measurement under way.
type live struct {
	liveOptions
	dir     string // of its own: binaries, cluster, traces
	bin     string
	cluster *liveCluster
	replay  liveReplay
	arms    []armResult
}

// liveTuner runs every arm after the other on one cluster of its own and gives the figures, beside an error
// those of the arms that worked. The cluster is taken down in any case. It needs level 3 of localkube: Linux
// and root.
func liveTuner(o liveOptions) (_ []line, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l := &live{liveOptions: o}
	if l.minutes == 0 {
		l.minutes = 8
		if l.quick {
			l.minutes = 2
		}
	}
	if l.command == "" {
		l.command = "make bench BENCH=tuner"
	}
	if l.dir, err = os.MkdirTemp("", "trimtab-live-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(l.dir)
	if l.replay, err = l.findTrace(); err != nil {
		return nil, err
	}
	if err := l.build(ctx); err != nil {
		return nil, err
	}
	l.header()
	if l.cluster, err = l.clusterUp(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.cluster.down()) }()
	err = l.runArms(ctx)
	return l.figures(), err
}

// header says what is compared, and what is not as it would be in a cluster of one's own.
func (l *live) header() {
	l.say("live: %s on two nodes of localkube, which with its control plane and the load shares this machine's cores", liveModel)
	l.say("  every arm: %d minutes of %s; p%g within %s as the client sees it, from when a request was due", l.minutes, l.replay.about, 100*liveTail, liveSLO)
	l.say("  all begin with %s, but for the static peak; limits of 1 core and 256Mi, memory request 128Mi", liveStart)
	l.say("  what is requested is paid: %s", livePrice)
	l.say("  hpa: autoscaling/v2, CPU 70 %%, 1 to %d replicas, scale-down looks back %s instead of 5 min, to its advantage in an arm this short", liveStart.replicas, hpaLooksBack)
	l.say("  vpa+hpa: VPA's rule for CPU requests (p90 of a decaying histogram x 1.15, at least 25m) applied in place every minute by this program, not the VPA's own; the same HPA on top")
	l.say("  trimtab: the daemon runs during every arm, but has a document only in its own")
}

// liveArm is one way to run the server through the trace.
type liveArm struct {
	name, about string
	run         func(*live, context.Context) (armResult, error)
}

const armTrimtab, armHPA, armVPA, armStatic, armOptimum = "trimtab", "hpa", "vpa+hpa", "static", "optimum"

func liveArms() []liveArm {
	return []liveArm{
		{armTrimtab, "Trimtab tunes it", (*live).trimtabArm},
		{armHPA, "an autoscaler alone", (*live).hpaArm},
		{armVPA, "VPA's rule and an autoscaler", (*live).vpaArm},
		{armStatic, "batches of one row, set for the peak with 30 % to spare", (*live).staticArm},
		{armOptimum, "the cheapest of a sweep that keeps the SLO", (*live).optimumArm},
	}
}

// runArms runs them one after the other; one that fails does not keep the others from being measured.
func (l *live) runArms(ctx context.Context) error {
	only := l.only
	if only == "" && l.quick {
		only = armTrimtab + "," + armHPA
	}
	var faults []error
	for _, a := range liveArms() {
		if only != "" && !slices.Contains(strings.Split(only, ","), a.name) {
			continue
		}
		l.say("live, %s: %s", a.name, a.about)
		before, _ := machineNow()
		r, err := a.run(l, ctx)
		if err == nil {
			after, _ := machineNow()
			r.stolen, _ = disturbance(before, after, 0, 1)
			l.arms = append(l.arms, r)
			l.tell(r)
		} else {
			faults = append(faults, fmt.Errorf("live, %s: %w", a.name, err))
			l.say("  %s", faults[len(faults)-1])
		}
		if err := l.clear(ctx); err != nil {
			return errors.Join(append(faults, err)...)
		}
		if ctx.Err() != nil {
			return errors.Join(append(faults, ctx.Err())...)
		}
	}
	return errors.Join(faults...)
}

// file is a path in the measurement's own folder.
func (l *live) file(name string) string { return filepath.Join(l.dir, name) }
