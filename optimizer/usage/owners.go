package usage

import (
	"context"
	"time"

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
	// Killed is when each container was last killed for want of memory, by name; of those that ever were.
	Killed map[string]time.Time
}

// Exporter is a live pod that tells of the GPUs of its node how busy they are and which pods hold them:
// dcgm-exporter.
type Exporter struct {
	Namespace string
	Name      string
	Ready     bool
	ScrapeURL string // http://IP:port/path; empty: not known yet, or it wants not to be scraped
}

// Owners tells which pods belong to which workload, and where their metrics are served.
type Owners interface {
	// Pods gives every live pod of every known workload; an error means that ownership is unknown,
	// never that there are no pods.
	Pods(ctx context.Context) ([]Pod, error)
	// Exporters gives every live exporter of GPU metrics, in any namespace; an error as for Pods.
	Exporters(ctx context.Context) ([]Exporter, error)
}
