//go:build linux

// Package supervisor runs a cluster: it is the first process of the cluster's
// namespaces at level 3 and an ordinary process at level 2. All that it
// started ends with it.
package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/api"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/proc"
)

// Names of files in the state directory.
const (
	SpecFile     = "spec.json"
	IdentityFile = "supervisor.json"
)

// Inherited file descriptors: progress goes out, the leash holds the
// supervisor until the cluster is ready, then listeners in the order of
// Listeners.
const (
	progressFD = 3 + iota
	leashFD
	firstListenerFD
)

type supervisor struct {
	spec     cluster.Spec
	children *children
	since    time.Time
	stop     context.CancelFunc
	client   func() (*api.Client, error)

	mu         sync.Mutex
	ready      bool
	components []*component
}

// Main is the supervisor's whole life. It returns the exit status.
func Main(state string) int {
	progress := os.NewFile(progressFD, "progress")
	leash := os.NewFile(leashFD, "leash")
	if err := live(state, progress, leash); err != nil {
		fmt.Fprintln(progress, "fault:", err)
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func live(state string, progress, leash *os.File) error {
	syscall.CloseOnExec(progressFD)
	syscall.CloseOnExec(leashFD)
	spec, err := ReadSpec(state)
	if err != nil {
		return err
	}
	listeners, err := inherit(spec)
	if err != nil {
		return err
	}
	if err := writeIdentity(state); err != nil {
		return err
	}
	if spec.Level == 3 {
		if err := settle(spec); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s := &supervisor{spec: spec, children: newChildren(), since: time.Now(), stop: stop}
	s.client = sync.OnceValues(s.newClient)
	defer s.end()
	return s.serve(ctx, listeners, progress, leash)
}

func (s *supervisor) serve(ctx context.Context, listeners []net.Listener, progress, leash *os.File) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	go http.Serve(l, s.handler())
	go s.holdLeash(leash)
	begin := time.Now()
	err = runSteps(ctx, s.steps(), func(name string, _ time.Duration) {
		fmt.Fprintf(progress, "%5.1f s  %s\n", time.Since(begin).Seconds(), name)
	})
	if err != nil {
		return err
	}
	for i, to := range Targets(s.spec) {
		go forward(listeners[i], to)
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	fmt.Fprintln(progress, ReadyLine)
	progress.Close()
	<-ctx.Done()
	return nil
}

// ReadyLine is the last line of progress.
const ReadyLine = "ready"

// holdLeash ends the supervisor if the driver goes before the cluster is
// ready: a start that was interrupted leaves nothing running.
func (s *supervisor) holdLeash(leash *os.File) {
	var one [1]byte
	if _, err := io.ReadFull(leash, one[:]); err != nil {
		s.stop()
	}
	leash.Close()
}

// end kills what is left. At level 3 the kernel would do it too.
func (s *supervisor) end() {
	for range 100 {
		s.children.killAll()
		if s.children.left() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *supervisor) add(c *component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.components = append(s.components, c)
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{Ready: s.ready, Since: s.since}
	for _, c := range s.components {
		st.Components = append(st.Components, c.status())
	}
	return st
}

// Listeners are the host addresses that the driver opens for the supervisor.
func Listeners(s cluster.Spec) []string {
	var addresses []string
	if s.Level == 3 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", s.APIPort))
	}
	for _, f := range s.Forwards {
		addresses = append(addresses, f.From)
	}
	return addresses
}

// Targets are where the connections to Listeners go, in the same order.
func Targets(s cluster.Spec) []string {
	var addresses []string
	if s.Level == 3 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", s.Ports.API))
	}
	for _, f := range s.Forwards {
		addresses = append(addresses, f.To)
	}
	return addresses
}

func inherit(spec cluster.Spec) ([]net.Listener, error) {
	var listeners []net.Listener
	for i, address := range Listeners(spec) {
		f := os.NewFile(uintptr(firstListenerFD+i), address)
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("take over listener %s: %w", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// ReadSpec reads what a state directory is for.
func ReadSpec(state string) (cluster.Spec, error) {
	var s cluster.Spec
	text, err := os.ReadFile(filepath.Join(state, SpecFile))
	if err != nil {
		return s, fmt.Errorf("read cluster: %w", err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read cluster: %w; localkube down clears it", err)
	}
	return s, nil
}

// writeIdentity runs before /proc is mounted anew: the host's /proc tells a
// process its number on the host.
func writeIdentity(state string) error {
	id, err := proc.Of(0)
	if err != nil {
		return err
	}
	text, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encode own identity: %w", err)
	}
	temp := filepath.Join(state, IdentityFile+".new")
	return errors.Join(os.WriteFile(temp, text, 0o600), os.Rename(temp, filepath.Join(state, IdentityFile)))
}

// ReadIdentity reads which process supervises a state directory, if any.
func ReadIdentity(state string) (proc.Identity, bool) {
	var id proc.Identity
	text, err := os.ReadFile(filepath.Join(state, IdentityFile))
	if err != nil {
		return id, false
	}
	return id, json.Unmarshal(text, &id) == nil
}
