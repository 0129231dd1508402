package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
)

// lister is the way to an API server for somebody who may only look: it lets get and list requests through and
// nothing else. Watches it answers itself, with silence: what was listed once is enough for one plan. Of a
// single namespace it lists what is in it, so that a role there is enough.
type lister struct {
	next      http.RoundTripper
	namespace string // empty: all
	fail      func(err error)
	note      func(text string)

	mu    sync.Mutex
	noted map[string]bool
}

// RoundTrip implements http.RoundTripper.
func (l *lister) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return nil, fmt.Errorf("trimtab plan only reads: %s %s is not sent", req.Method, req.URL.Path)
	}
	what := path.Base(req.URL.Path)
	switch q := req.URL.Query(); {
	case q.Get("sendInitialEvents") == "true":
		return reply(req, http.StatusUnprocessableEntity, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"only lists are asked for"}`), nil
	case q.Get("watch") == "true" || q.Get("watch") == "1":
		return silence(req), nil
	case what == "configmaps": // the policies come from files
		return reply(req, http.StatusOK, listOf("ConfigMap", "")), nil
	}
	res, err := l.next.RoundTrip(l.narrowed(req, what))
	if err != nil {
		if req.Context().Err() == nil {
			l.fail(fmt.Errorf("list %s: %w", what, err))
		}
		return nil, err
	}
	return l.judged(req, res, what)
}

// narrowed is the request for what is in the one namespace.
func (l *lister) narrowed(req *http.Request, what string) *http.Request {
	out := req.Clone(req.Context())
	out.Header.Set("Accept", "application/json")
	base := strings.TrimSuffix(req.URL.Path, "/"+what)
	switch {
	case l.namespace == "" || what == "nodes" || strings.Contains(base, "/namespaces/"):
		return out
	case what == "namespaces":
		out.URL.Path = base + "/namespaces/" + l.namespace
		out.URL.RawQuery = ""
	default:
		out.URL.Path = base + "/namespaces/" + l.namespace + "/" + what
	}
	return out
}

// judged makes a list of the one namespace, does without nodes and budgets where they may not be seen, and ends the whole
// where anything else is refused.
func (l *lister) judged(req *http.Request, res *http.Response, what string) (*http.Response, error) {
	switch {
	case res.StatusCode == http.StatusOK && what == "namespaces" && l.namespace != "":
		defer res.Body.Close()
		one, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
		if err != nil {
			return nil, err
		}
		return reply(req, http.StatusOK, listOf("Namespace", string(one))), nil
	case res.StatusCode == http.StatusForbidden && what == "nodes":
		res.Body.Close()
		l.once("nodes may not be listed with this kubeconfig, so that prices are not known: list them with a role that may")
		return reply(req, http.StatusOK, listOf("Node", "")), nil
	case res.StatusCode == http.StatusForbidden && what == "poddisruptionbudgets":
		res.Body.Close()
		l.once("PodDisruptionBudgets may not be listed with this kubeconfig, so that what they keep running is not known")
		return reply(req, http.StatusOK, strings.Replace(listOf("PodDisruptionBudget", ""), `"v1"`, `"policy/v1"`, 1)), nil
	case res.StatusCode == http.StatusUnauthorized, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusNotFound:
		defer res.Body.Close()
		err := l.refused(res, what)
		l.fail(err)
		return nil, err
	}
	return res, nil
}

func (l *lister) once(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.noted == nil {
		l.noted = map[string]bool{}
	}
	if !l.noted[text] {
		l.noted[text] = true
		l.note(text)
	}
}

func (l *lister) refused(res *http.Response, what string) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what there is of it
	var status struct{ Message string }
	if json.Unmarshal(body, &status) != nil || status.Message == "" {
		status.Message = res.Status
	}
	hint := ""
	switch {
	case res.StatusCode == http.StatusForbidden && l.namespace == "":
		hint = "; give -n NAMESPACE to read one that you may see"
	case res.StatusCode == http.StatusForbidden:
		hint = "; the role view is enough"
	case res.StatusCode == http.StatusUnauthorized:
		hint = "; are the kubeconfig's credentials still good?"
	}
	return errors.New("list " + what + ": " + status.Message + hint)
}

// listOf is a list of one object or none, as JSON.
func listOf(kind, object string) string {
	return `{"kind":"` + kind + `List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[` + object + `]}`
}

func reply(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}
}

// silence is a watch in which nothing ever happens.
func silence(req *http.Request) *http.Response {
	res := reply(req, http.StatusOK, "")
	ctx, cancel := context.WithCancel(req.Context())
	res.Body, res.ContentLength = quietBody{ctx, cancel}, -1
	return res
}

type quietBody struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// Read waits for the end.
func (b quietBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, io.EOF
}

// Close ends Read.
func (b quietBody) Close() error {
	b.cancel()
	return nil
}
