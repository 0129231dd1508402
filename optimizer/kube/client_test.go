package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: here
clusters:
- {name: a, cluster: {server: "https://a.example:6443"}}
- {name: b, cluster: {server: "https://b.example:6443"}}
contexts:
- {name: here, context: {cluster: a, user: u}}
- {name: there, context: {cluster: b, user: u}}
users:
- {name: u, user: {token: secret}}
`

func TestClient(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for context, host := range map[string]string{"": "https://a.example:6443", "there": "https://b.example:6443"} {
		cfg, err := Client(file, context, "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Host != host || cfg.UserAgent != "trimtab/1.2.3" || cfg.QPS != 50 || cfg.Burst != 100 {
			t.Errorf("context %q: %s, %s, %v/%d", context, cfg.Host, cfg.UserAgent, cfg.QPS, cfg.Burst)
		}
	}
	_, err := Client(file, "nowhere", "")
	contains(t, err, `kubeconfig has no context "nowhere"; there are: here, there`)
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("apiVersion: trimtab.dev/v1alpha1\nkind: Policy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		filepath.Join(t.TempDir(), "missing"): "missing cannot be read: no such file or directory; name a file with --kubeconfig or KUBECONFIG",
		t.TempDir():                           "cannot be read: is a directory; name a file",
		policy:                                "policy.yaml is something else: it has another kind than Config",
		os.DevNull:                            "no cluster is configured; name a file with --kubeconfig or KUBECONFIG",
		"":                                    "no cluster is configured; name a file with --kubeconfig or KUBECONFIG",
	} {
		_, err := Client(name, "", "")
		contains(t, err, "kubeconfig", want)
		if !errors.Is(err, ErrKubeconfig) {
			t.Errorf("%s: %v is not marked as a mistake of the kubeconfig", name, err)
		}
	}

	if cfg, err := Client(fmt.Sprintf("/dev/fd/%d", piped(t, kubeconfig).Fd()), "", ""); err != nil || cfg.Host != "https://a.example:6443" {
		t.Errorf("by a pipe: %v, %v", cfg, err)
	}

	t.Setenv("KUBECONFIG", file)
	if cfg, err := Client("", "", ""); err != nil || cfg.Host != "https://a.example:6443" {
		t.Errorf("by KUBECONFIG: %v, %v", cfg, err)
	}
}

// piped is a pipe with a text, which can be read once.
func piped(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	_, err = w.WriteString(text) // less than a pipe holds
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is an API server that gives every request the same answer.
func answer(t *testing.T, code int, kind, body string) *rest.Config {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL}
}

func TestServiceProxy(t *testing.T) {
	var asked string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.String()
		_, _ = w.Write([]byte(`{"at":1}`))
	}))
	defer s.Close()
	body, err := ServiceProxy(t.Context(), &rest.Config{Host: s.URL}, "trimtab", "daemon", "8080", "/api/v1/plan?namespace=ml")
	if err != nil || string(body) != `{"at":1}` {
		t.Errorf("%s, %v", body, err)
	}
	if want := "GET /api/v1/namespaces/trimtab/services/http:daemon:8080/proxy/api/v1/plan?namespace=ml"; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestServiceProxyErrors(t *testing.T) {
	status := func(reason, message string) string {
		return `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"` + reason + `","message":"` + message + `"}`
	}
	const js = "application/json"
	for _, row := range []struct {
		name, kind string
		code       int
		body       string
		want       []string
	}{
		{"RBAC", js, 403, status("Forbidden", "services is forbidden: User jane cannot"), []string{`"get" on resource "services/proxy" in namespace trimtab`, "User jane cannot"}},
		{"no login", js, 401, status("Unauthorized", "Unauthorized"), []string{"renew the login"}},
		{"no Service", js, 404, status("NotFound", "services daemon not found"), []string{"is the daemon installed", "services daemon not found"}},
		{"no pod", js, 503, status("ServiceUnavailable", "no endpoints available for service daemon"), []string{"is the daemon running", "no endpoints available"}},
		{"the daemon's own 404", "text/plain", 404, "no such page\n", []string{"it answered 404: no such page"}},
		{"the daemon's own 503", js, 503, `{"error":"caches are not read yet"}`, []string{`it answered 503: {"error":"caches are not read yet"}`}},
		{"nothing said", "", 500, "", []string{"an error on the server"}},
		{"another refusal", js, 422, status("Invalid", "bad port"), []string{"bad port"}},
	} {
		_, err := ServiceProxy(t.Context(), answer(t, row.code, row.kind, row.body), "trimtab", "daemon", "8080", "/api/v1/plan")
		t.Run(row.name, func(t *testing.T) {
			contains(t, err, append(row.want, "read /api/v1/plan of service trimtab/daemon")...)
		})
	}
}

// A call without an answer says which API server was asked: a kubeconfig has several.
func TestServiceProxyWithoutAnswer(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	s.StartTLS()
	defer s.Close()
	_, err := ServiceProxy(t.Context(), &rest.Config{Host: s.URL}, "trimtab", "daemon", "8080", "/api/v1/plan")
	contains(t, err, "x509", s.URL, "is the cluster up")
}

// Who ends a call asks nothing about the cluster.
func TestServiceProxyEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ServiceProxy(ctx, answer(t, 200, "", ""), "trimtab", "daemon", "8080", "/api/v1/plan")
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "is the cluster up") {
		t.Errorf("it says %v", err)
	}
}
