package main

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/pki"
)

// certificates says who the server is.
type certificates struct {
	get       func() (*tls.Certificate, error)
	authority []byte // PEM; nil: the certificate came from files
}

// newCertificates reads tls.crt and tls.key of dir, now and again for every connection, so that they can
// be changed; without dir it makes an authority and a certificate for this machine.
func newCertificates(dir string, now time.Time) (certificates, error) {
	if dir == "" {
		return selfMade(now)
	}
	get := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		return &pair, nil
	}
	_, err := get()
	return certificates{get: get}, err
}

func selfMade(now time.Time) (certificates, error) {
	ca, err := pki.NewAuthority("mailsink", now)
	if err != nil {
		return certificates{}, err
	}
	p, err := ca.Issue(pki.Request{Name: "mailsink", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}})
	if err != nil {
		return certificates{}, err
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return certificates{}, fmt.Errorf("read own certificate: %w", err)
	}
	return certificates{get: func() (*tls.Certificate, error) { return &pair, nil }, authority: ca.Cert()}, nil
}

func (c certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get() },
	}
}
