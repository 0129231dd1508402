package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"k8s.io/klog/v2"

	"trimtab.dev/trimtab/optimizer/usage"
)

// settings are the daemon's flags.
type settings struct {
	listen, namespace, identity, store        string
	kubeconfig, context                       string
	interval, resolution, sampleEvery, settle time.Duration
	checkpointEvery, stopWithin               time.Duration
	elect                                     bool
}

func (s *settings) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.listen, "listen", ":8080", "`address` to answer on")
	fs.StringVar(&s.namespace, "namespace", or(os.Getenv("POD_NAMESPACE"), "trimtab"), "`namespace` of policies, checkpoints and Lease")
	fs.StringVar(&s.identity, "identity", or(os.Getenv("POD_NAME"), hostname()), "`name` in the leader election")
	fs.StringVar(&s.store, "store", "", "`folder` of the measurements, on a volume; empty: they end with the process")
	fs.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig `file`; empty: in-cluster, or $KUBECONFIG")
	fs.StringVar(&s.context, "context", "", "kubeconfig `context`")
	fs.DurationVar(&s.interval, "interval", time.Minute, "between passes")
	fs.DurationVar(&s.resolution, "resolution", time.Minute, "window of one sample")
	fs.DurationVar(&s.sampleEvery, "sample-every", 15*time.Second, "between readings of metrics.k8s.io and the model servers")
	fs.DurationVar(&s.settle, "settle", usage.DefaultSettle, "how long after its end a window is taken as complete: metrics-server's interval and ours")
	fs.DurationVar(&s.checkpointEvery, "checkpoint-every", 5*time.Minute, "between history checkpoints in ConfigMaps; 0: none")
	fs.DurationVar(&s.stopWithin, "stop-within", 20*time.Second, "time to end cleanly after SIGTERM")
	fs.BoolVar(&s.elect, "leader-elect", true, "hold a Lease while writing; false: this is the only one, and it writes nothing")
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
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
	}{{"interval", s.interval}, {"resolution", s.resolution}, {"sample-every", s.sampleEvery}, {"settle", s.settle}} {
		if f.d < time.Second {
			faults = append(faults, badInput("trimtab run: --%s %s: give at least 1s", f.name, f.d))
		}
	}
	if s.checkpointEvery < 0 {
		faults = append(faults, badInput("trimtab run: --checkpoint-every %s: give 0 for none, or a time such as 5m", s.checkpointEvery))
	}
	if _, _, err := net.SplitHostPort(s.listen); err != nil {
		faults = append(faults, badInput("trimtab run: --listen %s: write HOST:PORT or :PORT", s.listen))
	}
	return errors.Join(faults...)
}

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
	klog.SetSlogLogger(log) // client-go logs through klog
	p, err := build(s, log)
	if err != nil {
		return err
	}
	return p.run(ctx)
}
