package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/api"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
	"trimtab.dev/trimtab/deploy/localkube/supervisor"
)

func clusterVerb(ctx context.Context, verb string, args []string) error {
	if verb == "build" {
		_, err := binaries(ctx)
		return err
	}
	if verb == superviseVerb && len(args) == 1 {
		os.Exit(supervisor.Main(args[0]))
	}
	state, err := stateDir()
	if err != nil {
		return err
	}
	if verb == "up" {
		return up(ctx, state, args)
	}
	args, err = takeOut(state, args)
	if err != nil {
		return err
	}
	switch verb {
	case "down":
		return down(ctx, state)
	case "status":
		return status(ctx, state)
	case "load":
		return load(ctx, state, args)
	case "kubectl":
		return kubectl(state, args)
	case "exec":
		return execInside(ctx, state, args)
	}
	return remedy{fmt.Errorf("no verb %q; localkube help lists them", verb)}
}

// takeOut reads a leading --out DIR, which says whose cluster is meant: every
// verb refuses to touch one that somebody else has started for another DIR.
func takeOut(state string, args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	dir, joined := strings.CutPrefix(args[0], "--out=")
	rest := args[1:]
	if args[0] == "--out" && len(args) > 1 {
		dir, rest = args[1], args[2:]
	} else if !joined {
		return args, nil
	}
	out, err := kubeconfigIn(dir)
	if err != nil {
		return nil, err
	}
	if spec, err := running(state); err == nil && spec.Out != out {
		return nil, remedy{fmt.Errorf("the cluster that is up belongs to %s; use --out %s", spec.Out, filepath.Dir(spec.Out))}
	}
	return rest, nil
}

// kubeconfigIn is the kubeconfig that up writes into dir.
func kubeconfigIn(dir string) (string, error) {
	out, err := filepath.Abs(filepath.Join(dir, "kubeconfig"))
	if err != nil {
		return "", fmt.Errorf("find output directory: %w", err)
	}
	return out, nil
}

var errDown = remedy{errors.New("no cluster is up; start one with: localkube up")}

// running finds the cluster of a state directory.
func running(state string) (cluster.Spec, error) {
	id, ok := supervisor.ReadIdentity(state)
	if !ok || !id.Alive() {
		return cluster.Spec{}, errDown
	}
	return supervisor.ReadSpec(state)
}

func publicKubeconfig(state string) string { return filepath.Join(state, "pki", "public.kubeconfig") }

// kubectlCache keeps what kubectl learns about one cluster from the next, which
// has the same address.
func kubectlCache(state string) string { return filepath.Join(state, "tmp", "kubectl") }

func kubectl(state string, args []string) error {
	spec, err := running(state)
	if err != nil {
		return err
	}
	env := append(os.Environ(),
		"KUBECONFIG="+publicKubeconfig(state),
		"KUBECACHEDIR="+kubectlCache(state))
	program := filepath.Join(spec.Bin, "kubectl")
	err = syscall.Exec(program, append([]string{"kubectl"}, args...), env)
	return fmt.Errorf("run %s: %w; localkube build makes it", program, err)
}

func execInside(ctx context.Context, state string, args []string) error {
	if len(args) == 0 {
		return remedy{errors.New("no program; write localkube exec PROGRAM ARGS")}
	}
	if _, err := running(state); err != nil {
		return err
	}
	path, err := findProgram(args[0])
	if err != nil {
		return err
	}
	r, err := supervisor.Dial(state).Run(ctx, append([]string{path}, args[1:]...)...)
	if err != nil {
		return err
	}
	fmt.Print(r.Output)
	if r.Code != 0 {
		os.Exit(r.Code)
	}
	return nil
}

func status(ctx context.Context, state string) error {
	spec, err := running(state)
	if err != nil {
		return err
	}
	s, err := supervisor.Dial(state).Status(ctx)
	if err != nil {
		return err
	}
	word := "starting"
	if s.Ready {
		word = "up"
	}
	fmt.Printf("level       %d, %s for %s\n", spec.Level, word, time.Since(s.Since).Round(time.Second))
	fmt.Printf("API         %s\n", spec.PublicServer())
	fmt.Printf("kubeconfig  %s\n", spec.Out)
	fmt.Printf("logs        %s\n", filepath.Join(state, "log"))
	for _, f := range spec.Forwards {
		fmt.Printf("forward     %s to %s\n", f.From, f.To)
	}
	printNodes(ctx, state, spec)
	for _, c := range s.Components {
		fmt.Printf("component   %-26s %s\n", c.Name, health(c))
	}
	return nil
}

func health(c supervisor.Component) string {
	word := "runs"
	if c.PID == 0 {
		word = "DOWN, see its log"
	}
	if c.Restarts > 0 {
		word += fmt.Sprintf(", started again %d times", c.Restarts)
	}
	return word
}

func printNodes(ctx context.Context, state string, spec cluster.Spec) {
	nodes, err := nodesOf(ctx, state, spec)
	if err != nil {
		fmt.Printf("nodes       unknown: %v\n", err)
		return
	}
	const shown = 8
	for i, n := range nodes {
		if i == shown {
			fmt.Printf("node        and %d more\n", len(nodes)-shown)
			return
		}
		word := "NOT ready"
		if n.Ready {
			word = "ready"
		}
		fmt.Printf("node        %-26s %s\n", n.Name, word)
	}
}

func nodesOf(ctx context.Context, state string, spec cluster.Spec) ([]api.Node, error) {
	var parts [3][]byte
	for i, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		text, err := os.ReadFile(filepath.Join(state, "pki", name))
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		parts[i] = text
	}
	c, err := api.New(spec.PublicServer(), parts[0], parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	return c.Nodes(ctx)
}
