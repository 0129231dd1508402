package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"

	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/recommender"
)

// settings are the daemon's flags.
type settings struct {
	listen, namespace, identity, store        string
	kubeconfig, context                       string
	interval, resolution, sampleEvery, settle time.Duration
	checkpointEvery, stopWithin, hour         time.Duration
	storeMaxBytes                             size
	elect, enforce                            bool
	prometheus                                outside
}

// defaultStoreMaxBytes leaves a volume of 2Gi, deploy/install.yaml's, room for the blocks that
// compaction writes before it removes those they replace.
const defaultStoreMaxBytes = 1536 << 20

// size is a flag of bytes in Kubernetes' notation, such as 1536Mi.
type size int64

func (s size) String() string { return resource.NewQuantity(int64(s), resource.BinarySI).String() }

// Set implements flag.Value.
func (s *size) Set(text string) error {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return fmt.Errorf("write an amount of bytes such as 1536Mi: %w", err)
	}
	*s = size(q.Value())
	return nil
}

func (s *settings) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.listen, "listen", ":8080", "`address` to answer on")
	fs.StringVar(&s.namespace, "namespace", cmp.Or(os.Getenv("POD_NAMESPACE"), "trimtab"), "`namespace` of policies, checkpoints and Lease")
	fs.StringVar(&s.identity, "identity", cmp.Or(os.Getenv("POD_NAME"), hostname()), "`name` in the leader election")
	fs.StringVar(&s.store, "store", "", "`folder` of the measurements, on a volume; empty: they end with the process")
	s.storeMaxBytes = defaultStoreMaxBytes
	fs.Var(&s.storeMaxBytes, "store-max-bytes", "most `bytes` of the store on disk, well below its volume's size; the oldest measurements go first")
	fs.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig `file`; empty: in-cluster, or $KUBECONFIG")
	fs.StringVar(&s.context, "context", "", "kubeconfig `context`")
	fs.DurationVar(&s.interval, "interval", time.Minute, "between passes")
	fs.DurationVar(&s.resolution, "resolution", time.Minute, "window of one sample")
	fs.DurationVar(&s.sampleEvery, "sample-every", 15*time.Second, "between readings of metrics.k8s.io and the model servers")
	fs.DurationVar(&s.settle, "settle", usage.DefaultSettle, "how long after its end a window is taken as complete: metrics-server's interval and ours")
	fs.DurationVar(&s.hour, "hour", time.Hour, "how long an hour of a plan takes; less only for trials, in which a day passes in minutes (20s: eight), with --checkpoint-every=0")
	fs.DurationVar(&s.checkpointEvery, "checkpoint-every", 5*time.Minute, "between history checkpoints in ConfigMaps; 0: none, nor is history read from them")
	fs.DurationVar(&s.stopWithin, "stop-within", 20*time.Second, "time to end cleanly after SIGTERM: the last checkpoint, the Lease, open answers")
	fs.BoolVar(&s.enforce, "enforce", false, "make what policies in mode enforce and approvals ask for; false: only recommend, whatever they say")
	s.prometheus.flags(fs)
	fs.BoolVar(&s.elect, "leader-elect", true, "hold a Lease while writing; false: this is the only one, and it writes nothing")
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "trimtab"
	}
	return name
}

// check gives every fault of the flags at once.
func (s settings) check() error {
	var faults []error
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"interval", s.interval}, {"resolution", s.resolution}, {"sample-every", s.sampleEvery}, {"settle", s.settle}, {"stop-within", s.stopWithin}} {
		if f.d < time.Second {
			faults = append(faults, badInput("trimtab run: --%s %s: give at least 1s", f.name, f.d))
		}
	}
	if err := recommender.Pace(s.hour).Check(); err != nil {
		faults = append(faults, badInput("trimtab run: --hour: %v", err))
	}
	if s.trial() && s.checkpointEvery > 0 {
		faults = append(faults, badInput("trimtab run: --hour %s with checkpoints: what is learnt in a trial must not outlive it; give --checkpoint-every=0", s.hour))
	}
	if s.checkpointEvery < 0 {
		faults = append(faults, badInput("trimtab run: --checkpoint-every %s: give 0 for none, or a time such as 5m", s.checkpointEvery))
	}
	if s.storeMaxBytes < 64<<20 {
		faults = append(faults, badInput("trimtab run: --store-max-bytes %s: give at least 64Mi", s.storeMaxBytes))
	}
	if s.enforce && !s.elect {
		faults = append(faults, badInput("trimtab run: --enforce with --leader-elect=false: only a leader may change anything; leave one of them out"))
	}
	if _, _, err := net.SplitHostPort(s.listen); err != nil {
		faults = append(faults, badInput("trimtab run: --listen %s: write HOST:PORT or :PORT", s.listen))
	}
	if s.prometheus.given() && s.store != "" {
		faults = append(faults, badInput("trimtab run: --store with --prometheus: what that server has is not stored again; leave one of them out"))
	}
	return errors.Join(append(faults, s.prometheus.check("run"))...)
}

// trial tells whether hours of a plan are none.
func (s settings) trial() bool { return s.hour != 0 && s.hour != time.Hour }

func runDaemon(ctx context.Context, args []string, out io.Writer) error {
	var s settings
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	s.flags(fs)
	if _, done, err := parse(fs, args, 0, "run [flags]", out); done {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if s.trial() {
		log.Warn("this is a trial: plans go by hours that are none", "hour", s.hour.String())
	}
	klog.SetSlogLogger(log) // client-go logs through klog
	p, err := build(s, log)
	if err != nil {
		return err
	}
	return p.run(ctx)
}
