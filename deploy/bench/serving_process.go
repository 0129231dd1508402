package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// firstPort is where the search for free ports begins.
const firstPort = 21000

// loopback is where every server of a trial listens.
const loopback = "127.0.0.1"

// server is what answers at one address: one process, or a rival's with the one behind it.
type server struct {
	name  string // as the tables call it
	url   string
	parts []*exec.Cmd // whose CPU and memory count
	model string      // its name in paths
	ready time.Duration
}

// launch starts a program of its own whose output goes to a file.
func (t *trial) launch(name string, argv ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(t.dir, strings.ReplaceAll(name, " ", "-")+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "SERVING_READINESS_PROBE=") // KServe's agent wants it set
	cmd.Dir = t.dir
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return cmd, nil
}

// freePort is one that nobody listens on, below those that the kernel gives to connections: one that tries
// a port of those, before its server listens, may be connected to itself.
func (t *trial) freePort() (int, error) {
	for range 1000 {
		t.port++
		ln, err := net.Listen("tcp", loopback+":"+strconv.Itoa(t.port))
		if err == nil {
			return t.port, ln.Close()
		}
	}
	return 0, errors.New("no free port")
}

// serve starts our server with a model under the name m and waits until it is ready. before is what
// runs it, like taskset; it may be empty.
func (t *trial) serve(name, model string, before []string, args ...string) (*server, error) {
	port, err := t.freePort()
	if err != nil {
		return nil, err
	}
	argv := append(slices.Clone(before), t.binary, "serve", "--model", model, "--name", "m", "--listen", loopback+":"+strconv.Itoa(port), "--drain-delay", "0s")
	return t.await(name, port, func() (*exec.Cmd, error) { return t.launch(name, append(argv, args...)...) })
}

// await starts a server and waits until it is ready.
func (t *trial) await(name string, port int, start func() (*exec.Cmd, error)) (*server, error) {
	begin := time.Now()
	cmd, err := start()
	if err != nil {
		return nil, err
	}
	s := &server{name: name, url: fmt.Sprintf("http://%s:%d", loopback, port), parts: []*exec.Cmd{cmd}, model: "m"}
	t.running = append(t.running, s)
	for time.Since(begin) < 30*time.Second {
		if s.isReady() {
			s.ready = time.Since(begin)
			return s, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	log, _ := os.ReadFile(filepath.Join(t.dir, strings.ReplaceAll(name, " ", "-")+".log"))
	return nil, fmt.Errorf("%s is not ready after 30 s; it said last: %s", name, lastLine(log))
}

func (s *server) isReady() bool {
	client := http.Client{Timeout: time.Second}
	res, err := client.Get(s.url + "/v2/health/ready")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// pids are its processes.
func (s *server) pids() []int {
	var all []int
	for _, cmd := range s.parts {
		all = append(all, cmd.Process.Pid)
	}
	return all
}

// wake lets one server run and holds all others, so that what those do when idle is not measured with it.
func (t *trial) wake(one *server) error {
	var faults []error
	for _, s := range t.running {
		for _, cmd := range s.parts {
			if !slices.Contains(one.parts, cmd) {
				faults = append(faults, cmd.Process.Signal(syscall.SIGSTOP))
			}
		}
	}
	for _, cmd := range one.parts {
		faults = append(faults, cmd.Process.Signal(syscall.SIGCONT))
	}
	return errors.Join(faults...)
}

// stopAll ends the servers that run. KServe's agent would take 30 s over it, and nothing is lost.
func (t *trial) stopAll() {
	for _, s := range t.running {
		s.parts[0].Process.Kill()
		s.parts[0].Wait()
	}
	t.running = nil
}

// usedCPU is the CPU seconds of processes since they began.
func usedCPU(pids []int) (float64, error) {
	sum := 0.0
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		used, err := cpuOfStat(string(text))
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += used
	}
	return sum, nil
}

// ticksPerSecond is what /proc counts CPU time in on every Linux that Go runs on.
const ticksPerSecond = 100

// cpuOfStat reads the user and system time of a process from its stat file.
func cpuOfStat(text string) (float64, error) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("too short")
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond, errors.Join(err, err2)
}

// memory is the resident memory of a server's processes in MB (10^6 bytes).
func (s *server) memory() (float64, error) {
	sum := 0.0
	for _, pid := range s.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		kib, ok := residentOf(string(text))
		if !ok {
			return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
		}
		sum += kib * 1024 / 1e6
	}
	return sum, nil
}

// residentOf reads the resident memory in KiB from a status file.
func residentOf(status string) (float64, bool) {
	for line := range strings.Lines(status) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			return kib, true
		}
	}
	return 0, false
}
