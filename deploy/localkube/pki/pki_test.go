package pki

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"
)

func TestIssue(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ca, err := NewAuthority("test", now)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ca.Issue(Request{Name: "n", Groups: []string{"g"}, DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert())
	for name, good := range map[string]bool{"127.0.0.1": true, "localhost": true, "10.0.0.1": false, "example.org": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := pair.Leaf.Subject; s.CommonName != "n" || len(s.Organization) != 1 || s.Organization[0] != "g" {
		t.Errorf("the subject is %s", s)
	}
}

func TestIssueRefusesBadAddress(t *testing.T) {
	ca, err := NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Issue(Request{Name: "n", IPs: []string{"127.0.0"}}); err == nil {
		t.Error("127.0.0 was accepted")
	}
}
