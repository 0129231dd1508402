package cluster

import (
	"crypto/tls"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func spec(level int) Spec {
	return Spec{ID: IDOf("/s"), Level: level, State: "/s", Bin: "/b", APIPort: 16443, Ports: FixedPorts,
		Machine: Machine{CPUs: 64, Memory: 256 << 30}, Tools: Tools{CNI: "/cni", Runc: "/runc"}}
}

func TestParseForward(t *testing.T) {
	for in, want := range map[string]Forward{
		"8080=10.96.0.80:80":           {"127.0.0.1:8080", "10.96.0.80:80"},
		"127.0.0.2:8080=10.244.1.2:80": {"127.0.0.2:8080", "10.244.1.2:80"},
	} {
		if got, err := ParseForward(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "8080", "8080=", "8080=web:80", "0.0.0.0:80=10.0.0.1:80", "8080=10.0.0.1", "99999=10.0.0.1:80", "x=10.0.0.1:80"} {
		if f, err := ParseForward(bad); err == nil {
			t.Errorf("%q was read as %v", bad, f)
		}
	}
}

func TestCertificatesFit(t *testing.T) {
	for _, level := range []int{2, 3} {
		keys, err := spec(level).NewKeys(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(keys["apiserver.crt"], keys["apiserver.key"])
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"127.0.0.1", ServiceIP, "localhost", "kubernetes.default.svc", spec(level).Host()} {
			if err := pair.Leaf.VerifyHostname(name); err != nil {
				t.Errorf("level %d: %v", level, err)
			}
		}
		if !strings.Contains(string(keys["public.kubeconfig"]), "server: https://127.0.0.1:16443\n") {
			t.Errorf("level %d: the kubeconfig for people leads elsewhere", level)
		}
		if _, real := keys["spot-1.kubeconfig"]; real != (level == 3) {
			t.Errorf("level %d: key of a real node: %v", level, real)
		}
	}
}

func TestKubeletConfig(t *testing.T) {
	var got struct {
		CgroupRoot         string
		FailCgroupV1       bool
		SystemReserved     map[string]string
		RegisterWithTaints []struct{ Key, Value, Effect string }
	}
	if err := json.Unmarshal(spec(3).Files()["spot-1/kubelet.json"], &got); err != nil {
		t.Fatal(err)
	}
	if got.FailCgroupV1 || got.CgroupRoot != "/trimtab-"+IDOf("/s")+"/spot-1" {
		t.Errorf("%+v", got)
	}
	// 64 CPUs - 2; 256 GiB - 8 GiB - 100 MiB that evictionHard keeps
	if got.SystemReserved["cpu"] != "62" || got.SystemReserved["memory"] != "266183114752" {
		t.Errorf("kept back: %v", got.SystemReserved)
	}
	if len(got.RegisterWithTaints) != 1 || got.RegisterWithTaints[0].Key != "spot" {
		t.Errorf("taints: %v", got.RegisterWithTaints)
	}
}

func TestReserveOnASmallMachine(t *testing.T) {
	got := Machine{CPUs: 1, Memory: 4 << 30}.reserve(M5Large)
	if got["cpu"] != "0" || got["memory"] != "0" {
		t.Errorf("got %v", got)
	}
}

func TestLevel2StaysOnLoopback(t *testing.T) {
	s := spec(2)
	for _, name := range []string{"etcd", "kube-apiserver", "kwok", "metrics-server"} {
		line := strings.Join(s.Argv(name), " ")
		if strings.Contains(line, "0.0.0.0") || strings.Contains(line, Inside) || strings.Contains(line, "10.244.") {
			t.Errorf("%s leaves loopback: %s", name, line)
		}
	}
}

func TestEveryFileOfACommandLineExists(t *testing.T) {
	s := spec(3)
	keys, err := s.NewKeys(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files := s.Files()
	lines := [][]string{s.KubeletArgv(RealNodes[0]), s.KubeletArgv(RealNodes[1])}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "metrics-server", "kwok"} {
		lines = append(lines, s.Argv(name))
	}
	for _, word := range slices.Concat(lines...) {
		_, path, ok := strings.Cut(word, "="+Inside+"/")
		if !ok || !slices.ContainsFunc([]string{".crt", ".key", ".kubeconfig", ".json", ".yaml"}, func(s string) bool { return strings.HasSuffix(path, s) }) {
			continue
		}
		_, isKey := keys[strings.TrimPrefix(path, "pki/")]
		_, isFile := files[path]
		if !isKey && !isFile {
			t.Errorf("%s is never written", word)
		}
	}
}

// TestAuditPolicy: rules are taken in order and the first that fits counts.
func TestAuditPolicy(t *testing.T) {
	var policy struct {
		Rules []struct {
			Level     string
			Verbs     []string
			Resources []struct {
				Group     string
				Resources []string
			}
		}
	}
	if err := json.Unmarshal(spec(3).Files()["audit.json"], &policy); err != nil {
		t.Fatal(err)
	}
	level := func(verb, group, resource string) string {
		for _, r := range policy.Rules {
			fits := len(r.Verbs) == 0 || slices.Contains(r.Verbs, verb)
			named := len(r.Resources) == 0
			for _, one := range r.Resources {
				named = named || one.Group == group && (len(one.Resources) == 0 || slices.Contains(one.Resources, resource))
			}
			if fits && named {
				return r.Level
			}
		}
		return "none fits"
	}
	for _, tt := range []struct{ verb, group, resource, want string }{
		{"patch", "", "pods", "Metadata"},
		{"create", "", "events", "Metadata"},
		{"deletecollection", "apps", "deployments", "Metadata"},
		{"list", "", "pods", "None"},
		{"update", "coordination.k8s.io", "leases", "None"},
		{"create", "authorization.k8s.io", "subjectaccessreviews", "None"},
	} {
		if got := level(tt.verb, tt.group, tt.resource); got != tt.want {
			t.Errorf("%s %s: level %s, want %s", tt.verb, tt.resource, got, tt.want)
		}
	}
}

func TestFakeNodes(t *testing.T) {
	names := func(s Spec) string {
		var all []string
		for _, n := range s.FakeNodes() {
			all = append(all, n["metadata"].(map[string]any)["name"].(string))
		}
		return strings.Join(all, " ")
	}
	two, three := spec(2), spec(3)
	three.Kwok = 2
	if got := names(two); got != "ondemand-1 spot-1 gpu-1" {
		t.Errorf("level 2: %s", got)
	}
	if got := names(three); got != "kwok-1 kwok-2" {
		t.Errorf("level 3: %s", got)
	}
	gpu, _ := json.Marshal(two.FakeNodes()[2])
	if !strings.Contains(string(gpu), `"nvidia.com/gpu":"1"`) {
		t.Errorf("the GPU node is %s", gpu)
	}
}

func TestSocketNamesFit(t *testing.T) {
	for _, n := range RealNodes {
		for _, path := range []string{spec(3).ContainerdSocket(n), spec(3).Path(n.Name, "kubelet", "pod-resources", "kubelet.sock")} {
			if len(path) > 107 {
				t.Errorf("%s has %d bytes", path, len(path))
			}
		}
	}
}
