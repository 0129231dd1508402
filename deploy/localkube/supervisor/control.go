//go:build linux

package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Socket is the control socket's name in the state directory. Only the owner
// of the cluster can open it.
const Socket = "control.sock"

// Status is what a supervisor says about itself.
type Status struct {
	Ready      bool        `json:"ready"`
	Since      time.Time   `json:"since"`
	Components []Component `json:"components"`
}

// Result is the end of a program that ran inside.
type Result struct {
	Code   int    `json:"code"`
	Output string `json:"output"`
	Fault  string `json:"fault,omitempty"` // it did not run
}

func (s *supervisor) listen() (net.Listener, error) {
	path := filepath.Join(s.spec.Base(), Socket)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w; a shorter --state may help", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("close control socket to others: %w", err)
	}
	return l, nil
}

func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(s.status())
	})
	mux.HandleFunc("POST /run", s.serveRun)
	return mux
}

func (s *supervisor) serveRun(w http.ResponseWriter, r *http.Request) {
	var argv []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&argv); err != nil || len(argv) == 0 {
		http.Error(w, "a list of words is needed", http.StatusBadRequest)
		return
	}
	var result Result
	var err error
	if result.Code, result.Output, err = s.run(r.Context(), argv); err != nil {
		result.Fault = err.Error()
	}
	json.NewEncoder(w).Encode(result)
}

// Control talks to the supervisor of a state directory.
type Control struct {
	http *http.Client
}

// Dial prepares a Control; nothing is sent yet.
func Dial(state string) *Control {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(state, Socket))
	}
	return &Control{&http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Status asks how the cluster is.
func (c *Control) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "status", nil, &s)
	return s, err
}

// Run runs a program inside the cluster's namespaces.
func (c *Control) Run(ctx context.Context, argv ...string) (Result, error) {
	var r Result
	if err := c.call(ctx, http.MethodPost, "run", argv, &r); err != nil {
		return r, err
	}
	if r.Fault != "" {
		return r, errors.New(r.Fault)
	}
	return r, nil
}

func (c *Control) call(ctx context.Context, method, verb string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://localkube/"+verb, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("ask the supervisor: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the supervisor: %s", text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
