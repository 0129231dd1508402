package kube

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"trimtab.dev/trimtab/optimizer"
)

// refused says what was being done, who did not want it, and why in their own words, on one line. What
// is not there is optimizer.ErrGone, and a JSON patch whose test failed optimizer.ErrMoved.
func refused(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err) && !unknownRequest.MatchString(err.Error()):
		return fmt.Errorf("%s: %w", doing, optimizer.ErrGone)
	case testFailed(err):
		return fmt.Errorf("%s: it changed between reading and writing: %w", doing, optimizer.ErrMoved)
	}
	if unavailable(err) {
		return fmt.Errorf("%s: %w: %w", doing, optimizer.ErrUnavailable, oneLine{err})
	}
	if by := refuser(err); by != "" {
		return fmt.Errorf("%s: refused by %s: %w", doing, by, oneLine{err})
	}
	return fmt.Errorf("%s: %w", doing, oneLine{err})
}

// unavailable tells a cluster that did not answer, or asked to be asked later, from one that refused.
func unavailable(err error) bool {
	var network net.Error
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || errors.As(err, &network)
}

// unknownRequest is how an API server says that it has no such kind or subresource, which is a 404 as an
// object is that was deleted, and says nothing about the object.
var unknownRequest = regexp.MustCompile(`the server could not find the requested resource`)

// testFailed tells a JSON patch that does not fit the object from an object that is not valid: both are
// 422 Invalid, and only the latter says which object and what of it.
func testFailed(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	unnamed := s.Details == nil || s.Details.Kind == "" && len(s.Details.Causes) == 0
	return unnamed && strings.Contains(s.Message, "rejected our request due to an error in our request")
}

// refusers are the parties of admission, by how they speak.
var refusers = []struct {
	words *regexp.Regexp
	who   string // $1 is what the words name
}{
	{regexp.MustCompile(`admission webhook "([^"]+)" denied`), "admission webhook $1"},
	{regexp.MustCompile(`(?:failed calling|failed to call) webhook "([^"]+)"`), "admission webhook $1, which could not be asked"},
	{regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)'`), "ValidatingAdmissionPolicy $1"},
	{regexp.MustCompile(`exceeded quota: ([^,]+),`), "ResourceQuota $1"},
	{regexp.MustCompile(`failed quota: ([^:]+):`), "ResourceQuota $1"},
	{regexp.MustCompile(`(?:minimum|maximum) \S+ usage per |max limit to request ratio per `), "a LimitRange of the namespace"},
	{regexp.MustCompile(`node didn't have enough (?:allocatable resources|capacity)`), "its node's size"},
	{regexp.MustCompile(`User "[^"]*" cannot `), "RBAC"},
	{unknownRequest, "the API server, which knows no such request (pods/resize came with Kubernetes 1.33)"},
}

// refuser is who refused; empty where that cannot be told.
func refuser(err error) string {
	for _, r := range refusers {
		if m := r.words.FindStringSubmatchIndex(err.Error()); m != nil {
			return string(r.words.ExpandString(nil, r.who, err.Error(), m))
		}
	}
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
		return "the API server"
	}
	return ""
}

// oneLine is an error whose words are put on one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }

func (e oneLine) Unwrap() error { return e.error }

// refusals are what went wrong with the parts of one change, said on one line whatever their number.
type refusals []error

func (r refusals) Error() string {
	text := r[0].Error()
	switch more := len(r) - 1; {
	case more == 1:
		text += "; and one more: " + r[1].Error()
	case more > 1:
		text += fmt.Sprintf("; and %d more, the last: %v", more, r[more])
	}
	return text
}

func (r refusals) Unwrap() []error { return r }
