package cluster

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Argv is the command line of a component: the program's path, then flags.
func (s Spec) Argv(name string) []string {
	flags := map[string]func() []string{
		"etcd":                    s.etcd,
		"kube-apiserver":          s.apiserver,
		"kube-controller-manager": s.controllers,
		"kube-scheduler":          func() []string { return []string{"--config=" + s.Path("scheduler.json"), "--secure-port=0"} },
		"kube-proxy":              func() []string { return []string{"--config=" + s.Path("proxy.json")} },
		"metrics-server":          s.metrics,
		"kwok":                    s.kwok,
	}
	return append([]string{filepath.Join(s.Bin, name)}, flags[name]()...)
}

// ContainerdArgv is the command line of a node's container runtime.
func (s Spec) ContainerdArgv(n Node) []string {
	return []string{s.Tools.Containerd, "--config", s.Path(n.Name, "containerd.toml")}
}

// KubeletArgv is the command line of a node's kubelet.
func (s Spec) KubeletArgv(n Node) []string {
	dir := s.Path(n.Name, "kubelet")
	return []string{
		filepath.Join(s.Bin, "kubelet"),
		"--config=" + s.Path(n.Name, "kubelet.json"),
		"--kubeconfig=" + s.Path("pki", n.Name+".kubeconfig"),
		"--hostname-override=" + n.Name, "--node-ip=" + n.Gateway,
		"--root-dir=" + dir, "--cert-dir=" + dir + "/pki",
		// Without its own socket here the statistics know pods but no containers.
		"--containerd=" + s.ContainerdSocket(n),
		"--housekeeping-interval=5s",
		"--node-labels=" + joinLabels(Labels(M5Large.Type, n.Capacity)),
	}
}

func joinLabels(labels map[string]string) string {
	var pairs []string
	for k, v := range labels {
		pairs = append(pairs, k+"="+v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

func (s Spec) etcd() []string {
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", s.Ports.Etcd), fmt.Sprintf("http://127.0.0.1:%d", s.Ports.Peer)
	return []string{
		"--name=localkube", "--data-dir=" + s.Path("etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=localkube=" + peer,
		"--client-cert-auth", "--trusted-ca-file=" + s.Path("pki", "ca.crt"),
		"--cert-file=" + s.Path("pki", "etcd.crt"), "--key-file=" + s.Path("pki", "etcd.key"),
	}
}

func (s Spec) apiserver() []string {
	flags := []string{
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", s.Ports.Etcd),
		"--etcd-cafile=" + s.Path("pki", "ca.crt"),
		"--etcd-certfile=" + s.Path("pki", "etcd.crt"), "--etcd-keyfile=" + s.Path("pki", "etcd.key"),
		fmt.Sprintf("--secure-port=%d", s.Ports.API), "--advertise-address=" + s.Host(),
		"--tls-cert-file=" + s.Path("pki", "apiserver.crt"), "--tls-private-key-file=" + s.Path("pki", "apiserver.key"),
		"--client-ca-file=" + s.Path("pki", "ca.crt"),
		"--service-account-key-file=" + s.Path("pki", "sa.key"),
		"--service-account-signing-key-file=" + s.Path("pki", "sa.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=" + ServiceRange,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--kubelet-client-certificate=" + s.Path("pki", "kubelet-client.crt"),
		"--kubelet-client-key=" + s.Path("pki", "kubelet-client.key"),
		"--kubelet-certificate-authority=" + s.Path("pki", "ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + s.Path("pki", "ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.Path("pki", "front-proxy-client.crt"),
		"--proxy-client-key-file=" + s.Path("pki", "front-proxy-client.key"),
		"--allow-privileged=true",
		// The log is written at once: no event waits in a buffer.
		"--audit-policy-file=" + s.Path("audit.json"), "--audit-log-path=" + s.Path(AuditLog),
		"--audit-log-maxsize=100", "--audit-log-maxbackup=1",
	}
	if s.Level == 2 {
		return append(flags, "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none")
	}
	return append(flags, "--bind-address=0.0.0.0")
}

func (s Spec) controllers() []string {
	config := s.Path("pki", "controllers.kubeconfig")
	return []string{
		"--kubeconfig=" + config, "--secure-port=0", "--leader-elect=false",
		"--service-account-private-key-file=" + s.Path("pki", "sa.key"),
		"--root-ca-file=" + s.Path("pki", "ca.crt"),
		"--use-service-account-credentials=true",
		// The default rate stretches the start of its forty controllers to seconds.
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--horizontal-pod-autoscaler-sync-period=5s",
	}
}

func (s Spec) metrics() []string {
	config := s.Path("pki", "admin.kubeconfig")
	return []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", s.Ports.Metrics),
		"--tls-cert-file=" + s.Path("pki", "metrics-server.crt"), "--tls-private-key-file=" + s.Path("pki", "metrics-server.key"),
		"--kubelet-certificate-authority=" + s.Path("pki", "ca.crt"),
		"--kubelet-preferred-address-types=InternalIP", "--kubelet-use-node-status-port",
		"--kubelet-client-certificate=" + s.Path("pki", "kubelet-client.crt"),
		"--kubelet-client-key=" + s.Path("pki", "kubelet-client.key"),
		// The resolution must be at least twice the timeout of one scrape.
		"--metric-resolution=10s", "--kubelet-request-timeout=5s",
	}
}

func (s Spec) kwok() []string {
	pods := LoopbackPods
	if s.Level == 3 {
		pods = FakePods
	}
	return []string{
		"--kubeconfig=" + s.Path("pki", "admin.kubeconfig"),
		"--config=" + filepath.Join(s.Bin, "kwok.yaml"), "--config=" + s.Path("kwok.yaml"),
		"--manage-all-nodes=false", "--manage-nodes-with-label-selector=type=kwok",
		"--node-ip=" + s.Host(), fmt.Sprintf("--node-port=%d", s.Ports.Kwok),
		fmt.Sprintf("--server-address=%s:%d", s.Host(), s.Ports.Kwok),
		"--tls-cert-file=" + s.Path("pki", "apiserver.crt"), "--tls-private-key-file=" + s.Path("pki", "apiserver.key"),
		"--cidr=" + pods, "--node-lease-duration-seconds=40",
	}
}
