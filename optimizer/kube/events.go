package kube

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"trimtab.dev/trimtab/policies"
)

// ReasonBadPolicy is the reason of the Events on ConfigMaps whose policy documents have faults.
const ReasonBadPolicy = "BadPolicy"

// maxMessage is the most bytes of an Event's message; the newer API of Events refuses more.
const maxMessage = 1024

// Events says on the ConfigMap of a policy document what is wrong with it, for whoever describes it.
// Only the leader may write. It is for one goroutine.
type Events struct {
	core      typedcorev1.CoreV1Interface
	namespace string
	reporter  string            // this replica
	said      map[string]string // the faults of the last call, by document
}

// NewEvents writes Events on the ConfigMaps of namespace in the name of reporter.
func NewEvents(client kubernetes.Interface, namespace, reporter string) *Events {
	return &Events{core: client.CoreV1(), namespace: namespace, reporter: reporter}
}

// BadPolicies writes a Warning for every document whose faults are not those of the last call. One that
// cannot be written is not tried again before they change: plan and metrics show the faults as well.
func (e *Events) BadPolicies(ctx context.Context, bad []policies.Bad, now time.Time) error {
	said := make(map[string]string, len(bad))
	var errs []error
	for _, b := range bad {
		said[b.Source] = strings.Join(b.Faults, "; ")
		if e.said[b.Source] != said[b.Source] {
			errs = append(errs, e.warn(ctx, b, now))
		}
	}
	e.said = said
	return errors.Join(errs...)
}

// warn writes one Event. Its name stands for the document, its state and its faults, so that a new
// leader does not repeat what the last one said.
func (e *Events) warn(ctx context.Context, b policies.Bad, now time.Time) error {
	name, _, _ := strings.Cut(b.Source, "/")
	on, err := e.core.ConfigMaps(e.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // removed since
	}
	if err == nil {
		_, err = e.core.Events(e.namespace).Create(ctx, e.event(on, b, metav1.NewTime(now)), metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("write an Event on ConfigMap %s: %w", name, err)
	}
	return nil
}

func (e *Events) event(on *corev1.ConfigMap, b policies.Bad, now metav1.Time) *corev1.Event {
	about := corev1.ObjectReference{
		APIVersion: "v1", Kind: "ConfigMap", Namespace: e.namespace, Name: on.Name, UID: on.UID, ResourceVersion: on.ResourceVersion,
	}
	id := append([]string{string(on.UID), on.ResourceVersion, b.Source}, b.Faults...)
	return event(about, id, corev1.EventTypeWarning, ReasonBadPolicy, message(b), e.reporter, now)
}

// event is one whose name stands for id: what was said under it is not said twice, whoever leads.
func event(about corev1.ObjectReference, id []string, kind, reason, message, reporter string, at metav1.Time) *corev1.Event {
	name := strings.TrimRight(about.Name[:min(len(about.Name), 200)], "-.")
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: about.Namespace, Name: name + "." + digest([]byte(strings.Join(id, "\n")))[:16]},
		InvolvedObject: about,
		Type:           kind, Reason: reason, Message: short(message),
		Source: corev1.EventSource{Component: "trimtab"}, ReportingController: "trimtab.dev/trimtab", ReportingInstance: reporter,
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
	}
}

// short cuts a text to maxMessage.
func short(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	const more = "..."
	return strings.ToValidUTF8(text[:maxMessage-len(more)], "") + more
}

// message is what became of the document, then its faults.
func message(b policies.Bad) string {
	text := "not in force: "
	if b.Kept {
		text = "its last good version stays in force, in recommend mode: "
	}
	return text + strings.Join(b.Faults, "; ")
}
