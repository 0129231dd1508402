// Package secrets makes what a mail sink in the demo's cluster and its clients must share: a certificate
// for the sink's address, its authority, a user and a password. They are new every time, so that no key
// is ever in the repository: make them once for a cluster.
package secrets

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/pki"
)

// Address is the sink's in the demo's cluster, which has no DNS (deploy/demo/mail.yaml).
const Address = "10.96.0.25"

// User is the name that clients authenticate with.
const User = "trimtab"

// New gives a manifest of two Secrets: mailsink in namespace demo-mail with tls.crt, tls.key, username
// and password, and smtp in namespace trimtab with username, password and ca.crt. Both namespaces must be there.
func New(address string, now time.Time) ([]byte, error) {
	ca, err := pki.NewAuthority("demo mail", now)
	if err != nil {
		return nil, err
	}
	p, err := ca.Issue(pki.Request{Name: "mailsink", DNS: []string{"mailsink.demo-mail.svc", "localhost"}, IPs: []string{address, "127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	user, password := []byte(User), []byte(rand.Text())
	text, err := json.MarshalIndent(map[string]any{
		"apiVersion": "v1", "kind": "List",
		"items": []any{
			secret("demo-mail", "mailsink", map[string][]byte{"username": user, "password": password, "tls.crt": p.Cert, "tls.key": p.Key}),
			secret("trimtab", "smtp", map[string][]byte{"username": user, "password": password, "ca.crt": ca.Cert()}),
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode Secrets: %w", err)
	}
	return append(text, '\n'), nil
}

// secret has its data in base64, as JSON writes bytes.
func secret(namespace, name string, data map[string][]byte) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]string{"namespace": namespace, "name": name},
		"data":     data,
	}
}
