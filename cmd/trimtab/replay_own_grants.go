package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/rest"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
)

// grantsWithin is how long the live requests are waited for: a replay does without them.
const grantsWithin = 20 * time.Second

// granted is what the live pods of a namespace's workloads request. A cluster that does not answer is done
// without; a kubeconfig or context that is named and not to be found is an error.
func (o ownHistory) granted(ctx context.Context, namespace string) (map[fleet.Ref]fleet.PodShape, error) {
	cfg, err := kube.Client(o.kubeconfig, o.context, version)
	if err != nil && (o.kubeconfig != "" || o.context != "") {
		return nil, err
	}
	var live map[fleet.Ref]fleet.PodShape
	if err == nil {
		o.say("reading the live requests from the cluster at %s", cfg.Host)
		live, err = o.live(ctx, cfg, namespace)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		o.say("note: the live requests are unknown: %v; --granted and --granted-memory give them", err)
	}
	return live, nil
}

// live lists the namespace once, by get and list requests alone.
func (o ownHistory) live(ctx context.Context, cfg *rest.Config, namespace string) (map[fleet.Ref]fleet.PodShape, error) {
	ctx, end := context.WithTimeoutCause(ctx, grantsWithin, fmt.Errorf("no answer within %s", grantsWithin))
	defer end()
	quiet := o.localPlan
	quiet.only, quiet.progress = namespace, io.Discard // what a plan lacks does not matter here
	cluster, err := quiet.cluster(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { end(); cluster.Wait() }()
	seen, err := cluster.Observe(ctx)
	if err != nil {
		return nil, err
	}
	out := map[fleet.Ref]fleet.PodShape{}
	for _, w := range seen.Workloads {
		out[w.Ref] = w.Current()
	}
	return out, nil
}
