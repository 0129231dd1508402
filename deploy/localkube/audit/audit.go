// Package audit reads what the cluster's API server notes of writes: who wrote which object, and what
// the answer was. Reads, Leases and reviews of rights are not noted.
package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Write is one request that asked for a change.
type Write struct {
	At        time.Time // of the request
	User      string    // system:serviceaccount:trimtab:trimtab, admin, system:node:spot-1
	Agent     string    // what the program calls itself
	Verb      string    // create, update, patch, delete, deletecollection
	Group     string    // apps; empty: the core
	Resource  string    // pods, with a subresource pods/resize
	Namespace string    // empty: of the cluster
	Name      string    // empty: the server chose one, or many were meant
	Code      int       // of the answer: 201, 403
	DryRun    bool      // nothing was to change
}

// String is one line for a test's message.
func (w Write) String() string {
	return fmt.Sprintf("%s %s %s %s/%s: %d", w.User, w.Verb, w.Resource, w.Namespace, w.Name, w.Code)
}

// Done tells whether the API server did it.
func (w Write) Done() bool { return w.Code >= 200 && w.Code < 300 && !w.DryRun }

// File reads a log; one that is not there yet is empty. What was put aside when it grew large is not read.
// The last line may be half written by a server that runs: it is left out.
func File(path string) ([]Write, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer f.Close()
	return Read(f)
}

// Read reads a log, in its order, which is that of the answers.
func Read(r io.Reader) (all []Write, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("read audit log: %w", err)
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return all, fmt.Errorf("read audit log, line %d: %w", n, err)
		}
		all = append(all, e.write())
	}
}

// event is what is read of audit.k8s.io/v1.
type event struct {
	Verb       string
	RequestURI string
	User       struct{ Username string }
	UserAgent  string
	ObjectRef  struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	}
	ResponseStatus struct{ Code int }

	RequestReceivedTimestamp time.Time
}

func (e event) write() Write {
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	_, query, _ := strings.Cut(e.RequestURI, "?")
	return Write{
		At: e.RequestReceivedTimestamp, User: e.User.Username, Agent: e.UserAgent, Verb: e.Verb,
		Group: e.ObjectRef.APIGroup, Resource: resource, Namespace: e.ObjectRef.Namespace, Name: e.ObjectRef.Name,
		Code: e.ResponseStatus.Code, DryRun: strings.Contains("&"+query, "&dryRun=All"),
	}
}
