package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/cgroup"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/machine"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

const defaultAPIPort = 16443

// wishes are the flags of up.
type wishes struct {
	level    string
	out      string
	apiPort  int
	anyPort  bool // the port was not asked for, so another one will do
	kwok     int
	nodes    string
	forwards []cluster.Forward
}

func parseUp(args []string) (wishes, error) {
	var w wishes
	f := flag.NewFlagSet("localkube up", flag.ContinueOnError)
	f.StringVar(&w.level, "level", "auto", "3: two real nodes, needs root; 2: fake nodes, any user; auto: the highest that works")
	f.StringVar(&w.out, "out", "demo-out", "directory for the kubeconfig")
	f.IntVar(&w.apiPort, "api-port", defaultAPIPort, "port of the API server on 127.0.0.1; if not given, a free one is taken when this is busy")
	f.IntVar(&w.kwok, "kwok", 0, "how many fake nodes to add; every fourth is spot, every fifth has a GPU")
	f.StringVar(&w.nodes, "nodes", "", "a manifest of fake Nodes to add, each with the label type=kwok")
	f.Func("forward", "HOSTPORT=IP:PORT, a loopback port that leads into the cluster; may be repeated", func(text string) error {
		forward, err := cluster.ParseForward(text)
		w.forwards = append(w.forwards, forward)
		return err
	})
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	} else if err != nil {
		return w, remedy{err}
	}
	w.anyPort = true
	f.Visit(func(f *flag.Flag) { w.anyPort = w.anyPort && f.Name != "api-port" })
	return w, w.check(f.Args())
}

func (w wishes) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return remedy{fmt.Errorf("up takes flags only, not %q", rest[0])}
	case w.level != "auto" && w.level != "2" && w.level != "3":
		return remedy{fmt.Errorf("no level %q; use 2, 3 or auto", w.level)}
	case w.kwok < 0 || w.kwok > 2000:
		return remedy{fmt.Errorf("%d fake nodes; use 0 to 2000", w.kwok)}
	}
	if w.nodes == "" {
		return nil
	}
	if _, err := os.Stat(w.nodes); err != nil {
		return remedy{fmt.Errorf("read nodes: %w; give --nodes a manifest", err)}
	}
	return nil
}

func up(ctx context.Context, state string, args []string) error {
	w, err := parseUp(args)
	if err != nil {
		return err
	}
	unlock, err := lock(state + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if spec, err := running(state); err == nil && waitReady(ctx, state) {
		return sayUp(state, spec, "is already up, with the settings that it was started with")
	}
	level, err := chooseLevel(w.level)
	if err != nil {
		return err
	}
	if err := clear(state); err != nil {
		return err
	}
	bin, err := binaries(ctx)
	if err != nil {
		return err
	}
	return start(ctx, state, bin, level, w)
}

// waitReady gives a cluster that another driver is leaving a moment to become
// ready or to go.
func waitReady(ctx context.Context, state string) bool {
	for range 50 {
		s, err := supervisor.Dial(state).Status(ctx)
		if err == nil && s.Ready {
			return true
		}
		if _, err := running(state); err != nil {
			return false
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

func chooseLevel(wanted string) (int, error) {
	level, reason := machine.Level(isBuilt())
	if wanted == "3" {
		level = 3
	}
	if wanted == "2" {
		level = 2
	}
	if level == 1 {
		return 0, remedy{errors.New(reason)}
	}
	if wanted == "auto" && level == 2 {
		say("level 2, because: %s\n", reason)
	}
	if missing := machine.Missing(level); len(missing) > 0 {
		return 0, remedy{errors.New("this machine lacks something\n  " + strings.Join(missing, "\n  "))}
	}
	return level, nil
}

func start(ctx context.Context, state, bin string, level int, w wishes) error {
	spec, err := newSpec(state, bin, level, w)
	if err != nil {
		return err
	}
	listeners, err := openPorts(&spec, w)
	if err != nil {
		return err
	}
	if err := prepare(spec); err != nil {
		return err
	}
	if err := spawn(ctx, spec, listeners); err != nil {
		return errors.Join(fmt.Errorf("start cluster: %w\nthe logs stay in %s until the next up or down", err, filepath.Join(state, "log")), stopOnly(state))
	}
	if err := addNodes(ctx, spec); err != nil {
		return err
	}
	return sayUp(state, spec, "is up")
}

func newSpec(state, bin string, level int, w wishes) (cluster.Spec, error) {
	out, err := kubeconfigIn(w.out)
	if err != nil {
		return cluster.Spec{}, err
	}
	s := cluster.Spec{
		ID: cluster.IDOf(state), Level: level, State: state, Bin: bin, Out: out,
		Ports: cluster.FixedPorts, Forwards: w.forwards, Kwok: w.kwok, Nodes: w.nodes, Machine: machine.Size(),
	}
	if level == 3 {
		s.Tools, _ = machine.Tools()
		s.Cgroups, err = cgroup.Detect(cgroup.Mount)
		if s.Cgroups.Unified {
			say("cgroup v2: untested\n")
		}
	}
	return s, err
}

// openPorts opens what the supervisor will listen on in the host's network,
// and finds free ports for what runs on the host itself.
func openPorts(s *cluster.Spec, w wishes) ([]*net.TCPListener, error) {
	first, err := openAPI(w)
	if err != nil {
		return nil, err
	}
	s.APIPort = portOf(first)
	var open []*net.TCPListener
	if s.Level == 3 {
		open = append(open, first)
	}
	for _, f := range s.Forwards {
		l, err := net.Listen("tcp", f.From)
		if err != nil {
			return nil, remedy{fmt.Errorf("open %s: %w; choose another port for --forward", f.From, err)}
		}
		open = append(open, l.(*net.TCPListener))
	}
	if s.Level == 2 {
		err = freePorts(&s.Ports)
		s.Ports.API = s.APIPort
		first.Close()
	}
	return open, err
}

func openAPI(w wishes) (*net.TCPListener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w.apiPort))
	if err != nil && w.anyPort {
		l, err = net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			say("port %d is busy, the API server uses %s\n", w.apiPort, l.Addr())
		}
	}
	if err != nil {
		return nil, remedy{fmt.Errorf("open the API port: %w; choose another with --api-port", err)}
	}
	return l.(*net.TCPListener), nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func freePorts(p *cluster.Ports) error {
	for _, port := range []*int{&p.Etcd, &p.Peer, &p.Kwok, &p.Metrics} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // all stay open until all are known: no number comes twice
		*port = portOf(l)
	}
	return nil
}

func sayUp(state string, spec cluster.Spec, word string) error {
	if err := writeKubeconfig(state, spec.Out); err != nil {
		return err
	}
	fmt.Printf("the cluster %s: level %d, %s\nkubeconfig: %s\n", word, spec.Level, spec.PublicServer(), spec.Out)
	return nil
}

func writeKubeconfig(state, out string) error {
	text, err := os.ReadFile(publicKubeconfig(state))
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("make output directory: %w", err)
	}
	if err := os.WriteFile(out, text, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}
