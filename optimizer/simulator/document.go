package simulator

import "gopkg.in/yaml.v3"

// document is a fleet file as it is written. Quantities, durations and hours stay text here, so that
// every fault can be named with its line; check.go turns them into values.
type document struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   metadataDoc    `yaml:"metadata"`
	Start      string         `yaml:"start"`
	Weeks      int            `yaml:"weeks"`
	Seed       uint64         `yaml:"seed"`
	Nodes      []nodeDoc      `yaml:"nodes"`
	Namespaces []namespaceDoc `yaml:"namespaces"`
	Policies   yaml.Node      `yaml:"policies"`
	Workloads  []workloadDoc  `yaml:"workloads"`
}

type metadataDoc struct {
	Name string `yaml:"name"`
}

// nodeDoc is a pool of equal nodes; allocatable is one node's.
type nodeDoc struct {
	Name         string            `yaml:"name"`
	Count        int               `yaml:"count"`
	InstanceType string            `yaml:"instanceType"`
	Region       string            `yaml:"region"`
	Zone         string            `yaml:"zone"`
	Capacity     string            `yaml:"capacity"`
	Allocatable  map[string]string `yaml:"allocatable"`
}

type namespaceDoc struct {
	Name        string            `yaml:"name"`
	Labels      map[string]string `yaml:"labels"`
	Unreadable  bool              `yaml:"unreadable"` // its LimitRange and ResourceQuota cannot be read
	LimitRanges []limitRangeDoc   `yaml:"limitRanges"`
	Quotas      []quotaDoc        `yaml:"quotas"`
}

type limitRangeDoc struct {
	Name                 string            `yaml:"name"`
	Type                 string            `yaml:"type"`
	Default              map[string]string `yaml:"default"`
	DefaultRequest       map[string]string `yaml:"defaultRequest"`
	Min                  map[string]string `yaml:"min"`
	Max                  map[string]string `yaml:"max"`
	MaxLimitRequestRatio map[string]string `yaml:"maxLimitRequestRatio"`
}

type quotaDoc struct {
	Name string            `yaml:"name"`
	Hard map[string]string `yaml:"hard"`
}

type workloadDoc struct {
	Name         string            `yaml:"name"`
	Namespace    string            `yaml:"namespace"`
	Kind         string            `yaml:"kind"`
	Class        string            `yaml:"class"`
	Labels       map[string]string `yaml:"labels"`
	Image        string            `yaml:"image"`
	Replicas     int               `yaml:"replicas"`
	Nodes        string            `yaml:"nodes"`
	Age          string            `yaml:"age"` // how long it had run when the simulation ends; empty: all the time
	Requests     map[string]string `yaml:"requests"`
	Limits       map[string]string `yaml:"limits"`
	HPA          string            `yaml:"hpa"`
	RollingOut   bool              `yaml:"rollingOut"`
	TolerateSpot bool              `yaml:"tolerateSpot"`
	Usage        *usageDoc         `yaml:"usage"` // none: nothing is ever measured
}

// usageDoc is what a workload uses. Requests and work are of all its pods together and are shared by
// them; idleCPU and memory are of each pod.
type usageDoc struct {
	Requests      *curveDoc   `yaml:"requests"` // a second
	CPUPerRequest string      `yaml:"cpuPerRequest"`
	Work          *curveDoc   `yaml:"work"` // cores
	IdleCPU       string      `yaml:"idleCPU"`
	Latency       *latencyDoc `yaml:"latency"` // none: it is not measured
	Startup       string      `yaml:"startup"` // from when a pod is made until it answers
	Memory        *memoryDoc  `yaml:"memory"`
	GPU           *curveDoc   `yaml:"gpu"`     // share of time busy; none: no exporter measures it
	Stopped       string      `yaml:"stopped"` // how long before the end measurements stopped
}

type curveDoc struct {
	Base       float64  `yaml:"base"`
	Peak       *float64 `yaml:"peak"`
	Hours      string   `yaml:"hours"`   // of the peak, UTC, "9-18"
	Weekend    *float64 `yaml:"weekend"` // share of a working day's
	Noise      float64  `yaml:"noise"`
	Growth     float64  `yaml:"growth"` // a week, as a share
	Bursts     float64  `yaml:"bursts"` // share of windows
	BurstTimes float64  `yaml:"burstTimes"`
}

// latencyDoc is what a request takes: base where nothing else is asked, more and more up to what one pod answers.
type latencyDoc struct {
	Base  string  `yaml:"base"`
	Limit float64 `yaml:"limit"` // requests a second of one pod
}

type memoryDoc struct {
	Base    string  `yaml:"base"`
	Peak    string  `yaml:"peak"`    // when the curve of requests or work is at its peak
	PerWeek string  `yaml:"perWeek"` // growth
	Noise   float64 `yaml:"noise"`
}
