//go:build linux

package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"

	"trimtab.dev/trimtab/deploy/localkube/api"
	"trimtab.dev/trimtab/deploy/localkube/cluster"
)

// steps are the way up, each with what must be done before it. Whatever can
// runs at the same time.
func (s *supervisor) steps() []step {
	steps := []step{
		s.program("etcd", nil, atOnce),
		s.program("kube-apiserver", []string{"network"}, s.apiReady),
		s.program("kube-controller-manager", []string{"kube-apiserver"}, s.exists("/api/v1/namespaces/default/serviceaccounts/default")),
		s.program("kube-scheduler", []string{"kube-apiserver"}, atOnce),
		{"objects", []string{"kube-apiserver"}, s.createObjects},
		s.program("metrics-server", []string{"objects"}, atOnce),
	}
	if s.spec.HasKwok() {
		steps = append(steps, s.program("kwok", []string{"objects"}, atOnce))
	}
	if s.spec.Level == 2 {
		return append(steps, step{"network", nil, atOnce}, s.nodesReady("kwok"))
	}
	steps = append(steps,
		step{"network", nil, s.connect},
		step{"control groups", nil, func(context.Context) error { return s.makeCgroups() }},
		s.program("kube-proxy", []string{"kube-apiserver"}, atOnce))
	var kubelets []string
	for _, n := range cluster.RealNodes {
		steps = append(steps, s.nodeSteps(n)...)
		kubelets = append(kubelets, "kubelet "+n.Name)
	}
	return append(steps, s.nodesReady(kubelets...))
}

func (s *supervisor) nodeSteps(n cluster.Node) []step {
	runtime, image, kubelet := "containerd "+n.Name, "pause image "+n.Name, "kubelet "+n.Name
	socket := s.spec.ContainerdSocket(n)
	return []step{
		{runtime, []string{"network"}, func(ctx context.Context) error {
			return s.launch(ctx, "containerd-"+n.Name, s.spec.ContainerdArgv(n), answers(socket))
		}},
		{image, []string{runtime}, func(ctx context.Context) error {
			return s.must(ctx, s.spec.Tools.Ctr, "--address", socket, "--namespace", "k8s.io", "images", "import", s.spec.Path("pause.tar"))
		}},
		{kubelet, []string{"kube-apiserver", "control groups", image}, func(ctx context.Context) error {
			return s.launch(ctx, "kubelet-"+n.Name, s.spec.KubeletArgv(n), s.nodeIsReady(n.Name))
		}},
	}
}

func (s *supervisor) program(name string, after []string, ready func(context.Context) error) step {
	return step{name, after, func(ctx context.Context) error {
		return s.launch(ctx, name, s.spec.Argv(name), ready)
	}}
}

// atOnce is for programs that nothing has to wait for.
func atOnce(context.Context) error { return nil }

func answers(socket string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return c.Close()
	}
}

// newClient reads the keys; the supervisor keeps one client.
func (s *supervisor) newClient() (*api.Client, error) {
	var parts [3][]byte
	for i, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		text, err := os.ReadFile(s.spec.Path("pki", name))
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		parts[i] = text
	}
	return api.New(s.spec.Server(), parts[0], parts[1], parts[2])
}

func (s *supervisor) apiReady(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return c.Ready(ctx)
}

func (s *supervisor) exists(path string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := s.client()
		if err != nil {
			return err
		}
		return c.Exists(ctx, path)
	}
}

func (s *supervisor) createObjects(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(s.spec.Path("pki", "ca.crt"))
	if err != nil {
		return fmt.Errorf("read authority: %w", err)
	}
	for _, o := range s.spec.Objects(ca) {
		if err := c.Create(ctx, o.Path, o.Body); err != nil {
			return err
		}
	}
	return nil
}

func (s *supervisor) nodeIsReady(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		c, err := s.client()
		if err != nil {
			return err
		}
		nodes, err := c.Nodes(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(nodes, api.Node{Name: name, Ready: true}) {
			return fmt.Errorf("node %s is not ready", name)
		}
		return nil
	}
}

// nodesReady waits for every node that there is.
func (s *supervisor) nodesReady(after ...string) step {
	return step{"all nodes ready", after, func(ctx context.Context) error {
		return poll(ctx, readyLimit, s.noNodeMissing)
	}}
}

func (s *supervisor) noNodeMissing(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !n.Ready {
			return fmt.Errorf("node %s is not ready", n.Name)
		}
	}
	return nil
}
