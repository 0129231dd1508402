//go:build e2e

// Package e2e drives what the README tells a newcomer to type, on real nodes where the machine
// carries them, and asserts on the cluster's objects and the daemon's answers, never on log lines.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rig is one demo under test.
type rig struct {
	t     *testing.T
	root  string // of the repository
	out   string // its demo-out
	port  string // of the daemon's page, so that a demo that is up does not answer for it
	state string // of its cluster, so that another one on this machine is left alone
	env   []string
	as    []string // runs every program as someone else; empty: as ourselves
}

func newRig(t *testing.T) *rig {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, root: root, out: t.TempDir(), state: filepath.Join(t.TempDir(), "state"), port: freePort(t)}
	r.env = []string{"LOCALKUBE_STATE=" + r.state}
	return r
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run runs a program of bin/ or of the system and gives its output and exit code.
func (r *rig) run(name string, args ...string) (string, int) {
	r.t.Helper()
	if path := filepath.Join(r.root, "bin", name); exists(path) {
		name = path
	}
	line := append(append(append([]string{}, r.as...), name), args...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, cmd.Env = r.root, append(os.Environ(), r.env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%s: %v", strings.Join(line, " "), err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// must is run for what has to succeed.
func (r *rig) must(name string, args ...string) string {
	r.t.Helper()
	defer r.took(time.Now(), name+" "+strings.Join(args, " "))
	out, code := r.run(name, args...)
	if code != 0 {
		r.t.Fatalf("%s %s: exit code %d\n%s", name, strings.Join(args, " "), code, out)
	}
	return out
}

func (r *rig) kubectl(args ...string) string {
	r.t.Helper()
	return r.must("localkube", append([]string{"kubectl", "--out", r.out}, args...)...)
}

// took tells what the time of a step went to.
func (r *rig) took(begun time.Time, what string) {
	r.t.Helper()
	if d := time.Since(begun); d > 5*time.Second {
		r.t.Logf("%.0f s: %.80s", d.Seconds(), what)
	}
}

// get reads one object or list into v.
func (r *rig) get(v any, args ...string) {
	r.t.Helper()
	out := r.kubectl(append(append([]string{"get"}, args...), "-o", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		r.t.Fatalf("kubectl get %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// plan asks the daemon as a person would; false: it did not answer.
func (r *rig) plan(args ...string) (answer, bool) {
	r.t.Helper()
	if len(args) == 0 {
		args = []string{"--kubeconfig", filepath.Join(r.out, "kubeconfig")}
	}
	out, code := r.run("trimtab", append([]string{"plan", "-o", "json"}, args...)...)
	if code != 0 {
		return answer{}, false
	}
	var a answer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		r.t.Fatalf("trimtab plan -o json: %v\n%s", err, out)
	}
	return a, true
}

// eventually waits until ok; what it waits for is said if it never comes.
func (r *rig) eventually(what string, limit time.Duration, ok func() bool) {
	r.t.Helper()
	defer r.took(time.Now(), what)
	for end := time.Now().Add(limit); !ok(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			a, _ := r.plan()
			text, _ := json.MarshalIndent(a, "", " ")
			r.t.Fatalf("not within %s: %s\nthe plan at the end:\n%s", limit, what, text)
		}
	}
}

// until waits until the daemon's plan satisfies ok.
func (r *rig) until(what string, limit time.Duration, ok func(answer) bool) answer {
	r.t.Helper()
	var last answer
	r.eventually(what, limit, func() bool {
		a, answered := r.plan()
		last = a
		return answered && ok(a)
	})
	return last
}

// answer is `trimtab plan -o json` as far as the tests read it.
type answer struct {
	Pass struct {
		At          time.Time `json:"at"`
		Error       string    `json:"error"`
		SeriesSince time.Time `json:"seriesSince"`
	} `json:"pass"`
	Plan struct {
		Assessments []assessment `json:"assessments"`
		Changes     []change     `json:"changes"`
		Troubles    []string     `json:"troubles"`
		BadPolicies []struct {
			Faults []string `json:"faults"`
		} `json:"badPolicies"`
		Lint []struct {
			Item string `json:"item"`
		} `json:"lint"`
		Now, After struct {
			Amount   int64    `json:"amount"`
			Unpriced []string `json:"unpriced"`
		}
	} `json:"plan"`
}

type change struct {
	ID   string `json:"id"`
	Ref  ref    `json:"ref"`
	Mode string `json:"mode"`
}

type ref struct {
	Namespace string `json:"namespace"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
}

type assessment struct {
	Ref      ref    `json:"ref"`
	Policy   string `json:"policy"`
	Verdicts []struct {
		Recommendation struct {
			Reason string `json:"reason"`
		} `json:"recommendation"`
		Target struct {
			Requests []struct {
				Container string `json:"container"`
				Requests  struct {
					MilliCPU int64 `json:"milliCPU"`
					Memory   int64 `json:"memory"`
				} `json:"requests"`
			} `json:"requests"`
			Replicas int    `json:"replicas"`
			Capacity string `json:"capacity"`
		} `json:"target"`
		Holds []hold `json:"holds"`
	} `json:"verdicts"`
	Holds  []hold `json:"holds"`
	Advice []struct {
		Text   string `json:"text"`
		Saving struct {
			Amount int64 `json:"amount"`
		} `json:"saving"`
	} `json:"advice"`
	Use []struct {
		Signal  string    `json:"signal"`
		From    time.Time `json:"from"`
		Samples int       `json:"samples"`
	} `json:"use"`
}

type hold struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

func (a answer) of(name string) assessment {
	for _, w := range a.Plan.Assessments {
		if w.Ref.Name == name {
			return w
		}
	}
	return assessment{}
}

// reasons are what is recommended for a workload, in order.
func (w assessment) reasons() string {
	var out []string
	for _, v := range w.Verdicts {
		out = append(out, v.Recommendation.Reason)
	}
	return strings.Join(out, " ")
}

// held are the reasons for which a workload is left alone, in order.
func (w assessment) held() string {
	var out []string
	for _, h := range w.Holds {
		out = append(out, h.Reason)
	}
	return strings.Join(out, " ")
}

// since is where the history of a signal begins.
func (w assessment) since(signal string) time.Time {
	for _, u := range w.Use {
		if u.Signal == signal {
			return u.From
		}
	}
	return time.Time{}
}

// readings is how many samples of a signal the history has in the policy's window.
func (w assessment) readings(signal string) int {
	for _, u := range w.Use {
		if u.Signal == signal {
			return u.Samples
		}
	}
	return 0
}

// processes finds the processes whose command line has all the words.
func processes(words ...string) []int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var out []int
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		line := strings.ReplaceAll(string(raw), "\x00", " ")
		if err == nil && hasAll(line, words) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			out = append(out, pid)
		}
	}
	return out
}

func hasAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return line != ""
}
