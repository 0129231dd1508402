package build

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress says what is being built, how far it is and for how long: on one
// changing line for a terminal, as a line every ten seconds for a log.
type Progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time

	mu          sync.Mutex
	title       string
	done, total int
	start, last time.Time
	stop        chan struct{}
	stopped     sync.WaitGroup
}

// logEvery is how often a log gets a line.
const logEvery = 10 * time.Second

// NewProgress reports to out; now is the clock.
func NewProgress(out io.Writer, terminal bool, now func() time.Time) *Progress {
	return &Progress{out: out, terminal: terminal, now: now}
}

// Begin starts the part called title.
func (p *Progress) Begin(title string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.title, p.done, p.total = title, 0, 0
	p.start = p.now()
	p.last = p.start
	stop := make(chan struct{})
	p.stop = stop
	p.stopped.Go(func() { p.tick(stop) })
}

// Total sets how many packages this part has to compile.
func (p *Progress) Total(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total = n
}

// Step counts one package.
func (p *Progress) Step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.total = max(p.total, p.done)
}

// Stop ends the part without a word; End calls it.
func (p *Progress) Stop() {
	p.mu.Lock()
	stop := p.stop
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		close(stop)
		p.stopped.Wait()
	}
}

// End closes the part with its last line.
func (p *Progress) End() {
	p.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprint(p.out, "\r\033[K")
	}
	fmt.Fprintf(p.out, "%s: built, %d packages, %.0f s\n", p.title, p.done, p.now().Sub(p.start).Seconds())
}

// tick also shows the time while the linker, which prints nothing, works.
func (p *Progress) tick(stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			p.show()
		}
	}
}

func (p *Progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		fmt.Fprintf(p.out, "\r\033[K%s", p.line())
		return
	}
	if now := p.now(); now.Sub(p.last) >= logEvery {
		p.last = now
		fmt.Fprintln(p.out, p.line())
	}
}

func (p *Progress) line() string {
	seconds := p.now().Sub(p.start).Seconds()
	if p.total == 0 {
		return fmt.Sprintf("%s: looking for what to compile, %.0f s", p.title, seconds)
	}
	if p.done == p.total {
		return fmt.Sprintf("%s: %d of %d packages, linking, %.0f s", p.title, p.done, p.total, seconds)
	}
	return fmt.Sprintf("%s: %d of %d packages, %.0f s", p.title, p.done, p.total, seconds)
}
