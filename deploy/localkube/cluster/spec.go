// Package cluster describes a localkube cluster as data: what runs, with which
// arguments, files and objects. It starts nothing and reads nothing.
package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/deploy/localkube/cgroup"
)

// Inside is where a level 3 cluster sees its state directory: a short path,
// because the names of Unix sockets are limited to 107 bytes.
const Inside = "/run/localkube"

// Addresses inside a cluster.
const (
	ServiceRange = "10.96.0.0/16"
	ServiceIP    = "10.96.0.1"
	PodRange     = "10.244.0.0/16"
	LoopbackPods = "127.10.0.1/16" // level 2: a pod's program is a process that listens on the pod's IP
	FakePods     = "10.250.0.1/16" // level 3: kwok's pods are never reached
)

// Spec is everything that the supervisor needs to know.
type Spec struct {
	ID       string      `json:"id"`
	Level    int         `json:"level"`
	State    string      `json:"state"` // on the host
	Bin      string      `json:"bin"`
	Out      string      `json:"out"` // the kubeconfig file for people
	APIPort  int         `json:"apiPort"`
	Ports    Ports       `json:"ports"`
	Forwards []Forward   `json:"forwards,omitempty"`
	Kwok     int         `json:"kwok"`
	Nodes    string      `json:"nodes,omitempty"` // a manifest of further fake nodes
	Tools    Tools       `json:"tools"`
	Cgroups  cgroup.Host `json:"cgroups"`
	Machine  Machine     `json:"machine"`
}

// Ports are the listeners inside the cluster; at level 2 that is the host.
type Ports struct {
	API     int `json:"api"`
	Etcd    int `json:"etcd"`
	Peer    int `json:"peer"`
	Kwok    int `json:"kwok"`
	Metrics int `json:"metrics"`
}

// FixedPorts are used where the cluster has a network of its own.
var FixedPorts = Ports{API: 6443, Etcd: 2379, Peer: 2380, Kwok: 11247, Metrics: 14443}

// Tools are the container runtime's programs on this machine.
type Tools struct {
	Containerd string `json:"containerd"`
	Ctr        string `json:"ctr"`
	Runc       string `json:"runc"`
	CNI        string `json:"cni"` // directory
}

// Machine is the size of the computer, which every real node would claim whole.
type Machine struct {
	CPUs   int   `json:"cpus"`
	Memory int64 `json:"memory"` // bytes
}

// Forward is a loopback address of the host that leads to one of the cluster.
type Forward struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ParseForward reads HOSTPORT=IP:PORT. HOSTPORT is a port or a loopback
// address with one: a cluster is never opened to the network.
func ParseForward(text string) (Forward, error) {
	from, to, ok := strings.Cut(text, "=")
	if !ok {
		return Forward{}, fmt.Errorf("forward %q has no =; write 8080=10.96.0.80:80", text)
	}
	if !strings.Contains(from, ":") {
		from = "127.0.0.1:" + from
	}
	for _, address := range []string{from, to} {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return Forward{}, fmt.Errorf("forward %q: %w; write 8080=10.96.0.80:80", text, err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || net.ParseIP(host) == nil {
			return Forward{}, fmt.Errorf("forward %q: %s is no IP:PORT; write 8080=10.96.0.80:80", text, address)
		}
	}
	if host, _, _ := net.SplitHostPort(from); !net.ParseIP(host).IsLoopback() {
		return Forward{}, fmt.Errorf("forward %q listens beyond this machine; use 127.0.0.1", text)
	}
	return Forward{From: from, To: to}, nil
}

// IDOf names a cluster after its state directory, so that what it leaves
// behind is found again even if the directory is lost.
func IDOf(state string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(state)))
	return hex.EncodeToString(sum[:3])
}

// CgroupName is the control group that holds everything of the cluster.
func CgroupName(id string) string { return "trimtab-" + id }

// Base is the state directory as the components see it.
func (s Spec) Base() string {
	if s.Level == 3 {
		return Inside
	}
	return s.State
}

// Path is a file of the state directory as the components see it.
func (s Spec) Path(parts ...string) string {
	return filepath.Join(append([]string{s.Base()}, parts...)...)
}

// Host is the address that the API server and kwok tell others.
func (s Spec) Host() string {
	if s.Level == 3 {
		return RealNodes[0].Gateway
	}
	return "127.0.0.1"
}

// Server is the API server's URL for the components.
func (s Spec) Server() string { return fmt.Sprintf("https://127.0.0.1:%d", s.Ports.API) }

// PublicServer is the API server's URL for people.
func (s Spec) PublicServer() string { return fmt.Sprintf("https://127.0.0.1:%d", s.APIPort) }

// HasKwok is true if kwok has something to do.
func (s Spec) HasKwok() bool { return s.Level == 2 || s.Kwok > 0 || s.Nodes != "" }
