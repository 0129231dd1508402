package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseGPU(t *testing.T) {
	for in, want := range map[string]gpu{
		"gpu-1/0=0.55":      {node: "gpu-1", utilization: 0.55},
		"gpu-1/3=1,6200":    {node: "gpu-1", index: 3, utilization: 1, used: 6200},
		"n.example.org/0=0": {node: "n.example.org"},
	} {
		if got, err := parseGPU(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "gpu-1", "gpu-1=0.5", "/0=0.5", "gpu-1/x=0.5", "gpu-1/-1=0.5", "gpu-1/0=1.01", "gpu-1/0=NaN", "gpu-1/0=-0.1", "gpu-1/0=", "gpu-1/0=0.5,x", "gpu-1/0=0.5,-1"} {
		if g, err := parseGPU(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, g)
		}
	}
}

func TestEveryFaultIsSaid(t *testing.T) {
	_, err := parse([]string{"x"})
	for _, want := range []string{`"x" is no flag`, "--namespace is missing", "--gpu is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestAttribute(t *testing.T) {
	gpus := []gpu{{node: "b", index: 0}, {node: "a", index: 1}, {node: "a", index: 0}, {node: "a", index: 2}}
	pods := []pod{
		{"ns", "z", "a", []container{{"m", 1}}},
		{"ns", "y", "a", []container{{"m", 1}, {"n", 5}}},
		{"ns", "x", "elsewhere", []container{{"m", 1}}},
	}
	var got []string
	for _, g := range attribute(gpus, pods) {
		line := fmt.Sprintf("%s/%d", g.node, g.index)
		if g.owner != nil {
			line += " " + g.owner.pod + " " + g.owner.container
		}
		got = append(got, line)
	}
	// y is before z and takes all that is left; nobody runs on b.
	if want := "a/0 y m, a/1 y n, a/2 y n, b/0"; strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if gpus[0].owner != nil || pods[0].name != "z" {
		t.Error("it changed its arguments")
	}
}

const podList = `{"items":[
 {"metadata":{"namespace":"ml","name":"m-2"},"spec":{"nodeName":"gpu-1","containers":[{"name":"side","resources":{}},{"name":"server","resources":{"limits":{"cpu":"4","nvidia.com/gpu":"1"}}}]}},
 {"metadata":{"namespace":"ml","name":"m-1","deletionTimestamp":"2026-11-21T12:00:00Z"},"spec":{"nodeName":"gpu-1","containers":[{"name":"server","resources":{"limits":{"nvidia.com/gpu":"1"}}}]}},
 {"metadata":{"namespace":"ml","name":"a"},"spec":{"nodeName":"gpu-1","containers":[{"name":"server","resources":{"limits":{"cpu":"1"}}}]}}]}`

const want = `# SIMULATED: there are no such GPUs; these figures are scripted.
# HELP DCGM_FI_DEV_GPU_UTIL SIMULATED: GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="ID0",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="T (SIMULATED)",Hostname="gpu-1",container="server",namespace="ml",pod="m-2"} 55
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="ID1",pci_bus_id="00000000:00:1C.0",device="nvidia1",modelName="T (SIMULATED)",Hostname="gpu-1"} 0
# HELP DCGM_FI_DEV_FB_FREE SIMULATED: Frame buffer memory free (in MiB).
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="ID0",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="T (SIMULATED)",Hostname="gpu-1",container="server",namespace="ml",pod="m-2"} 700
DCGM_FI_DEV_FB_FREE{gpu="1",UUID="ID1",pci_bus_id="00000000:00:1C.0",device="nvidia1",modelName="T (SIMULATED)",Hostname="gpu-1"} 1000
# HELP DCGM_FI_DEV_FB_USED SIMULATED: Frame buffer memory used (in MiB).
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="ID0",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="T (SIMULATED)",Hostname="gpu-1",container="server",namespace="ml",pod="m-2"} 300
DCGM_FI_DEV_FB_USED{gpu="1",UUID="ID1",pci_bus_id="00000000:00:1C.0",device="nvidia1",modelName="T (SIMULATED)",Hostname="gpu-1"} 0
# HELP DCGM_FI_PROF_GR_ENGINE_ACTIVE SIMULATED: Ratio of time the graphics engine is active.
# TYPE DCGM_FI_PROF_GR_ENGINE_ACTIVE gauge
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="ID0",pci_bus_id="00000000:00:1B.0",device="nvidia0",modelName="T (SIMULATED)",Hostname="gpu-1",container="server",namespace="ml",pod="m-2"} 0.550000
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="ID1",pci_bus_id="00000000:00:1C.0",device="nvidia1",modelName="T (SIMULATED)",Hostname="gpu-1"} 0.000000
`

// TestAnswers goes the whole way: from an API server's list, by token and TLS, to the exporter's text.
func TestAnswers(t *testing.T) {
	refuse := false
	apiServer := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ours := r.URL.Path == "/api/v1/namespaces/ml/pods" && r.URL.Query().Get("fieldSelector") == "status.phase=Running"
		if refuse || !ours || r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		io.WriteString(w, podList)
	}))
	defer apiServer.Close()
	account := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: apiServer.Certificate().Raw})
	for name, text := range map[string][]byte{"ca.crt": ca, "token": []byte("secret\n")} {
		if err := os.WriteFile(filepath.Join(account, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := parse([]string{"--namespace=ml", "--model=T", "--memory=1000", "--gpu=gpu-1/0=0.55,300", "--gpu=gpu-1/1=0"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPods(apiServer.URL, account, s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	exporter := httptest.NewServer(s.handler(p.running))
	defer exporter.Close()
	status, text := get(t, exporter.URL+"/metrics")
	text = strings.NewReplacer(uuid(s.gpus[0]), "ID0", uuid(s.gpus[1]), "ID1").Replace(text)
	if status != http.StatusOK || text != want {
		t.Errorf("%d, got\n%s\nwant\n%s", status, text, want)
	}
	refuse = true
	if status, text := get(t, exporter.URL+"/metrics"); status != http.StatusServiceUnavailable || !strings.Contains(text, "403") {
		t.Errorf("no pods can be read, and it answers %d %s", status, text)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestNoServiceAccount(t *testing.T) {
	if _, err := newPods("https://127.0.0.1", t.TempDir(), "ml"); err == nil || !strings.Contains(err.Error(), "is the service account mounted?") {
		t.Errorf("got %v", err)
	}
}
