package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// The reasons of the Events on workloads.
const (
	ReasonChanged  = "TrimtabChanged"  // a change was begun
	ReasonReverted = "TrimtabReverted" // the way back of one was begun
	ReasonDone     = "TrimtabDone"     // the cluster shows what was asked for
	ReasonRefused  = "TrimtabRefused"  // somebody did not admit it, or it was not reached in time
	ReasonMoved    = "TrimtabMoved"    // the workload was no longer what the change was decided on
)

// Teller says in Events on the workloads themselves what was done to them, for whoever describes one. Only
// the leader may write.
type Teller struct {
	client   kubernetes.Interface
	reporter string // this replica
}

// NewTeller writes Events in the name of reporter.
func NewTeller(client kubernetes.Interface, reporter string) *Teller {
	return &Teller{client, reporter}
}

// Tell writes one Event for each entry as it stands: begun, or ended. What was said of an entry in the same
// state, by this replica or another, is not said again. Errors are joined; the ledger says it as well.
func (t *Teller) Tell(ctx context.Context, happened []optimizer.Entry) error {
	var errs []error
	for _, e := range happened {
		ref := e.Change.Ref
		_, err := t.client.CoreV1().Events(ref.Namespace).Create(ctx, t.event(e), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			errs = append(errs, fmt.Errorf("write an Event on %s: %w", ref, err))
		}
	}
	return errors.Join(errs...)
}

func (t *Teller) event(e optimizer.Entry) *corev1.Event {
	ref := e.Change.Ref
	about := corev1.ObjectReference{
		APIVersion: "apps/v1", Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, UID: types.UID(e.Change.From.UID),
	}
	kind, reason, text := tale(e)
	at := e.Ended
	if at.IsZero() {
		at = e.Begun
	}
	return event(about, []string{e.ID, string(e.Outcome)}, kind, reason, text, t.reporter, metav1.NewTime(at))
}

// tale is what is said of an entry as it stands.
func tale(e optimizer.Entry) (kind, reason, text string) {
	words := e.Change.Words()
	switch {
	case e.Outcome == optimizer.Done:
		return corev1.EventTypeNormal, ReasonDone, sentences("Done in "+e.Ended.Sub(e.Begun).Round(time.Second).String()+": "+words, e.Detail, money(e.Change), undo(e))
	case e.Outcome == optimizer.Moved:
		return corev1.EventTypeWarning, ReasonMoved, sentences("Not done: "+words, e.Detail)
	case e.Outcome != "":
		return corev1.EventTypeWarning, ReasonRefused, sentences("Not done: "+words, e.Detail)
	case e.Change.Reverts != "":
		return corev1.EventTypeNormal, ReasonReverted, sentences("Taking back change "+e.Change.Reverts+": "+words, how(e.Change), money(e.Change))
	}
	return corev1.EventTypeNormal, ReasonChanged, sentences(words, how(e.Change), money(e.Change), undo(e))
}

// sentences joins those that are not empty.
func sentences(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, strings.TrimRight(p, ".")+".")
		}
	}
	return strings.Join(out, " ")
}

// how says in which way new requests reach the pods.
func how(c optimizer.Change) string {
	t := c.Target()
	switch pods := cmp.Or(len(c.Pods), len(c.From.Pods)); {
	case len(t.Requests) == 0:
		return ""
	case c.Apply == policies.InTemplate:
		return "Requests in the pod template, which replaces the pods one after the other"
	case restarts(c, t):
		return fmt.Sprintf("Requests in place on %s, whose resize policy restarts a container", fleet.Count(pods, "pod"))
	default:
		return fmt.Sprintf("Requests in place on %s, without a restart", fleet.Count(pods, "pod"))
	}
}

// restarts tells whether a container asks to be restarted for what the change resizes.
func restarts(c optimizer.Change, t fleet.Target) bool {
	for _, r := range t.Requests {
		k, _ := c.From.Current().Container(r.Container)
		if k.ResizePolicy.CPU == fleet.RestartContainer && !k.SameCPU(r) ||
			k.ResizePolicy.Memory == fleet.RestartContainer && !k.SameMemory(r) {
			return true
		}
	}
	return false
}

// money says what a month of the change saves or costs, and who wanted it.
func money(c optimizer.Change) string {
	why := "policy " + c.Policy
	if c.By != "" {
		why += ", asked for by " + c.By
	}
	switch {
	case len(c.Saving.Unpriced) > 0:
		return fmt.Sprintf("What it saves is not known: %s (%s)", c.Saving, why)
	case c.Keeper != "" && c.Saving.Amount == 0:
		return "Asked for by " + c.Policy
	case c.Saving.Amount < 0:
		return fmt.Sprintf("Costs %s more a month (%s)", -c.Saving.Amount, why)
	}
	return fmt.Sprintf("Saves %s a month (%s)", c.Saving.Amount, why)
}

// undo says how to take a change of the cycle back.
func undo(e optimizer.Entry) string {
	if e.Change.Keeper != "" {
		return ""
	}
	return "Undo: trimtab revert " + e.ID
}
