package kube

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// Exporter is one live pod of dcgm-exporter, which tells of the GPUs of its node. It has the fields of
// usage.Exporter in the same order, so that one converts to the other.
type Exporter struct {
	Namespace string
	Name      string
	Ready     bool
	ScrapeURL string // http://IP:port/path; empty: no address yet, or its annotations say that it is not to be scraped
}

// The labels by which dcgm-exporter's pods are known: those of its own chart and manifest, and of NVIDIA's GPU operator.
var exporterLabels = []struct{ key, value string }{
	{"app.kubernetes.io/name", "dcgm-exporter"},
	{"app", "nvidia-dcgm-exporter"},
}

// exporterPort is where dcgm-exporter listens unless it is told otherwise.
const exporterPort = 9400

// Exporters gives every live pod of dcgm-exporter in any namespace, sorted by namespace and name. An error
// means that it is not known whether there are any.
func (c *Cluster) Exporters(ctx context.Context) ([]Exporter, error) {
	if err := c.ready(ctx); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	services := c.services.all()
	var out []Exporter
	for _, p := range c.pods.all() {
		if p.live && p.exports() {
			out = append(out, Exporter{Namespace: p.Namespace, Name: p.Name, Ready: p.seen.Ready, ScrapeURL: p.exporterURL(services)})
		}
	}
	return out, nil
}

func (p *pod) exports() bool {
	for _, l := range exporterLabels {
		if p.Labels[l.key] == l.value {
			return true
		}
	}
	return false
}

// exporterURL is where the exporter says that it serves, as any pod may, or else its port called metrics, the
// first that it declares, or its usual one.
func (p *pod) exporterURL(services []*service) string {
	if u := p.scrapeURL(services); u != "" || p.scrape.said && !p.scrape.wanted || p.ip == "" {
		return u
	}
	port := cmp.Or(p.port("metrics"), p.port(""), exporterPort)
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(p.ip, strconv.Itoa(port)), Path: "/metrics"}
	return u.String()
}
