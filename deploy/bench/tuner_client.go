package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// order is what the client is to do in one window. The client is a process of its own, so that it can be
// kept off the server's cores.
type order struct {
	Host    string        // of the server, with its port
	Model   string        // its name in paths
	JSON    bool          // bodies are JSON, not binary tensors
	Rate    float64       // requests a second; 0: none, what the server does when nothing comes is measured
	Burst   float64       // coefficient of variation of the gaps
	Seed    uint64        // of gaps and values
	Warm    time.Duration // requests are sent before the window
	Window  time.Duration
	SLO     time.Duration
	PID     int           // of the server
	Timeout time.Duration // after the last request, what has no answer by then gets none
}

// seen is what the client saw in the window. Latencies count from when a request was meant to be sent.
type seen struct {
	Requests int     // meant to be sent in the window
	Bad      int     // without an answer of the model
	Within   int     // answered within the SLO
	Fault    string  // what was wrong with the first bad one
	Seconds  float64 // of the window, as the server's counters were read
	P50, P99 float64 // seconds
	Late     float64 // p99 of how late requests were sent, seconds
	CPU      float64 // seconds that the server used
	Compute  float64 // of them, inside the model
	Rows     float64 // that ran
	Batches  float64
	Memory   float64    // bytes that the server held afterwards; the client leaves it out
	Air      conditions // left out too
}

// most connections at once; more requests than that wait for one.
const mostConnections = 512

// window is the client's main: it does an order and prints what it saw.
func window(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	s, err := o.do()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// client is an order under way. One goroutine sends everything, so that no request waits for another goroutine
// to be woken; each connection has one that reads its answers.
type client struct {
	order
	bodies   [][]byte // whole requests
	from, to time.Time
	answered sync.WaitGroup // requests under way

	mu    sync.Mutex
	freed *sync.Cond     // a connection is free
	free  []*wire        // the one used last is the last: its memory is in the caches
	wires map[*wire]bool // that are open
	took  []float64
	late  []float64
	saw   seen
}

// firstWires are opened before the first request; more when all are busy.
const firstWires = 16

func (o order) do() (seen, error) {
	c := &client{order: o, wires: map[*wire]bool{}}
	c.freed = sync.NewCond(&c.mu)
	if err := c.prepare(); err != nil {
		return seen{}, err
	}
	defer c.close()
	c.from = time.Now().Add(o.Warm)
	c.to = c.from.Add(o.Window)
	sent := make(chan struct{})
	go func() { defer close(sent); c.send() }()
	time.Sleep(time.Until(c.from))
	before, err := o.look(false)
	time.Sleep(time.Until(c.to))
	after, err2 := o.look(true)
	<-sent
	if err == nil {
		err = err2
	}
	return c.sum(before, after), err
}

// prepare makes the requests and opens the first connections.
func (c *client) prepare() (err error) {
	if c.Rate <= 0 {
		return nil
	}
	if c.bodies, err = c.requests(); err != nil {
		return err
	}
	for range firstWires {
		w, err := c.open()
		if err != nil {
			return err
		}
		c.free = append(c.free, w)
	}
	return nil
}

// send sends each request at its time and waits for all answers.
func (c *client) send() {
	if c.Rate <= 0 {
		return
	}
	punctual()
	for turn, at := range c.times() {
		nap(at)
		c.answered.Add(1)
		w, err := c.wire()
		if err != nil {
			c.over(nil, at, err)
		} else if err := w.ask(c.bodies[turn%len(c.bodies)], at); err != nil {
			c.broke(w, err)
		}
	}
	defer time.AfterFunc(c.Timeout, c.close).Stop()
	c.answered.Wait()
}

// times are when requests are sent: before the window, to warm up, and in it.
func (c *client) times() (all []time.Time) {
	g := gaps{time.Duration(float64(time.Second) / c.Rate), c.Burst, rand.New(rand.NewPCG(c.Seed, 2))}
	for _, after := range g.within(c.Warm) {
		all = append(all, c.from.Add(after-c.Warm))
	}
	for _, after := range g.within(c.Window) {
		all = append(all, c.from.Add(after))
	}
	return all
}

// punctual makes the sender's thread its own, wakes it to the microsecond, where threads usually may sleep 50 us
// longer, and lets it go before those that read answers. Where that is not allowed it is as late as others are.
func punctual() {
	const timerSlack = 29 // PR_SET_TIMERSLACK, in nanoseconds
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, timerSlack, 1, 0)
	syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)
}

// nap waits in the kernel: timers of the Go runtime may be 1 ms late, which would count as latency.
func nap(until time.Time) {
	for d := time.Until(until); d > 0; d = time.Until(until) {
		t := syscall.NsecToTimespec(int64(d))
		syscall.Nanosleep(&t, nil) // a signal may end it early; the loop looks again
	}
}

// wire is a connection that nobody uses: a new one, where there is none and may be one more.
func (c *client) wire() (*wire, error) {
	c.mu.Lock()
	for len(c.free) == 0 && len(c.wires) >= mostConnections {
		c.freed.Wait()
	}
	if n := len(c.free); n > 0 {
		w := c.free[n-1]
		c.free = c.free[:n-1]
		c.mu.Unlock()
		return w, nil
	}
	c.mu.Unlock()
	return c.open()
}

// open opens a connection and lets a goroutine read its answers until it breaks or is closed.
func (c *client) open() (*wire, error) {
	w, err := connect(c.Host)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wires[w] = true
	go c.read(w)
	return w, nil
}

func (c *client) read(w *wire) {
	for {
		if err := w.answer(); err != nil {
			c.broke(w, err)
			return
		}
		if w.asked.CompareAndSwap(true, false) {
			c.over(w, w.meant, nil)
		}
	}
}

// broke closes a connection after an error, which is how the request on it ended, if there is one. The sender
// and the reader may both see it break.
func (c *client) broke(w *wire, err error) {
	w.conn.Close()
	c.mu.Lock()
	delete(c.wires, w)
	c.free = slices.DeleteFunc(c.free, func(f *wire) bool { return f == w })
	c.mu.Unlock()
	if w.asked.CompareAndSwap(true, false) {
		c.over(nil, w.meant, err)
	}
}

// over writes down how a request ended that was meant to be sent at a time. Its connection, if there still is
// one, is free.
func (c *client) over(w *wire, meant time.Time, err error) {
	took := time.Since(meant)
	late := took
	c.mu.Lock()
	if w != nil {
		late = w.late
		c.free = append(c.free, w)
	}
	if !meant.Before(c.from) {
		c.count(took, late, err)
	}
	c.freed.Signal()
	c.mu.Unlock()
	c.answered.Done()
}

// count is called with the mutex held.
func (c *client) count(took, late time.Duration, err error) {
	c.saw.Requests++
	c.late = append(c.late, late.Seconds())
	if err != nil {
		if c.saw.Bad++; c.saw.Fault == "" {
			c.saw.Fault = err.Error()
		}
		return
	}
	c.took = append(c.took, took.Seconds())
	if took <= c.SLO {
		c.saw.Within++
	}
}

// close closes all connections: what is still under way has no answer.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.wires {
		w.conn.Close()
	}
}

// sum is all that was seen, with what the server did between two looks at it.
func (c *client) sum(before, after look) seen {
	s := c.saw
	slices.Sort(c.took)
	slices.Sort(c.late)
	s.P50, s.P99, s.Late = quantile(c.took, 0.5), quantile(c.took, 0.99), quantile(c.late, 0.99)
	s.Seconds = after.at.Sub(before.at).Seconds()
	s.CPU = after.cpu - before.cpu
	s.Compute, s.Rows, s.Batches = after.compute-before.compute, after.rows-before.rows, after.batches-before.batches
	return s
}

// quantile is the least of sorted values that share p of them are not above; 0 of none.
func quantile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p*float64(len(sorted))-1e-9))-1)]
}

// look is what the server had done at one moment.
type look struct {
	at                          time.Time
	cpu, compute, rows, batches float64
}

// look reads the metrics first before a window and last after it, so that the server's work for them is
// not measured.
func (o order) look(after bool) (l look, err error) {
	if !after {
		err = l.scrape(o.Host)
	}
	l.at = time.Now()
	if err == nil {
		l.cpu, err = exactCPU(o.PID)
	}
	if after && err == nil {
		err = l.scrape(o.Host)
	}
	return l, err
}

func (l *look) scrape(host string) error {
	text, err := fetch("http://" + host + "/metrics")
	if err != nil {
		return err
	}
	l.compute = metric(text, "modelserver_compute_cpu_seconds_total")
	l.rows, l.batches = metric(text, "modelserver_inferences_total"), metric(text, "modelserver_executions_total")
	return nil
}

// exactCPU is the CPU seconds of a process since it began, to the nanosecond: /proc/PID/stat counts in 10 ms.
func exactCPU(pid int) (float64, error) {
	const scheduled = 2                         // CPUCLOCK_SCHED
	clock := uint32(int32(^pid)<<3 | scheduled) // of the whole process, as clock_getcpuclockid makes it
	var at syscall.Timespec
	if _, _, failed := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&at)), 0); failed != 0 {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, failed)
	}
	return float64(at.Nano()) / 1e9, nil
}
