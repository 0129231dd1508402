/*
Command localkube runs a real Kubernetes on this machine: etcd, the API server
with its controllers and scheduler, metrics-server and, as root on Linux, two
real nodes with kubelet, containerd, runc and a pod network. All of it comes
from the modules that go.mod pins and from Debian's runtime packages; no
registry is asked for anything.

# Levels

Level 3 has the nodes ondemand-1 and spot-1, both m5.large by their labels, the
second with the taint spot=true:NoSchedule. With --kwok or --nodes there are
fake nodes beside them, played by kwok, which leaves nodes without the label
type=kwok alone. Everything lives in private mount, network and pid namespaces:
the supervisor is their first process, and when it ends, however it ends, the
kernel takes the rest. Only empty control groups and the state directory stay;
the next up or down removes them. Connections from the host come in through
loopback listeners that the driver opened before.

Level 2 runs the same control plane as ordinary processes of any user. Its
nodes ondemand-1, spot-1 and gpu-1 are played by kwok. A pod's usage is what
its annotations kwok.x-k8s.io/usage-cpu and usage-memory say.

Level 1 is no cluster at all: what remains on other systems.

# Layout

	main, verbs, up, start, down, load   the verbs; they only use the standard library
	kube, pause                          mains of the two binaries that are built from here
	build       pinned modules to cached binaries, with progress
	cluster     the cluster as data: arguments, files, keys, objects; starts nothing
	supervisor  namespaces, processes, order of start, control socket, forwarding
	machine     what this computer can carry and what it lacks
	image, pki, cgroup, proc, api        one small thing each
	audit       reads who wrote what, which the API server notes in log/audit.log below the state
	mailsink, dcgm   programs that run in the demo's pods: a mail server, and GPUs that do not exist

The cache directory ($XDG_CACHE_HOME/trimtab) holds localkube-HASH with the
binaries, named after everything that they are built from, and localkube with
the state of the running cluster. LOCALKUBE_STATE moves the state.

# Traps

Each of these was found by a failure.

  - kwok cannot be linked into the multi-call binary: both it and Kubernetes
    register --version, with different types.
  - Debian's etcd is too old for watch lists; the module's is used.
  - runc may not lower oom_score_adj without CAP_SYS_RESOURCE: containerd is
    told restrict_oom_score_adj.
  - Without --containerd the kubelet's statistics know pods but no containers.
  - A kubelet sets kernel parameters of the whole machine. It is shown files
    that already hold what it wants.
  - kubelet, containerd and CNI write below /run, /var/log, /var/lib/kubelet and
    /var/lib/cni whatever they are told. The cluster gets an empty /run and
    /var/log and an overlay on /var/lib.
  - Removing a directory detaches what other namespaces have mounted on it, so
    nothing is mounted on a directory that was made for it on the host.
  - Unix socket names end at 107 bytes, so the state directory is seen as
    /run/localkube inside.
  - Two kubelets need two cgroup roots, health ports and addresses; those of
    cgroup version 1 must exist before, with their cpusets filled.
  - A pod that reaches its bridge neighbour through a service would get the
    answer from the wrong address: kube-proxy masquerades all.
  - There is no DNS in the cluster: use service addresses or the variables
    that Kubernetes sets, such as KUBERNETES_SERVICE_HOST.
  - The controller manager's default request rate makes its start five seconds
    longer.
  - metrics-server drops a node whose usage is zero: a kwok node without pods
    shows <unknown> in kubectl top.
  - Pod addresses of level 2 are 127.10.0.0/16, so that a process can listen on
    one. The API server accepts them in a pod, but refuses loopback addresses
    in an EndpointSlice and in its pod proxy: level 2 has no working Services;
    connect to the pod's address.
  - Image tags other than latest are never pulled when the node has the image.
    A new cluster has none: load again after up.
  - Go's test cache does not follow files outside a test's module, such as the
    other go.mod files: the tests here are run with -count=1.
  - cgroup version 2 is written for and untested.
*/
package main
