// Package api speaks the few words of the Kubernetes API that bringing up a
// cluster needs: is it ready, make this object, are the nodes ready.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client calls one API server.
type Client struct {
	server string
	http   *http.Client
}

// New makes a client that trusts ca and shows the pair cert and key.
func New(server string, ca, cert, key []byte) (*Client, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("read client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("read authority: no certificate in it")
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	return &Client{server: server, http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 4},
	}}, nil
}

// Ready is nil once the API server says that it is.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/readyz", nil, nil)
}

// Exists is nil if there is an object at path.
func (c *Client) Exists(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodGet, path, nil, nil)
}

// Create makes an object; one that exists already is left as it is.
func (c *Client) Create(ctx context.Context, path string, object any) error {
	err := c.do(ctx, http.MethodPost, path, object, nil)
	if s := (statusError{}); errors.As(err, &s) && s.code == http.StatusConflict {
		return nil
	}
	return err
}

// Node is what is read of a node.
type Node struct {
	Name  string
	Ready bool
}

// Nodes lists the nodes in the API server's order, which is by name.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := c.do(ctx, http.MethodGet, "/api/v1/nodes", nil, &list); err != nil {
		return nil, err
	}
	var nodes []Node
	for _, item := range list.Items {
		n := Node{Name: item.Metadata.Name}
		for _, condition := range item.Status.Conditions {
			n.Ready = n.Ready || condition.Type == "Ready" && condition.Status == "True"
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return e.text }

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode object for %s: %w", path, err)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		return statusError{resp.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, brief(text))}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

func brief(text []byte) string {
	s := strings.TrimSpace(string(text))
	return s[:min(len(s), 400)]
}
