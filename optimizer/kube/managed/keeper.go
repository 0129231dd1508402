package managed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// Keeper makes and tunes the servers of InferenceServer documents. It implements optimizer.Keeper. It is
// for one goroutine.
type Keeper struct {
	client  kubernetes.Interface
	kinds   []kind
	ledger  optimizer.Ledger
	prices  cost.Prices
	log     *slog.Logger
	scraper *http.Client
	url     func(ip string) string // of a pod's metrics
	// unasked is since when no document asks for a server that is there.
	unasked map[types.NamespacedName]time.Time
	// wishes are what documents last said is to become of their servers without them.
	wishes  map[types.NamespacedName]policies.OnDelete
	tuning  *tuning
	repairs map[string]repair // by the row of an object
	glances map[string]look   // by namespace and name
}

// New is the Keeper behind client. What it changes for good it writes down in ledger; prices are those
// under which the documents' own are put.
func New(client kubernetes.Interface, ledger optimizer.Ledger, prices cost.Prices, log *slog.Logger) *Keeper {
	return &Keeper{
		client: client, kinds: kinds(client), ledger: ledger, prices: prices, log: log,
		scraper: newClient(), url: metricsURL,
		tuning: newTuning(), repairs: map[string]repair{}, glances: map[string]look{}, wishes: map[types.NamespacedName]policies.OnDelete{},
	}
}

// pass is one call of Keep.
type pass struct {
	*Keeper
	snapshot fleet.Snapshot
	rates    cost.Prices
	write    bool
	now      time.Time
	open     []optimizer.Entry // the keeper's own that are not closed
}

// reopen reads what was begun and not ended. Without it nothing may be written.
func (p *pass) reopen(ctx context.Context) error {
	if !p.write {
		return nil
	}
	open, err := p.unfinished(ctx)
	if err != nil {
		p.write = false
		return fmt.Errorf("inference servers are left as they are: %w", err)
	}
	p.open = open
	return nil
}

// Keep implements optimizer.Keeper: it compares every server's objects with its document and makes them
// so where write and the document say so, and takes the tuning of each a step further. Pods are asked for
// their metrics, each for two seconds at most. Where the ledger cannot be read, nothing is written.
func (k *Keeper) Keep(ctx context.Context, set policies.Set, seen fleet.Snapshot, write bool, now time.Time) ([]optimizer.Kept, error) {
	p := &pass{Keeper: k, snapshot: seen, rates: k.prices.With(rows(set.Prices)...), write: write, now: now}
	errs := []error{p.reopen(ctx)}
	var out []optimizer.Kept
	for _, s := range set.Servers {
		k.wishes[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}] = s.OnDelete
		out = append(out, p.server(ctx, s)...)
	}
	k.tuning.keepOnly(set.Servers)
	left, err := p.leftovers(ctx, set)
	return append(out, left...), errors.Join(append(errs, err)...)
}

// job is one server in one pass.
type job struct {
	*pass
	server   policies.Server
	enforced bool
	found    map[string]live // by kind
	adopted  *adopted        // what is kept as it was found
	seen     fleet.Workload  // the Deployment as observed; without a name it was not
	pods     []pod
	drifted  bool // somebody else wrote the settings
}

func (j *job) key() string { return j.server.Namespace + "/" + j.server.Name }

// server keeps one server; what goes wrong with it is in its rows.
func (p *pass) server(ctx context.Context, s policies.Server) []optimizer.Kept {
	j := &job{pass: p, server: s, enforced: p.write && s.Mode == policies.Enforce && !s.Paused, found: map[string]live{}}
	for _, w := range p.snapshot.Workloads {
		if w.Ref == ref(s) {
			j.seen = w
		}
	}
	if rows, ok := p.glance(s); ok {
		return rows
	}
	kind, err := j.read(ctx)
	if err != nil {
		return []optimizer.Kept{j.row(kind, optimizer.Refused, oneLine(err)+"; nothing of the server is written")}
	}
	rows := j.keep(ctx)
	if s.Paused {
		rows = paused(rows)
	}
	p.seenAt(s, rows)
	return rows
}

// keep is server once its objects were read.
func (j *job) keep(ctx context.Context) []optimizer.Kept {
	last, known := j.record()
	next := last
	if !known || !last.State.Goal.Equal(Goal(j.server)) {
		next = begin(j.server, last, j.now)
	}
	next.Adopted = j.adopted
	if !j.enforced {
		looked, words := j.look(ctx, next)
		if err := j.close(ctx); err != nil {
			words = oneLine(err)
		}
		return j.explained(j.makeAll(ctx, next), looked, words, false)
	}
	var words string
	var stale []pod
	j.drifted = known && len(visible(j.differs(kindConfigMap, j.wanted(kindConfigMap, last)))) > 0
	switch pods, err := j.listPods(ctx); {
	case err != nil:
		words = oneLine(err)
	case next.Generation == last.Generation && j.drifted:
		next = next.again(j.now)
		j.pods = pods
	default:
		j.pods = pods
		next, words, stale = j.tune(ctx, last, next)
	}
	own := known && !j.drifted && last.State.Goal.Equal(next.State.Goal)
	rows := j.explained(j.makeAll(ctx, next), next, words, own)
	if s := rows[0].State; s == optimizer.Refused || s == optimizer.Differs {
		return rows // no pod can take up settings that are not written
	}
	if next.Generation != last.Generation {
		stale = j.pods
	}
	j.touch(ctx, j.server, stale, next.Generation, j.now)
	return rows
}

// tune closes what was begun and never made, then takes a step, unless the settings are new anyway.
func (j *job) tune(ctx context.Context, last, next record) (record, string, []pod) {
	under := ""
	if concluding(next) {
		under = next.Entry
	}
	if err := j.settle(ctx, ref(j.server), under, "no settings follow from it: the document was changed, or the daemon ended before they were written"); err != nil {
		return next, oneLine(err), nil
	}
	if next.Generation != last.Generation {
		return next, "", nil
	}
	return j.advance(ctx, next)
}

// explained adds to the row of the settings, the first, what their tuning has come to; own tells that, if
// they were written, it was the tuner's doing and nobody's fault.
func (j *job) explained(all []optimizer.Kept, r record, words string, own bool) []optimizer.Kept {
	j.show(j, r, words)
	row, why := &all[0], strings.Join(append(r.State.Steps(), cmp.Or(words, r.stand())), "; ")
	why = strings.TrimSuffix(why, "; ")
	switch {
	case row.State == optimizer.Refused || row.State == optimizer.Differs:
	case (own || row.State == optimizer.AsAsked) && r.active() && j.server.Mode == policies.Enforce:
		row.State, row.Detail = optimizer.Tuning, why
	case own || row.State == optimizer.AsAsked:
		row.State, row.Detail = optimizer.AsAsked, why
	case why != "":
		row.Detail = strings.TrimPrefix(row.Detail+"; "+why, "; ")
	}
	return all
}

// rows are the prices that documents give.
func rows(prices []policies.Price) []cost.Row {
	var out []cost.Row
	for _, p := range prices {
		out = append(out, cost.Row{InstanceType: p.InstanceType, Region: p.Region, Capacity: p.Capacity, Hourly: cost.Money(p.Hourly)})
	}
	return out
}

// price is what a core and a GiB cost for a month on the nodes under the server's pods, at their mean.
func (j *job) price() capacity.Price {
	month := func(r fleet.Resources) cost.Line {
		shape := fleet.PodShape{Containers: []fleet.Container{{Name: container, Role: fleet.Main, Requests: r}}}
		w := fleet.Workload{Template: shape, Replicas: 1}
		for _, p := range j.pods {
			w.Pods = append(w.Pods, fleet.Pod{Name: p.name, Node: p.node, Shape: shape})
		}
		return j.rates.Monthly(w, j.snapshot.Nodes)
	}
	core, gib := month(fleet.Resources{MilliCPU: 1000}), month(fleet.Resources{Memory: 1 << 30})
	return capacity.Price{Core: core.Amount, GiB: gib.Amount, Unpriced: core.Unpriced}
}

// row is the row of one of the server's objects.
func (j *job) row(kind string, state optimizer.KeptState, detail string) optimizer.Kept {
	return optimizer.Kept{
		Document: document(j.server.Name), Kind: kind, Namespace: j.server.Namespace, Name: nameOf(j.server, j.adopted, kind),
		State: state, Detail: detail,
	}
}

// oneLine is an error's words on one line.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
