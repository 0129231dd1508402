package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process starts the real program and returns it with the address that it serves on.
func process(t *testing.T, args ...string) (*exec.Cmd, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // for a free port; the process takes it over
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	cmd := exec.Command(os.Args[0], append([]string{"serve", "--listen", address, "--log-format", "text"}, args...)...)
	cmd.Env = append(os.Environ(), "MODELSERVER_TEST_AS_MAIN=1", "MODEL_VERSION=v2.1.0", "BATCH_SIZE=8")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 6000 {
		if isReady(address) {
			return cmd, address
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the process is not ready after a minute")
	return nil, ""
}

func isReady(address string) bool {
	res, err := http.Get("http://" + address + "/v2/health/ready")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == 200
}

// service is what a Kubernetes service does: a new connection goes to one of the backends that were
// ready at the last look, in turn; open connections stay where they are.
type service struct {
	ln    net.Listener
	mu    sync.Mutex
	ready []string
	turn  int
	taken map[string]*atomic.Int64 // connections by backend
}

func newService(t *testing.T, look time.Duration, backends ...string) *service {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{ln: ln, ready: backends, taken: map[string]*atomic.Int64{}}
	for _, b := range backends {
		s.taken[b] = new(atomic.Int64)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); close(done) })
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(look):
				s.look(backends)
			}
		}
	}()
	go s.accept()
	return s
}

func (s *service) look(backends []string) {
	var ready []string
	for _, b := range backends {
		if isReady(b) {
			ready = append(ready, b)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = ready
}

func (s *service) accept() {
	for {
		client, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.turn++
		backend := s.ready[s.turn%len(s.ready)]
		s.mu.Unlock()
		s.taken[backend].Add(1)
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", backend)
			if err != nil {
				return
			}
			defer server.Close()
			go io.Copy(server, client)
			io.Copy(client, server)
		}()
	}
}

// TestNoRequestIsLostOnSIGTERM runs two real processes behind a service, under load, and ends one of
// them in the middle. The service hears of it some 400 ms late, and in that time the client makes about
// 20 new connections; the drain delay of 3 s, long for a busy machine, is what keeps them.
func TestNoRequestIsLostOnSIGTERM(t *testing.T) {
	one, first := process(t, "--drain-delay", "3s")
	_, second := process(t)
	s := newService(t, 700*time.Millisecond, first, second)
	ended := make(chan error, 1)
	go func() {
		time.Sleep(time.Second)
		one.Process.Signal(syscall.SIGTERM)
		ended <- one.Wait()
	}()
	code, out, _ := try(nil, "load", "--target", "http://"+s.ln.Addr().String(), "--rate", "50", "--rows", "2", "--poisson",
		"--duration", "6s", "--per-connection", "1", "--fail-on-error")
	t.Log(out)
	if code != 0 || !strings.Contains(out, "failed=0") {
		t.Errorf("exit %d: requests were lost: %s", code, out)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the drained process ended with %v, want exit 0", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the process still runs")
	}
	if a, b := s.taken[first].Load(), s.taken[second].Load(); a == 0 || b == 0 {
		t.Errorf("%d and %d connections: the load did not reach both", a, b)
	}
}

// TestFinishesWhatItAccepted: no drain delay and a slow request in flight: it is answered, and the
// process ends with 0.
func TestFinishesWhatItAccepted(t *testing.T) {
	cmd, address := process(t, "--drain-delay", "0s", "--max-queue-delay", "20s", "--batching", "static")
	answered := make(chan int, 1)
	go func() {
		res, err := http.Post("http://"+address+"/predict", "application/json", strings.NewReader(`{"instances":[[80,3,1,20,2,3,3,0]]}`))
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	untilShown(t, address, `modelserver_queue_rows{model="valuation",version="v2.1.0"} 1`) // it waits for its batch
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v, want exit 0", err)
	}
	if code := <-answered; code != 200 {
		t.Errorf("the accepted request: %d, want 200", code)
	}
}

// TestAPIKey: a server with a key serves who has it, load and bench among them, and nobody else.
func TestAPIKey(t *testing.T) {
	t.Setenv("API_KEY", "secret")
	_, address := process(t, "--drain-delay", "0s")
	for _, args := range []string{"load --rate 50 --duration 300ms --fail-on-error", "bench --model valuation --connections 2 --duration 300ms --warmup 0s --fail-on-error"} {
		words := append(strings.Fields(args), "--target", "http://"+address)
		if code, out, faults := try(map[string]string{"API_KEY": "secret"}, words...); code != 0 {
			t.Errorf("%s with the key: exit %d\n%s%s", args, code, out, faults)
		}
		if code, _, _ := try(nil, words...); code != 1 {
			t.Errorf("%s without it: exit %d, want 1", args, code)
		}
	}
}
