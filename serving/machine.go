package serving

import (
	"context"
	"io/fs"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"trimtab.dev/trimtab/serving/cgroup"
)

const (
	machineEvery = 2 * time.Second
	heapShare    = 0.9 // of the memory limit; the rest is for stacks, buffers of the kernel and native code
)

// machine follows the limits of the control group, which an in-place resize of the pod rewrites: as many
// batches at once as there are whole cores, and a garbage collector that works harder near the memory limit.
type machine struct {
	server *Server
	root   fs.FS // that of the machine
	last   cgroup.Limits
	known  bool
	fault  string
}

// follow looks at the limits until ctx ends; the first look is over when it returns.
func (m *machine) follow(ctx context.Context) (wait func()) {
	m.look()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(machineEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.look()
			}
		}
	}()
	return func() { <-done }
}

func (m *machine) look() {
	l, err := cgroup.Read(m.root)
	if err != nil {
		m.unknown(err)
		return
	}
	m.fault = ""
	if m.known && l == m.last {
		return
	}
	m.known, m.last = true, l
	m.server.pool.SetSize(instancesOf(l))
	m.server.router.SetInstances(instancesOf(l))
	m.server.router.SetMemory(l.Memory / 2) // the other half is for the one that comes, and for requests
	if os.Getenv("GOMAXPROCS") == "" {
		// One more than compute: while all cores are in a model, somebody has to see what comes.
		runtime.GOMAXPROCS(instancesOf(l) + 1)
	}
	m.server.mostBodies.Store(bodiesOf(l, m.server.cfg.MaxBodies))
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapOf(l))
	}
	m.server.log.Info("limits", "cores", l.CPU, "memory", l.Memory, "instances", instancesOf(l))
}

// unknown says that the limits could not be read. Those before stay in force, for there may be limits: until
// they are known one batch is computed at once, and the memory is left as it is.
func (m *machine) unknown(err error) {
	if err.Error() != m.fault {
		m.fault = err.Error()
		m.server.log.Warn("limits of the control group are not understood", "err", m.fault)
	}
	if !m.known {
		m.server.pool.SetSize(1)
		m.server.router.SetInstances(1)
	}
}

// instancesOf is how many batches may be computed at once: one on each whole core.
func instancesOf(l cgroup.Limits) int {
	cores := float64(runtime.NumCPU())
	if l.CPU > 0 {
		cores = min(cores, l.CPU)
	}
	return max(1, int(cores))
}

// bodiesOf is how many bytes of bodies there may be at once: a quarter of the memory limit, for the values in
// a body are there once more as tensors, and the models want room too.
func bodiesOf(l cgroup.Limits, most int64) int64 {
	if l.Memory == 0 {
		return most
	}
	return min(most, max(l.Memory/4, 1))
}

func heapOf(l cgroup.Limits) int64 {
	if l.Memory == 0 {
		return math.MaxInt64
	}
	return int64(heapShare * float64(l.Memory))
}
