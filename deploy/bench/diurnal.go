package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"trimtab.dev/trimtab/recommender"
)

const diurnalCommand = "make bench BENCH=diurnal"

// The two servers of the family: one that Trimtab sizes by its plan, and one with the request for the peak.
const (
	byPlan = "planned"
	byPeak = "static"
)

// Hours of a plan. It begins shortly before the first peak, which with the idle hours after it is what there is to
// learn from when the plan comes into force. What is judged begins some idle hours before the second peak.
const (
	dayHours    = 24
	beginsAt    = peakBegins - 1
	inForceFrom = beginsAt + 18
	judgedFrom  = dayHours + 4
)

// diurnal is one run of the family: a day's load in minutes, on a cluster of its own.
type diurnal struct {
	bench
	live      *live
	hour      time.Duration // of the plan
	days      float64       // that are judged
	lead      time.Duration // in the plan's time
	neighbour bool          // a pod beside them takes all CPU that is left over
	begun     time.Time
	peak      int64     // thousandths of a core: the request for the peak
	midnight  time.Time // with which the first day begins
}

// rehearse measures the daemon on a compressed day.
func rehearse(b bench) error {
	d := &diurnal{bench: b, begun: time.Now()}
	d.live = &live{liveOptions: liveOptions{root: b.root, command: diurnalCommand, say: d.say}}
	if err := d.flags(b.args); err != nil {
		return errUsage
	}
	d.live.daemon = []string{"--hour=" + d.hour.String(), "--resolution=5s", "--checkpoint-every=0"}
	return d.run()
}

func (d *diurnal) flags(args []string) error {
	fs := flag.NewFlagSet("diurnal", flag.ContinueOnError)
	fs.DurationVar(&d.hour, "hour", 15*time.Second, "how long an hour of the plan takes; metrics-server looks every 10 s")
	fs.Float64Var(&d.days, "days", 3, "days that are judged, after one that is learnt from")
	fs.DurationVar(&d.lead, "lead", 40*time.Minute, "of the policy, in the plan's time")
	fs.BoolVar(&d.neighbour, "neighbour", false, "beside both a pod with a small request takes all CPU that they leave")
	fs.StringVar(&d.live.binary, "bin", "", "`folder` with trimtab, modelserver and localkube; empty: they are built")
	err := fs.Parse(args)
	if err == nil {
		err = recommender.Pace(d.hour).Check()
		if !(d.days > 0 && d.days <= 14) || fs.NArg() > 0 {
			err = errors.Join(err, errors.New("give days above 0, at most 14, and no other arguments than flags"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench diurnal:", err)
		}
	}
	return err
}

func (d *diurnal) say(format string, args ...any) {
	fmt.Printf("[%5.0f s] %s\n", time.Since(d.begun).Seconds(), fmt.Sprintf(format, args...))
}

// run has a cluster for as long as it takes. It needs level 3 of localkube: Linux and root.
func (d *diurnal) run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l := d.live
	if l.dir, err = os.MkdirTemp("", "trimtab-diurnal-"); err != nil {
		return err
	}
	defer os.RemoveAll(l.dir)
	if err := l.build(ctx); err != nil {
		return err
	}
	d.say("a day of 24 hours of %s; one is learnt from and %.4g are judged", d.hour, d.days)
	if l.cluster, err = l.clusterUp(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.cluster.down()) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.measure(ctx)
}

// diurnalPolicy lets Trimtab size one of the two servers by its plan.
const diurnalPolicy = `
apiVersion: v1
kind: ConfigMap
metadata: {name: diurnal, namespace: trimtab, labels: {trimtab.dev/policy: ""}}
data:
  diurnal.yaml: |
    apiVersion: trimtab.dev/v1alpha1
    kind: Policy
    metadata: {name: diurnal}
    spec:
      mode: enforce
      class: online
      selector: {namespaces: [NAMESPACE], names: [SERVER]}
      minHistory: MEASURED
      staleAfter: 2m
      cooldown: 0s
      rightSizing: {rule: priced, risk: high, lead: LEAD, changesPerDay: 12, minCPU: 20m, minMemory: 128Mi}
      replicas: {enabled: false}
      spot: {enabled: false}
`

// prepare finds the request for the peak, and puts up both servers with it.
func (d *diurnal) prepare(ctx context.Context) error {
	s := liveSetting{batch: 8, delay: 2 * time.Millisecond, replicas: 1, milli: 500}
	if err := d.deploy(ctx, s, byPeak); err != nil {
		return err
	}
	cores, err := d.calibrate(ctx)
	if err != nil {
		return err
	}
	d.peak = 10 * int64(math.Ceil(100*cores*(1+liveHeadroom)))
	s.milli = d.peak
	d.say("the peak takes %.3f cores: both servers begin with a request of %dm, %.0f %% more, and limits of 1 core", cores, s.milli, 100*liveHeadroom)
	if err := d.deploy(ctx, s, byPlan, byPeak); err != nil {
		return err
	}
	if d.neighbour {
		if err := d.live.cluster.apply(ctx, strings.ReplaceAll(neighbourManifest, "NAMESPACE", liveNamespace)); err != nil {
			return err
		}
	}
	return d.live.cluster.apply(ctx, strings.NewReplacer("SERVER", byPlan, "NAMESPACE", liveNamespace,
		"MEASURED", ((inForceFrom-beginsAt)*d.hour).String(), "LEAD", d.lead.String()).Replace(diurnalPolicy))
}

// deploy puts servers up and waits until they are alone and ready.
func (d *diurnal) deploy(ctx context.Context, s liveSetting, servers ...string) error {
	text := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + liveNamespace + "}\n"
	for _, name := range servers {
		text += "---" + filledFor(name, liveManifest, s, 1)
	}
	if err := d.live.cluster.apply(ctx, text); err != nil {
		return err
	}
	return eventually(ctx, strings.Join(servers, " and ")+" are ready", 2*time.Minute, func() (bool, error) {
		pods, err := d.live.podsNow(ctx)
		ready := 0
		for _, p := range pods {
			if p.ready() {
				ready++
			}
		}
		return ready == len(servers) && len(pods) == ready, err
	})
}

// neighbourManifest is a pod that asks for next to nothing and takes what there is: a server that is loaded without
// end from beside it.
const neighbourManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: neighbour, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: neighbour}}
  template:
    metadata: {labels: {app: neighbour}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: server
          image: localhost/trimtab/modelserver:dev
          args: [serve, --model=mlp-large, --port=8080]
          resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 256Mi}}
        - name: load
          image: localhost/trimtab/modelserver:dev
          args: [load, --target=http://127.0.0.1:8080, --model=mlp-large, --rate=5000, --max-inflight=64, --every=1h]
          resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 256Mi}}
`

// measure has both servers go through the same days at the same time.
func (d *diurnal) measure(ctx context.Context) error {
	watch := d.watch(ctx)
	defer watch.stop()
	d.midnight = hourAfter(time.Now().Add(startsWithin), d.hour).Add(-beginsAt * d.hour)
	if _, err := d.replay(ctx, beginsAt, judgedFrom); err != nil {
		return err
	}
	seen, err := d.replay(ctx, judgedFrom, judgedFrom+int(math.Round(dayHours*d.days)))
	if err != nil {
		return err
	}
	watch.stop()
	return d.result(ctx, seen, watch)
}

// both does the same for both servers at once.
func both[T any](do func(server string) (T, error)) (map[string]T, error) {
	out, faults := map[string]T{}, []error{nil, nil}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, server := range []string{byPlan, byPeak} {
		wg.Go(func() {
			v, err := do(server)
			mu.Lock()
			defer mu.Unlock()
			out[server], faults[i] = v, err
		})
	}
	wg.Wait()
	return out, errors.Join(faults...)
}
