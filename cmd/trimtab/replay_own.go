package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/usage"
	"trimtab.dev/trimtab/recommender/replay"
)

// How far back a workload's own history may be read. Less than the four days is all warm-up and a rest; of more
// than the year hardly any server keeps so much.
const (
	leastLookback = 4 * 24 * time.Hour
	mostLookback  = 366 * 24 * time.Hour
)

// ownWindow is the length of a sample of a replay, in which the recorded traces of others come too.
const ownWindow = 5 * time.Minute

// ownHistory reads what a workload used from a Prometheus server, and what it requests now from its cluster. It
// writes nothing anywhere.
type ownHistory struct {
	localPlan
	now func() time.Time
}

func (o *ownHistory) flags(fs *flag.FlagSet) {
	o.outside.flags(fs)
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "with --prometheus: kubeconfig `file` of the cluster that tells the live requests; empty: $KUBECONFIG or the usual place")
	fs.StringVar(&o.context, "context", "", "with --prometheus: kubeconfig `context`; empty: the current one")
	o.lookbackFlag(fs, "with --prometheus: the `time` that use is read of, such as 14d or 336h; the first three days are warm-up (default 14d)")
}

// workloadNamed splits NAMESPACE/NAME. What is there as a file or a folder goes first, and what is called as a
// table is one that is missing.
func workloadNamed(arg string) (namespace, name string, ok bool) {
	if _, err := os.Stat(arg); err == nil || strings.HasSuffix(strings.TrimSuffix(arg, ".gz"), ".csv") {
		return "", "", false
	}
	namespace, name, _ = strings.Cut(arg, "/")
	ok = len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
	return namespace, name, ok
}

// check gives every fault of the flags at once.
func (o ownHistory) check(name string) error {
	faults := []error{o.outside.check("replay")}
	if !o.given() {
		faults = append(faults, badInput("trimtab replay: %s: there is no such file or folder, and the history of a workload comes from a server: give --prometheus URL, or name a file that is there", name))
	}
	if o.lookback < leastLookback || o.lookback > mostLookback {
		faults = append(faults, badInput("trimtab replay: --lookback %s: give %s to %s", inDays(o.lookback), inDays(leastLookback), inDays(mostLookback)))
	}
	return errors.Join(faults...)
}

// series are those of every container of the workload: of CPU, then of memory. Grants: whether the cluster is
// asked what they request now.
func (o ownHistory) series(ctx context.Context, namespace, name string, grants bool) ([]replay.Series, error) {
	var granted map[fleet.Ref]fleet.PodShape
	if grants {
		var err error
		if granted, err = o.granted(ctx, namespace); err != nil {
			return nil, err
		}
	}
	used, err := o.read(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	all := used.series(granted)
	if len(all) == 0 {
		return nil, badInput("trimtab replay: no series of %s/%s in the last %s at %s; give the namespace and name of its Deployment (not of a pod), a longer --lookback, or the --prometheus-match of its cluster",
			namespace, name, inDays(o.lookback), o.address())
	}
	enough, short := longEnough(all)
	if len(enough) == 0 {
		return nil, badInput("trimtab replay: %s/%s has only %.1f days of use at %s, and the first three are warm-up; give a longer --lookback, or replay it when there is more",
			namespace, name, longest(all).Hours()/24, o.address())
	}
	for _, s := range short {
		o.say("note: %s of %s is left out: %d samples are too few to be scored", s.Unit, s.ID, len(s.At))
	}
	for _, s := range enough {
		if s.Granted == 0 && len(granted) > 0 {
			o.say("note: %s requests no %s now, so ratios to what is granted are left out; leave it out by --only", s.ID, s.Unit)
		}
	}
	return enough, nil
}

// read collects the use; what of it there is not is said.
func (o ownHistory) read(ctx context.Context, namespace, name string) (*ownUse, error) {
	options := o.options(slog.New(slog.DiscardHandler))
	options.Step, options.Coarse = ownWindow, ownWindow // all windows alike
	reader, err := usage.NewExternal(options)
	if err != nil {
		return nil, err
	}
	until := o.now()
	since := until.Add(-o.lookback)
	o.say("reading what the hottest replica of %s/%s used since %s from %s, by %s", namespace, name, since.UTC().Format("2006-01-02 15:04"), o.address(), ownWindow)
	told, used, n := o.progressOf(since, until), newOwnUse(), 0
	err = reader.EachOf(ctx, refsCalled(namespace, name), since, until, func(samples []fleet.Sample) error {
		n += len(samples)
		told(samples, n)
		used.add(samples)
		return nil
	})
	if err != nil {
		return nil, err
	}
	o.say("read %d samples of %d pods", n, len(used.pods))
	for _, lacking := range used.gaps(reader.Gaps()) {
		o.say("note: %s", lacking)
	}
	return used, nil
}

// refsCalled are the workloads of all kinds that own pods, by that name.
func refsCalled(namespace, name string) []fleet.Ref {
	var out []fleet.Ref
	for _, kind := range []string{"CloneSet", "DaemonSet", "Deployment", "Job", "RayCluster", "ReplicationController", "Rollout", "StatefulSet"} {
		out = append(out, fleet.Ref{Namespace: namespace, Kind: kind, Name: name})
	}
	return out
}

// address is the server's URL without credentials.
func (o ownHistory) address() string {
	u, err := url.Parse(o.url)
	if err != nil {
		return "the server" // unreachable unless bug: check has parsed it
	}
	return u.Redacted()
}

// daysOrDuration reads 14d, or a duration as Go writes it.
func daysOrDuration(text string) (time.Duration, error) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(number, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errors.New("write days such as 14d, or a duration such as 336h")
	}
	return d, nil
}

// inDays writes whole days as such: 14d, else as Go does.
func inDays(d time.Duration) string {
	if day := 24 * time.Hour; d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
