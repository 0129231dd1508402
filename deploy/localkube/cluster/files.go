package cluster

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"trimtab.dev/trimtab/deploy/localkube/pki"
)

// PauseImage is the sandbox image of every real pod.
const PauseImage = "localhost/trimtab/pause:1"

// Kubeconfig is a kubeconfig that needs no other file.
func Kubeconfig(server string, ca []byte, p pki.Pair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: localkube
contexts:
- name: localkube
  context: {cluster: localkube, user: localkube}
clusters:
- name: localkube
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: localkube
  user:
    client-certificate-data: %s
    client-key-data: %s
`, server, b64(ca), b64(p.Cert), b64(p.Key))
}

//go:embed kwok.yaml
var kwokStages []byte

// Files are the configuration files below the state directory, without keys.
func (s Spec) Files() map[string][]byte {
	files := map[string][]byte{"scheduler.json": s.scheduler(), "kwok.yaml": kwokStages, "audit.json": auditPolicy()}
	if s.Level != 3 {
		return files
	}
	files["proxy.json"] = s.proxy()
	files["resolv.conf"] = nil
	for path, value := range kernelSettings {
		files["sysctl/"+kernelFile(path)] = []byte(value + "\n")
	}
	for _, n := range RealNodes {
		files[n.Name+"/containerd.toml"] = s.containerd(n)
		files[n.Name+"/cni/10-bridge.conflist"] = s.network(n)
		files[n.Name+"/kubelet.json"] = s.kubelet(n)
	}
	return files
}

// AuditLog is the file below the state directory in which the API server notes who wrote what, a line of
// JSON for each write that was answered, refused ones too; package audit reads it.
const AuditLog = "log/audit.log"

// auditPolicy notes no reads, no heartbeats, and no questions that merely have the form of a write.
func auditPolicy() []byte {
	return encode(map[string]any{
		"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
		"omitStages": []string{"RequestReceived"}, "omitManagedFields": true,
		"rules": []any{
			map[string]any{"level": "None", "resources": []any{
				map[string]any{"group": "coordination.k8s.io", "resources": []string{"leases"}},
				map[string]any{"group": "authentication.k8s.io"},
				map[string]any{"group": "authorization.k8s.io"},
			}},
			map[string]any{"level": "Metadata", "verbs": []string{"create", "update", "patch", "delete", "deletecollection"}},
			map[string]any{"level": "None"},
		},
	})
}

// ContainerdSocket is where a node's containerd listens.
func (s Spec) ContainerdSocket(n Node) string { return s.Path(n.Name, "containerd.sock") }

// CgroupRoot is the control group of a node.
func (s Spec) CgroupRoot(n Node) string { return "/" + CgroupName(s.ID) + "/" + n.Name }

func (s Spec) containerd(n Node) []byte {
	dir := s.Path(n.Name)
	return fmt.Appendf(nil, `version = 2
root = %q
state = %q
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = %q

[plugins."io.containerd.internal.v1.opt"]
  path = %q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = %q
      SystemdCgroup = false
`, dir+"/containerd", "/run/containerd-"+n.Name, s.ContainerdSocket(n), dir+"/opt",
		PauseImage, s.Tools.CNI, dir+"/cni", s.Tools.Runc)
}

func (s Spec) network(n Node) []byte {
	return encode(map[string]any{
		"cniVersion": "1.0.0", "name": "localkube",
		"plugins": []any{map[string]any{
			"type": "bridge", "bridge": n.Bridge, "isGateway": true, "ipMasq": false, "hairpinMode": true,
			"ipam": map[string]any{
				"type":    "host-local",
				"ranges":  []any{[]any{map[string]string{"subnet": n.Subnet}}},
				"routes":  []any{map[string]string{"dst": "0.0.0.0/0"}},
				"dataDir": s.Path(n.Name, "addresses"),
			},
		}},
	})
}

func (s Spec) kubelet(n Node) []byte {
	return encode(map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": n.Gateway, "healthzPort": n.Healthz,
		"failCgroupV1": false, "cgroupDriver": "cgroupfs", "cgroupRoot": s.CgroupRoot(n),
		"failSwapOn": false, "makeIPTablesUtilChains": false,
		"containerRuntimeEndpoint": "unix://" + s.ContainerdSocket(n),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": s.Path("pki", "ca.crt")},
		},
		"authorization":     map[string]any{"mode": "Webhook"},
		"tlsCertFile":       s.Path("pki", n.Name+".crt"),
		"tlsPrivateKeyFile": s.Path("pki", n.Name+".key"),
		"resolvConf":        s.Path("resolv.conf"),
		"podLogsDir":        s.Path(n.Name, "podlogs"),
		// Disk pressure is the machine's business, not the demo's.
		"evictionHard": map[string]any{
			"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%",
			"nodefs.inodesFree": "1%", "imagefs.inodesFree": "1%",
		},
		"imageGCHighThresholdPercent": 99, "imageGCLowThresholdPercent": 98,
		"systemReserved":     s.Machine.reserve(M5Large),
		"registerWithTaints": taintsOf(n),
	})
}

// reserve keeps back what the machine has more than the instance that its
// nodes claim to be, so that allocatable is the same on every machine.
func (m Machine) reserve(i Instance) map[string]string {
	const gi = 1 << 30
	var want int64
	fmt.Sscanf(i.Memory, "%dGi", &want)
	return map[string]string{
		"cpu":    fmt.Sprint(max(0, m.CPUs-i.CPUs)),
		"memory": fmt.Sprint(max(0, m.Memory-want*gi-100<<20)),
	}
}

func taintsOf(n Node) []map[string]any {
	if n.Capacity == "spot" {
		return []map[string]any{SpotTaint}
	}
	return nil
}

func (s Spec) scheduler() []byte {
	return encode(map[string]any{
		"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
		"leaderElection":   map[string]any{"leaderElect": false},
		"clientConnection": map[string]any{"kubeconfig": s.Path("pki", "scheduler.kubeconfig")},
	})
}

func (s Spec) proxy() []byte {
	return encode(map[string]any{
		"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
		"clientConnection": map[string]any{"kubeconfig": s.Path("pki", "proxy.kubeconfig")},
		"hostnameOverride": RealNodes[0].Name,
		"mode":             "nftables",
		"clusterCIDR":      PodRange,
		"bindAddress":      "127.0.0.1", "healthzBindAddress": "127.0.0.1:10256", "metricsBindAddress": "127.0.0.1:10249",
		// Answers must come back through the node, or a pod would get them
		// straight over the bridge from an address it did not call.
		// A tenth of the default second: a pod that is ready should be reachable.
		"nftables":  map[string]any{"masqueradeAll": true, "minSyncPeriod": "100ms"},
		"conntrack": map[string]any{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	})
}

// encode cannot fail on the maps of this package.
func encode(v any) []byte {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // unreachable unless bug
	}
	return append(text, '\n')
}
