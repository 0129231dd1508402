package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/pki"
)

func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	ca, err := pki.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.Issue(pki.Request{Name: "n", IPs: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	c, err := New(s.URL, ca.Cert(), p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNodes(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"items":[
			{"metadata":{"name":"a"},"status":{"conditions":[{"type":"MemoryPressure","status":"True"},{"type":"Ready","status":"False"}]}},
			{"metadata":{"name":"b"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}]}`)
	})
	got, err := c.Nodes(context.Background())
	if err != nil || !slices.Equal(got, []Node{{"a", false}, {"b", true}}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCreateAcceptsWhatExists(t *testing.T) {
	for code, good := range map[int]bool{201: true, 409: true, 403: false, 500: false} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if err := c.Create(context.Background(), "/x", map[string]any{}); (err == nil) != good {
			t.Errorf("status %d: %v", code, err)
		}
	}
}
