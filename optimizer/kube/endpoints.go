package kube

import (
	"context"
	"fmt"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Endpoint is one live pod of a workload, with where its metrics are served. It has the fields of
// usage.Pod in the same order, so that one converts to the other.
type Endpoint struct {
	Ref    fleet.Ref // the workload it belongs to
	Name   string
	UID    string
	IP     string // empty: none yet
	Ready  bool
	Images map[string]string // by container name
	// ScrapeURL is where the pod serves its metrics, as http://IP:port/path; empty: it is not scraped.
	ScrapeURL string
	// Killed is when each container was last killed for want of memory, by name; of those that ever were.
	Killed map[string]time.Time
}

// Endpoints gives every live pod of every workload that Observe lists, sorted by namespace and name.
// An error means that ownership is unknown, never that there are no pods.
func (c *Cluster) Endpoints(ctx context.Context) ([]Endpoint, error) {
	if err := c.ready(ctx); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	_, owners := c.owned()
	services := c.services.all()
	var out []Endpoint
	for _, p := range c.pods.all() {
		w, ok := owners.of(p)
		if !ok || !p.live {
			continue
		}
		out = append(out, Endpoint{
			Ref: w.seen.Ref, Name: p.Name, UID: string(p.UID), IP: p.ip, Ready: p.seen.Ready,
			Images: p.images(), ScrapeURL: p.scrapeURL(services), Killed: p.killed,
		})
	}
	return out, nil
}
