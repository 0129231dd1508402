package kube

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"trimtab.dev/trimtab/optimizer"
)

// The messages are those of Kubernetes 1.36.
func TestRefused(t *testing.T) {
	forbidden := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "m-1", errors.New(text))
	}
	denied := func(text string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonForbidden, Code: 403, Message: text}}
	}
	invalid := apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "m-1", field.ErrorList{field.Invalid(field.NewPath("metadata"), "Guaranteed", "Pod QOS Class may not change as a result of resizing")})
	for _, row := range []struct {
		err  error
		kind string
		want string
	}{
		{forbidden("exceeded quota: ml-models-quota, requested: requests.cpu=300m, used: requests.cpu=50, limited: requests.cpu=50"), "refused",
			`resize pod m-1: refused by ResourceQuota ml-models-quota: pods "m-1" is forbidden: exceeded quota: ml-models-quota, requested: requests.cpu=300m, used: requests.cpu=50, limited: requests.cpu=50`},
		{forbidden("failed quota: q: must specify memory for: server"), "refused", `resize pod m-1: refused by ResourceQuota q: pods "m-1" is forbidden: failed quota: q: must specify memory for: server`},
		{forbidden("minimum cpu usage per Container is 100m, but request is 20m"), "refused",
			`resize pod m-1: refused by a LimitRange of the namespace: pods "m-1" is forbidden: minimum cpu usage per Container is 100m, but request is 20m`},
		{forbidden("cpu max limit to request ratio per Container is 4, but provided ratio is 50.000000"), "refused",
			`resize pod m-1: refused by a LimitRange of the namespace: pods "m-1" is forbidden: cpu max limit to request ratio per Container is 4, but provided ratio is 50.000000`},
		{forbidden("node didn't have enough allocatable resources: cpu, requested: 64000, allocatable: 2000"), "refused",
			`resize pod m-1: refused by its node's size: pods "m-1" is forbidden: node didn't have enough allocatable resources: cpu, requested: 64000, allocatable: 2000`},
		{denied(`admission webhook "sizes.example.com" denied the request:` + "\n" + `not on Fridays`), "refused",
			`resize pod m-1: refused by admission webhook sizes.example.com: admission webhook "sizes.example.com" denied the request: not on Fridays`},
		{apierrors.NewInternalError(errors.New(`failed calling webhook "sizes.example.com": failed to call webhook: Post "https://x": connection refused`)), "refused",
			`resize pod m-1: refused by admission webhook sizes.example.com, which could not be asked: Internal error occurred: failed calling webhook "sizes.example.com": failed to call webhook: Post "https://x": connection refused`},
		{forbidden(`ValidatingAdmissionPolicy 'sizes' with binding 'all' denied request: too small`), "refused",
			`resize pod m-1: refused by ValidatingAdmissionPolicy sizes: pods "m-1" is forbidden: ValidatingAdmissionPolicy 'sizes' with binding 'all' denied request: too small`},
		{forbidden(`User "system:serviceaccount:trimtab:trimtab" cannot patch resource "pods/resize" in API group "" in the namespace "a"`), "refused",
			`resize pod m-1: refused by RBAC: pods "m-1" is forbidden: User "system:serviceaccount:trimtab:trimtab" cannot patch resource "pods/resize" in API group "" in the namespace "a"`},
		{invalid, "refused", `resize pod m-1: refused by the API server: Pod "m-1" is invalid: metadata: Invalid value: "Guaranteed": Pod QOS Class may not change as a result of resizing`},
		{errors.New("connection refused"), "refused", "resize pod m-1: connection refused"},
		{notFound("pods", "m-1"), "gone", "resize pod m-1: it was deleted meanwhile"},
		{apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "404: Page Not Found", 0, false), "refused",
			"resize pod m-1: refused by the API server, which knows no such request (pods/resize came with Kubernetes 1.33): the server could not find the requested resource"},
		{apierrors.NewGenericServerResponse(http.StatusNotFound, "patch", schema.GroupResource{Resource: "pods"}, "m-1", "404 page not found", 0, true), "refused",
			"resize pod m-1: refused by the API server, which knows no such request (pods/resize came with Kubernetes 1.33): the server could not find the requested resource (patch pods m-1)"},
		{invalidPatch(), "moved", "resize pod m-1: it changed between reading and writing: it is no longer what the change was decided on"},
		{apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", "testing value /spec/replicas failed: test failed", 0, false), "moved",
			"resize pod m-1: it changed between reading and writing: it is no longer what the change was decided on"},
		{apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "patch", schema.GroupResource{Resource: "pods"}, "m-1", "a proxy's page", 0, true), "refused",
			"resize pod m-1: refused by the API server: the server rejected our request due to an error in our request (patch pods m-1)"},
		{nil, "", "<nil>"},
	} {
		err := refused("resize pod m-1", row.err)
		if kindOf(err) != row.kind || fmt.Sprint(err) != row.want {
			t.Errorf("%s:\n%v\nwant\n%s", kindOf(err), err, row.want)
		}
	}
}

func TestRefusalsAreOneLine(t *testing.T) {
	one, two, three := errors.New("pod 1"), invalidPatch(), fmt.Errorf("pod 3: %w", optimizer.ErrMoved)
	for _, row := range []struct {
		all  refusals
		kind string
		want string
	}{
		{refusals{one}, "refused", "pod 1"},
		{refusals{one, two}, "refused", "pod 1; and one more: " + two.Error()},
		{refusals{one, two, three}, "moved", "pod 1; and 2 more, the last: pod 3: it is no longer what the change was decided on"},
	} {
		if row.all.Error() != row.want || kindOf(row.all) != row.kind {
			t.Errorf("%s: %v; want %s", kindOf(row.all), row.all, row.want)
		}
	}
}

// TestNobodyRefused: no answer, or "later", is no refusal.
func TestNobodyRefused(t *testing.T) {
	for _, err := range []error{
		apierrors.NewTooManyRequests("later", 1), apierrors.NewServiceUnavailable("starting"), apierrors.NewTimeoutError("slow", 1),
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
	} {
		if got := refused("resize pod m-1", err); !errors.Is(got, optimizer.ErrUnavailable) || !strings.HasPrefix(got.Error(), "resize pod m-1: ") {
			t.Error(got)
		}
	}
	if err := refused("resize pod m-1", apierrors.NewBadRequest("no")); errors.Is(err, optimizer.ErrUnavailable) {
		t.Error(err)
	}
}
