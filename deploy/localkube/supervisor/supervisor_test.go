//go:build linux

package supervisor

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

func TestStepsFollowTheirOrder(t *testing.T) {
	var mu sync.Mutex
	var done []string
	note := func(name string, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		done = append(done, name)
	}
	steps := []step{
		{"c", []string{"a", "b"}, atOnce},
		{"b", []string{"a"}, atOnce},
		{"a", nil, atOnce},
	}
	if err := runSteps(context.Background(), steps, note); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(done, ""); got != "abc" {
		t.Errorf("the order was %s", got)
	}
}

func TestFirstFaultStopsAll(t *testing.T) {
	broken := errors.New("broken")
	steps := []step{
		{"slow", nil, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"bad", nil, func(context.Context) error { return broken }},
		{"never", []string{"bad"}, func(context.Context) error { t.Error("it ran"); return nil }},
	}
	err := runSteps(context.Background(), steps, func(string, time.Duration) {})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "bad: ") {
		t.Errorf("got %v", err)
	}
}

// Every name that a step waits for must be a step, else the start hangs.
func TestEveryStepIsReachable(t *testing.T) {
	for _, spec := range []cluster.Spec{{Level: 2}, {Level: 3}, {Level: 3, Kwok: 5}} {
		s := &supervisor{spec: spec}
		known := map[string]bool{}
		for _, step := range s.steps() {
			if known[step.name] {
				t.Errorf("level %d: %s is there twice", spec.Level, step.name)
			}
			known[step.name] = true
		}
		for _, step := range s.steps() {
			for _, name := range step.after {
				if !known[name] {
					t.Errorf("level %d: %s waits for %s, which is no step", spec.Level, step.name, name)
				}
			}
		}
	}
}

func TestListenersMatchTargets(t *testing.T) {
	for _, level := range []int{2, 3} {
		s := cluster.Spec{Level: level, Forwards: []cluster.Forward{{From: "127.0.0.1:1", To: "10.96.0.1:2"}}}
		if len(Listeners(s)) != len(Targets(s)) || Targets(s)[len(Targets(s))-1] != "10.96.0.1:2" {
			t.Errorf("level %d: %v to %v", level, Listeners(s), Targets(s))
		}
	}
}

func TestForward(t *testing.T) {
	inner := listen(t)
	go func() {
		c, err := inner.Accept()
		if err != nil {
			return
		}
		text, _ := io.ReadAll(c) // ends when the caller closes its half
		c.Write([]byte("got " + string(text)))
		c.Close()
	}()
	outer := listen(t)
	go forward(outer, inner.Addr().String())
	c, err := net.Dial("tcp", outer.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("this"))
	c.(*net.TCPConn).CloseWrite()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if text, err := io.ReadAll(c); err != nil || string(text) != "got this" {
		t.Errorf("%q, %v", text, err)
	}
}

func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
