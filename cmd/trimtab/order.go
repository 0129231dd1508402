package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/policies"
)

// ordering is the flags of a verb that orders.
type ordering struct {
	where
	wait time.Duration
}

// parseOrder reads the flags and the one ID of a verb that orders. By a URL alone nobody can order: who may is decided
// by the API server, at the ConfigMap of the orders.
func parseOrder(verb optimizer.Verb, args []string, out io.Writer) (o ordering, id string, done bool, err error) {
	fs := flag.NewFlagSet(string(verb), flag.ContinueOnError)
	o.flags(fs)
	fs.DurationVar(&o.wait, "wait", 2*time.Minute, "how long to wait for the daemon's answer")
	rest, done, err := parse(fs, args, 1, string(verb)+" ID", out)
	if done {
		return o, "", true, err
	}
	if o.server != "" {
		return o, "", true, badInput("trimtab %s: --server only reads; to order, leave it out and use a kubeconfig: the API server decides who may", verb)
	}
	if o.wait <= 0 {
		return o, "", true, badInput("trimtab %s: --wait %s: give a time such as 2m", verb, o.wait)
	}
	return o, rest[0], false, nil
}

// applyVerb has a proposed change made, as it is proposed now.
func applyVerb(ctx context.Context, args []string, out io.Writer) error {
	o, id, done, err := parseOrder(optimizer.Approve, args, out)
	if done {
		return err
	}
	a, err := o.plan(ctx)
	if err != nil {
		return err
	}
	c, err := a.proposal(id)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "ordering: %s: %s\n", c.Ref, c.Words()); err != nil {
		return err
	}
	return o.order(ctx, optimizer.Order{Verb: optimizer.Approve, ID: c.ID, Seen: c.Target()}, out)
}

// revertVerb has a change taken back.
func revertVerb(ctx context.Context, args []string, out io.Writer) error {
	o, id, done, err := parseOrder(optimizer.Revert, args, out)
	if done {
		return err
	}
	a, err := o.history(ctx)
	if err != nil {
		return err
	}
	e, err := a.entry(id)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "ordering: %s: take back %s\n", e.Change.Ref, e.Change.Words()); err != nil {
		return err
	}
	return o.order(ctx, optimizer.Order{Verb: optimizer.Revert, ID: e.ID}, out)
}

// order places an order with the person's own rights, waits for its answer and prints it.
func (o ordering) order(ctx context.Context, what optimizer.Order, out io.Writer) error {
	cfg, err := kube.Client(o.kubeconfig, o.context, version)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("build a Kubernetes client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	desk := kube.NewDesk(client, o.namespace)
	given, err := desk.Give(ctx, what, time.Now())
	if err != nil {
		return err
	}
	text, err := desk.Await(ctx, given)
	if err != nil {
		return err
	}
	if refused(text) {
		return errors.New(text)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

// refused tells an answer of the daemon's that says what it did not do, be it to one recipient of a mail.
func refused(answer string) bool {
	return strings.HasPrefix(answer, "not ") || strings.Contains(answer, "; not sent to ")
}

// proposal finds a proposed change by its ID.
func (p planAnswer) proposal(id string) (optimizer.Change, error) {
	var known []string
	for _, c := range p.Plan.Changes {
		if c.ID == id {
			return c, nil
		}
		known = append(known, c.ID+" ("+c.Ref.String()+")")
	}
	return optimizer.Change{}, badInput("trimtab apply: the plan of %s proposes no %s; %s", p.Plan.At.UTC().Format(time.RFC3339), id, nearest(id, known, "it proposes nothing"))
}

// entry finds a change that was made, or was meant to be, by its ID.
func (h historyAnswer) entry(id string) (optimizer.Entry, error) {
	var known []string
	for _, e := range slices.Backward(h.Entries) {
		if e.ID == id {
			return e, nil
		}
		known = append(known, e.ID+" ("+e.Change.Ref.String()+")")
	}
	return optimizer.Entry{}, badInput("trimtab revert: the ledger has no %s; %s", id, nearest(id, known, "it is empty"))
}

// nearest names the few of known that are most like id: the fewest letters to change, add or drop.
func nearest(id string, known []string, none string) string {
	if len(known) == 0 {
		return none
	}
	far := func(s string) int {
		name, _, _ := strings.Cut(s, " ")
		return policies.Distance(id, name)
	}
	slices.SortStableFunc(known, func(a, b string) int { return cmp.Compare(far(a), far(b)) })
	return "did you mean one of these? " + strings.Join(known[:min(len(known), 3)], ", ")
}
