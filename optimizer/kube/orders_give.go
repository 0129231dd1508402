package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
)

// Desk is where a person orders: the other side of Orders, with that person's own rights.
type Desk struct {
	client    kubernetes.Interface
	namespace string
	every     time.Duration // between looks for an answer
}

// NewDesk orders of the daemon in namespace.
func NewDesk(client kubernetes.Interface, namespace string) *Desk {
	return &Desk{client, namespace, time.Second}
}

// Give places an order: its Verb, ID and Seen, in the name that the API server knows the caller by. It gives the
// order as it stands, which replaces an older one of its key. The ConfigMap is not created: an error
// then says what to install.
func (d *Desk) Give(ctx context.Context, o optimizer.Order, now time.Time) (optimizer.Order, error) {
	o.Key, o.At, o.By = OrderKey(o.Verb, o.ID), now.UTC().Truncate(time.Millisecond), d.caller(ctx)
	text, err := json.Marshal(o)
	if err != nil {
		return o, fmt.Errorf("order %s: %w", o.Key, err)
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]any{o.Key: string(text), answerKey(o.Key): nil}})
	if err != nil {
		return o, fmt.Errorf("order %s: %w", o.Key, err)
	}
	_, err = d.client.CoreV1().ConfigMaps(d.namespace).Patch(ctx, OrdersName, types.MergePatchType, patch, metav1.PatchOptions{})
	return o, d.fault("order "+o.Key, err)
}

// caller is the user name behind the caller's credentials; "unknown" where the API server does not say.
func (d *Desk) caller(ctx context.Context) string {
	me, err := d.client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || me.Status.UserInfo.Username == "" {
		return "unknown"
	}
	return me.Status.UserInfo.Username
}

// Await gives the daemon's answer to an order once it is there, or an error when ctx ends before. An API server
// that does not answer for a moment is asked again.
func (d *Desk) Await(ctx context.Context, o optimizer.Order) (string, error) {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		text, ok, err := d.answer(ctx, o)
		if ok || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return text, d.fault("wait for the answer to "+o.Key, err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no answer to %s yet; does a replica of the daemon lead? The order stands for %s, and its answer will be in ConfigMap %s/%s, key %s: %w",
				o.Key, orderLapses, d.namespace, OrdersName, answerKey(o.Key), cmp.Or(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

func (d *Desk) answer(ctx context.Context, o optimizer.Order) (text string, ok bool, err error) {
	m, err := d.client.CoreV1().ConfigMaps(d.namespace).Get(ctx, OrdersName, metav1.GetOptions{})
	if err != nil {
		return "", false, err
	}
	a, ok := readAnswer(m.Data[answerKey(o.Key)])
	return a.Text, ok && (a.Ordered.Equal(o.At) || a.Ordered.IsZero()), nil
}

func (d *Desk) fault(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: namespace %s has no ConfigMap %s, which comes with the daemon: install or upgrade it: %w", doing, d.namespace, OrdersName, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: RBAC does not allow it; you need the Role trimtab-approver in namespace %s: %w", doing, d.namespace, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
