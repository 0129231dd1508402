//go:build linux

package supervisor

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// children starts processes and collects all that end: its own, whose exit it
// reports, and, as the first process of a namespace, everybody's orphans.
type children struct {
	orders chan order

	mu    sync.Mutex
	waits map[int]chan syscall.WaitStatus
}

type order struct {
	argv  []string
	attr  *syscall.ProcAttr
	reply chan started
}

type started struct {
	pid  int
	exit chan syscall.WaitStatus
	err  error
}

func newChildren() *children {
	c := &children{orders: make(chan order), waits: map[int]chan syscall.WaitStatus{}}
	go c.serve()
	go c.reap()
	return c
}

// start runs argv with out as its output. The child is killed by the kernel
// when the supervisor ends.
func (c *children) start(argv, env []string, out *os.File) (int, <-chan syscall.WaitStatus, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{null.Fd(), out.Fd(), out.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	o := order{argv, attr, make(chan started)}
	c.orders <- o
	s := <-o.reply
	if s.err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", argv[0], s.err)
	}
	return s.pid, s.exit, nil
}

// serve forks on one thread that lives as long as the process: the kernel
// sends the death signal when the thread that forked ends.
func (c *children) serve() {
	runtime.LockOSThread()
	for o := range c.orders {
		c.mu.Lock()
		pid, err := syscall.ForkExec(o.argv[0], o.argv, o.attr)
		exit := make(chan syscall.WaitStatus, 1)
		if err == nil {
			c.waits[pid] = exit
		}
		c.mu.Unlock()
		o.reply <- started{pid, exit, err}
	}
}

func (c *children) reap() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	again := time.NewTicker(time.Second)
	for {
		for c.reapOne() {
		}
		select {
		case <-signals:
		case <-again.C:
		}
	}
}

func (c *children) reapOne() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if err == syscall.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if exit, ours := c.waits[pid]; ours {
		delete(c.waits, pid)
		exit <- status
	}
	return true
}

// killAll ends every process that was started and is still there.
func (c *children) killAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pid := range c.waits {
		syscall.Kill(pid, syscall.SIGKILL) // not reaped yet, so the number is still its own
	}
}

// left counts the processes that were not collected yet.
func (c *children) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waits)
}
