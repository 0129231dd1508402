package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pods reads the pods of a namespace from the API server.
type pods struct {
	url, account string
	client       *http.Client
}

func newPods(server, account, namespace string) (pods, error) {
	ca, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		return pods{}, fmt.Errorf("read authority of the API server: %w; is the service account mounted?", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return pods{}, errors.New("read authority of the API server: no certificate in ca.crt")
	}
	query := url.Values{"fieldSelector": {"status.phase=Running"}}
	return pods{
		url:     server + "/api/v1/namespaces/" + url.PathEscape(namespace) + "/pods?" + query.Encode(),
		account: account,
		client:  &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
	}, nil
}

// list is what is read of a PodList.
type list struct {
	Items []struct {
		Metadata struct{ Namespace, Name, DeletionTimestamp string }
		Spec     struct {
			NodeName   string
			Containers []struct {
				Name      string
				Resources struct{ Limits map[string]string }
			}
		}
	}
}

// running gives the pods that run and have GPUs.
func (p pods) running(ctx context.Context) ([]pod, error) {
	token, err := os.ReadFile(filepath.Join(p.account, "token")) // the kubelet renews it
	if err != nil {
		return nil, fmt.Errorf("read token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("list pods: %s: %.200s", resp.Status, text)
	}
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return l.pods(), nil
}

func (l list) pods() (out []pod) {
	for _, i := range l.Items {
		if i.Metadata.DeletionTimestamp != "" {
			continue
		}
		p := pod{namespace: i.Metadata.Namespace, name: i.Metadata.Name, node: i.Spec.NodeName}
		for _, c := range i.Spec.Containers {
			if n, err := strconv.Atoi(c.Resources.Limits["nvidia.com/gpu"]); err == nil && n > 0 {
				p.containers = append(p.containers, container{c.Name, n})
			}
		}
		if len(p.containers) > 0 {
			out = append(out, p)
		}
	}
	return out
}
