//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// doors is the namespace of the trial of deploy/modelserver.yaml.
const doors = "doors"

// modelServer: the manifest of the reference server as it stands, in small: several models behind one door in a
// hardened pod, closed without the key; it follows an in-place resize of its limits, under load and without
// a restart.
func modelServer(t *testing.T, r *rig) {
	text, err := os.ReadFile(filepath.Join(r.root, "deploy", "modelserver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	small := strings.NewReplacer("namespace: ml-production", "namespace: "+doors, "replicas: 2", "replicas: 1",
		"cpu: 200m, memory: 64Mi", "cpu: 10m, memory: 48Mi").Replace(string(text))
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	r.kubectl("create", "namespace", doors)
	defer r.kubectl("delete", "namespace", doors, "--wait=false")
	r.kubectl("apply", "-f", file)
	r.kubectl("-n", doors, "rollout", "status", "deployment/valuation", "--timeout=180s")
	if out, code := r.run("localkube", "kubectl", "--out", r.out, "get", "--raw", r.door("/v2/models/valuation/ready")); code != 0 {
		t.Errorf("ready: exit code %d\n%s", code, out)
	}
	if out, code := r.run("localkube", "kubectl", "--out", r.out, "get", "--raw", r.door("/v2")); code == 0 {
		t.Errorf("it answers without the key: %s", out)
	}
	r.instances(t, "2")
	r.visitor("visitor", "20s")
	pod := strings.TrimSpace(r.kubectl("-n", doors, "get", "pods", "-l", "app=valuation", "-o", "name"))
	for i, cores := range []string{"1", "2", "1"} {
		r.kubectl("-n", doors, "patch", pod, "--subresource", "resize", "--patch",
			`{"spec":{"containers":[{"name":"model-server","resources":{"limits":{"cpu":"`+cores+`"}}}]}}`)
		r.instances(t, cores)
		t.Logf("resize %d: %s cores are followed", i+1, cores)
	}
	r.visited(t, "visitor")
	var p struct {
		Status struct{ ContainerStatuses []struct{ RestartCount int } }
	}
	r.get(&p, "-n", doors, pod)
	if n := p.Status.ContainerStatuses[0].RestartCount; n != 0 {
		t.Errorf("%d restarts", n)
	}
}

// door is a path of the server through the API server's proxy.
func (r *rig) door(path string) string {
	return "/api/v1/namespaces/" + doors + "/services/valuation:http/proxy" + path
}

// instances waits until the server says that so many batches may run at once.
func (r *rig) instances(t *testing.T, want string) {
	t.Helper()
	line := `modelserver_instances{model="general-valuation-model",version="v1"} ` + want + "\n"
	r.eventually("the server has "+want+" instances", 60*time.Second, func() bool {
		return strings.Contains(r.kubectl("get", "--raw", r.door("/metrics")), line)
	})
}

// visitor sends requests from a pod, with the key.
func (r *rig) visitor(name, duration string) {
	r.t.Helper()
	address := r.kubectl("-n", doors, "get", "service", "valuation", "-o", "jsonpath={.spec.clusterIP}") // the cluster has no DNS
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "namespace": doors},
		"spec": map[string]any{
			"restartPolicy":   "Never",
			"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": 65532},
			"containers": []any{map[string]any{
				"name": "load", "image": "localhost/trimtab/modelserver:dev", "imagePullPolicy": "IfNotPresent",
				"args": []string{"load", "--target=http://" + address, "--endpoint=predict", "--rate=50", "--duration=" + duration, "--fail-on-error"},
				"env":  []any{map[string]any{"name": "API_KEY", "value": "change-me"}},
			}},
		},
	}
	text, err := json.Marshal(pod)
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(r.t.TempDir(), "visitor.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.kubectl("apply", "-f", file)
}

// visited waits for the end of a visitor; none of its requests may have failed.
func (r *rig) visited(t *testing.T, name string) {
	t.Helper()
	phase := ""
	r.eventually("the visitor has ended", 2*time.Minute, func() bool {
		phase = r.kubectl("-n", doors, "get", "pod", name, "-o", "jsonpath={.status.phase}")
		return phase == "Succeeded" || phase == "Failed"
	})
	if log := r.kubectl("-n", doors, "logs", name); phase != "Succeeded" || !strings.Contains(log, "failed=0") {
		t.Errorf("the visitor %s:\n%s", phase, log)
	}
}
