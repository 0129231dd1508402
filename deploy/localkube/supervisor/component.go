//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// component is a program that runs as long as the cluster does.
type component struct {
	name string
	argv []string

	mu       sync.Mutex
	pid      int // 0 while it does not run
	restarts int
}

// Component is what status says about a component.
type Component struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"`
	Restarts int    `json:"restarts"`
}

func (c *component) status() Component {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Component{c.name, c.pid, c.restarts}
}

func (c *component) set(pid, restarts int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid, c.restarts = pid, c.restarts+restarts
}

// launch starts the component, keeps it running, and returns when ready holds.
// One that ends before it was ever ready is a fault, with the end of its log.
func (s *supervisor) launch(ctx context.Context, name string, argv []string, ready func(context.Context) error) error {
	c := &component{name: name, argv: argv}
	s.add(c)
	ended := make(chan struct{})
	go s.keep(c, ended)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ended:
			cancel(fmt.Errorf("it ended at once; the end of its log:\n%s", s.logTail(name)))
		case <-ctx.Done():
		}
	}()
	err := poll(ctx, readyLimit, ready)
	if err != nil && context.Cause(ctx) == nil {
		return fmt.Errorf("%w; the end of its log:\n%s", err, s.logTail(name))
	}
	return err
}

// readyLimit is generous: a busy machine needs several times what a free one does.
const readyLimit = 90 * time.Second

// keep runs c again and again. ended is closed at its first end.
func (s *supervisor) keep(c *component, ended chan struct{}) {
	log, err := os.OpenFile(s.logFile(c.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		close(ended)
		return
	}
	defer log.Close()
	for first := true; ; first = false {
		pid, exit, err := s.children.start(c.argv, s.environment(), log)
		if err != nil {
			fmt.Fprintln(log, err)
		}
		if err == nil {
			c.set(pid, 0)
			fmt.Fprintf(log, "localkube: %s ended: %s\n", c.name, describe(<-exit))
		}
		c.set(0, 1)
		if first {
			close(ended)
		}
		time.Sleep(time.Second)
	}
}

func describe(w syscall.WaitStatus) string {
	if w.Signaled() {
		return w.Signal().String()
	}
	return fmt.Sprintf("exit status %d", w.ExitStatus())
}

// environment keeps the components away from a user's home and proxies.
func (s *supervisor) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.spec.Base(), "TMPDIR=" + s.spec.Path("tmp"), "NO_PROXY=*"}
}

func (s *supervisor) logFile(name string) string {
	return filepath.Join(s.spec.Path("log"), name+".log")
}

func (s *supervisor) logTail(name string) string {
	text, err := os.ReadFile(s.logFile(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// run executes argv to its end and returns its output.
func (s *supervisor) run(ctx context.Context, argv []string) (code int, output string, err error) {
	file, err := os.CreateTemp(s.spec.Path("tmp"), "output-*")
	if err != nil {
		return 0, "", fmt.Errorf("run %s: %w", argv[0], err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	pid, exit, err := s.children.start(argv, s.environment(), file)
	if err != nil {
		return 0, "", err
	}
	select {
	case status := <-exit:
		text, err := os.ReadFile(file.Name())
		return exitCode(status), string(text), err
	case <-ctx.Done():
		syscall.Kill(-pid, syscall.SIGKILL)
		return 0, "", fmt.Errorf("run %s: %w", argv[0], context.Cause(ctx))
	}
}

func exitCode(w syscall.WaitStatus) int {
	if w.Signaled() {
		return 128 + int(w.Signal())
	}
	return w.ExitStatus()
}

// must runs argv and makes a non-zero exit a fault.
func (s *supervisor) must(ctx context.Context, argv ...string) error {
	code, output, err := s.run(ctx, argv)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: exit status %d: %s", strings.Join(argv, " "), code, strings.TrimSpace(output))
	}
	return err
}
