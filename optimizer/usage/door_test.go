package usage

import (
	"encoding/pem"
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
	"time"
)

// TestCredentials: headers and the newest token go to the server, never to where it redirects.
func TestCredentials(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked: %v", r.Header)
	}))
	defer other.Close()
	var seen []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		if len(seen) == 3 {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, empty)
	}))
	defer srv.Close()
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	s, err := newServer(ServerOptions{URL: srv.URL, TokenFile: token, Headers: []string{"X-Scope-OrgID: team: a"}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error { _, _, err := s.query(t.Context(), "up", t0, t0, time.Minute); return err }
	err1 := ask()
	write("two")
	if err := errors.Join(err1, ask()); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err == nil || !strings.Contains(err.Error(), "not followed") {
		t.Error(err)
	}
	for i, want := range []string{"Bearer one", "Bearer two", "Bearer two"} {
		if seen[i].Get("Authorization") != want || seen[i].Get("X-Scope-OrgID") != "team: a" {
			t.Errorf("request %d: %v", i, seen[i])
		}
	}
}

// TestCAFile: a server with a certificate of its own authority is trusted by that only.
func TestCAFile(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, empty) }))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, want string }{{ca, ""}, {"", "name the certificate of its authority"}} {
		s, err := newServer(ServerOptions{URL: srv.URL, CAFile: c.file}, 10)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.query(t.Context(), "up", t0, t0, time.Minute)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q: %v", c.file, err)
		}
	}
}

func TestBadServerOptions(t *testing.T) {
	dir := t.TempDir()
	blank := filepath.Join(dir, "blank")
	if err := os.WriteFile(blank, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := NewExternal(ExternalOptions{Match: `cluster=west`, Server: ServerOptions{
		URL: "prometheus:9090", Headers: []string{"X: a", "secret"}, TokenFile: blank, CAFile: blank,
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"prometheus:9090", "header 2: write it as", "holds no token", "no certificate in PEM form", "write them as cluster="} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Error("a header's text is shown")
	}
	for _, bad := range []string{"", "ftp://x", "http://", "http://h/?a=b", "http://user:pass word@h\n"} {
		if _, err := NewExternal(ExternalOptions{Server: ServerOptions{URL: bad}}); err == nil || strings.Contains(err.Error(), "pass") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
