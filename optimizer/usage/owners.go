package usage

import (
	"context"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Pod is one live pod of a workload that usage is recorded for.
type Pod struct {
	Ref    fleet.Ref // the workload it belongs to
	Name   string
	UID    string
	IP     string // empty: none yet
	Ready  bool
	Images map[string]string // by container name
	// ScrapeURL is where the pod serves its metrics, as http://IP:port/path; empty: it is not scraped.
	ScrapeURL string
}

// Owners tells which pods belong to which workload, and where their metrics are served.
type Owners interface {
	// Pods gives every live pod of every known workload; an error means that ownership is unknown,
	// never that there are no pods.
	Pods(ctx context.Context) ([]Pod, error)
}
