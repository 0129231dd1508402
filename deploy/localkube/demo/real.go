package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Images as the manifests name them, and the address of the page in the cluster.
const (
	trimtabImage = "localhost/trimtab/trimtab:dev"
	serverImage  = "localhost/trimtab/modelserver:dev"
	sinkImage    = "localhost/trimtab/mailsink:dev"
	dcgmImage    = "localhost/trimtab/dcgm:dev"
	pageService  = "10.96.0.80:80" // deploy/demo/page.yaml
)

// realNodes is level 3.
func (d *demo) realNodes(ctx context.Context) error {
	say("")
	say("== A real cluster: etcd, API server, controllers, two nodes with kubelet, containerd and runc")
	if err := show(ctx, d.tool("localkube"), "deps"); err != nil {
		return err
	}
	if err := d.buildAll(ctx); err != nil {
		return err
	}
	up := time.Now()
	if err := show(ctx, d.tool("localkube"), "up", "--out", d.out, "--forward", d.port+"="+pageService,
		"--nodes", filepath.Join(d.root, "deploy", "demo", "gpu-node.yaml")); err != nil {
		return err
	}
	d.times["cluster.up_s"] = time.Since(up).Seconds()
	ready := time.Now()
	if err := show(ctx, d.tool("localkube"), "load", "--out", d.out,
		trimtabImage+"="+d.tool("trimtab"), serverImage+"="+d.tool("modelserver"), sinkImage+"="+d.tool("mailsink"), dcgmImage+"="+d.tool("dcgm")); err != nil {
		return err
	}
	if err := d.install(ctx); err != nil {
		return err
	}
	if err := d.watch(ctx, nil, ready); err != nil {
		return err
	}
	if !d.look {
		if err := d.act(ctx); err != nil {
			return err
		}
	}
	d.farewell("http://"+d.address()+"/", "--kubeconfig "+d.near("kubeconfig"))
	return nil
}

// buildAll compiles the cluster's binaries and ours, whatever is not there yet.
func (d *demo) buildAll(ctx context.Context) error {
	if d.noBuild {
		return nil
	}
	if err := show(ctx, d.tool("localkube"), "build"); err != nil {
		return err
	}
	return d.buildProduct(ctx)
}

// install puts Trimtab, the policy, the models and their load into the cluster.
func (d *demo) install(ctx context.Context) error {
	say("installing Trimtab in namespace trimtab from its Helm chart's manifest, with the flag --enforce;")
	say("its policy only recommends so far")
	if err := d.apply(ctx, asIs, "demo/install.yaml", "demo/policy.yaml", "demo/page.yaml", "demo/namespace.yaml", "demo/workloads.yaml", "demo/gpu.yaml"); err != nil {
		return err
	}
	if err := d.installMail(ctx); err != nil {
		return err
	}
	say("installing three model servers in namespace ml-production, with a ResourceQuota and a LimitRange,")
	say("and image-analysis-model, which asks for 2 GPUs on a SIMULATED node")
	for _, name := range []string{"recommendation-model", "property-valuation", "image-batch"} {
		if _, err := d.kubectl(ctx, "", "-n", "ml-production", "rollout", "status", "deployment/"+name, "--timeout=90s"); err != nil {
			return err
		}
	}
	for _, s := range streams {
		say("load on %s: %s", s.model, s.about)
		if err := d.startLoad(ctx, s); err != nil {
			return err
		}
	}
	_, err := d.kubectl(ctx, "", "-n", "trimtab", "rollout", "status", "deployment/trimtab", "--timeout=90s")
	return err
}

// installMail starts the mail server that the report goes to, with a certificate and a password of its own.
func (d *demo) installMail(ctx context.Context) error {
	if err := d.apply(ctx, asIs, "demo/mail.yaml"); err != nil {
		return err
	}
	if _, err := d.kubectl(ctx, "", "-n", "trimtab", "get", "secret", "smtp"); err == nil {
		return nil // of an earlier up: its pod knows the password
	}
	secrets, err := ask(ctx, nil, d.tool("mailsink"), "secrets")
	if err != nil {
		return err
	}
	_, err = d.kubectl(ctx, string(secrets), "apply", "-f", "-")
	return err
}

// startExporter starts the exporter of the simulated GPUs.
func (d *demo) startExporter(ctx context.Context) error {
	return d.apply(ctx, asIs, "demo/dcgm.yaml")
}

// stream is the load on one model: its Service, requests per second and rows per request.
type stream struct {
	service, model string
	rate, rows     string
	about          string
}

// The rates follow from the rules: 6/3 replicas = 2 requests a second each is few, 30/2 = 15 is not.
var streams = []stream{
	{"recommendation-service", "recommendation", "6", "4", "6 requests a second over 3 replicas"},
	{"valuation-service", "valuation", "30", "448", "30 requests a second over 2 replicas, 448 properties each"},
	{"image-batch-service", "image", "3", "80", "3 requests a second with 80 images each"},
}

// managedStream is the load on the server that Trimtab owns: many rows a request, where batching matters.
var managedStream = stream{managedServer, "valuation", "20", "256", "20 requests a second of 256 properties each"}

// startLoad runs a load generator on the spot node. There is no DNS in this cluster, so it is told the
// address of its Service.
func (d *demo) startLoad(ctx context.Context, s stream) error {
	text, err := os.ReadFile(filepath.Join(d.root, "deploy", "demo", "load.yaml"))
	if err != nil {
		return fmt.Errorf("read manifest: %w", err)
	}
	ip, err := d.kubectl(ctx, "", "-n", "ml-production", "get", "service", s.service, "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	filled := strings.NewReplacer("NAME", "load-"+s.service, "TARGET", "http://"+string(ip), "MODEL", s.model, "RATE", s.rate, "ROWS", s.rows).Replace(string(text))
	_, err = d.kubectl(ctx, filled, "apply", "-f", "-")
	return err
}

// answer is what the demo reads of `trimtab plan -o json`.
type answer struct {
	Plan struct {
		Assessments []assessment `json:"assessments"`
		Kept        []kept       `json:"kept"`
	} `json:"plan"`
}

type kept struct{ Document, Kind, Namespace, Name, State, Detail string }

type assessment struct {
	Ref struct {
		Name string `json:"name"`
	} `json:"ref"`
	Workload struct {
		Capacity string `json:"capacity"`
		Pods     []struct {
			Shape struct {
				Containers []struct {
					Requests struct {
						MilliCPU int64 `json:"milliCPU"`
						Memory   int64 `json:"memory"`
					} `json:"requests"`
				} `json:"containers"`
			} `json:"shape"`
		} `json:"pods"`
	} `json:"workload"`
	Simulated bool `json:"simulated"`
	Now       struct {
		Amount int64 `json:"amount"`
	} `json:"now"`
	Advice []struct {
		Text string `json:"text"`
	} `json:"advice"`
	Verdicts []struct {
		Recommendation struct {
			Reason string `json:"reason"`
		} `json:"recommendation"`
	} `json:"verdicts"`
	Holds []struct {
		Reason string `json:"reason"`
		Detail string `json:"detail"`
	} `json:"holds"`
}

func (a assessment) reasons() []string {
	var out []string
	for _, v := range a.Verdicts {
		out = append(out, v.Recommendation.Reason)
	}
	return out
}

// watch tells what the daemon says until every model has its answer, then prints plan and explanation.
func (d *demo) watch(ctx context.Context, server []string, ready time.Time) error {
	say("")
	say("== Trimtab observes: metrics.k8s.io, each model server's /metrics; its policy wants 30 seconds of history")
	ask := func(verb ...string) ([]byte, error) { return d.trimtab(ctx, append(verb, server...)...) }
	said := map[string]bool{}
	err := until(ctx, 3*time.Minute, 2*time.Second, "a recommendation for every model", func() (bool, error) {
		raw, err := ask("plan", "-o", "json")
		if err != nil {
			return false, err
		}
		var a answer
		if err := json.Unmarshal(raw, &a); err != nil {
			return true, err
		}
		for _, line := range progress(a) {
			if !said[line] {
				said[line] = true
				sayAt(ready, line)
			}
		}
		return settled(a), nil
	})
	if err != nil {
		return err
	}
	d.times["demo.recommended_after_ready_s"] = time.Since(ready).Seconds()
	return d.tell(ask)
}

// progress is a line for each state in which models stand, with those in it.
func progress(a answer) []string {
	var states []string
	models := map[string][]string{}
	for _, w := range a.Plan.Assessments {
		state := "nothing to do"
		switch {
		case len(w.Verdicts) > 0:
			state = strings.Join(w.reasons(), ", ")
		case len(w.Holds) > 0 && w.Holds[0].Reason == "no-metrics":
			state = "waiting for a first measurement"
		case len(w.Holds) > 0:
			state = w.Holds[0].Detail
		}
		if models[state] == nil {
			states = append(states, state)
		}
		models[state] = append(models[state], w.Ref.Name)
	}
	if len(states) == 0 {
		return []string{"no workload seen yet"}
	}
	for i, state := range states {
		states[i] = strings.Join(models[state], ", ") + ": " + state
	}
	return states
}

// settled is true once each model has the answer that its load leads to, and the one that is right
// has been judged on measurements too.
func settled(a answer) bool {
	want := map[string][]string{
		"recommendation-model": {"cpu-underused", "few-requests"},
		"image-batch":          {"batch-on-demand"},
		"property-valuation":   nil,
	}
	done := 0
	for _, w := range a.Plan.Assessments {
		reasons, ours := want[w.Ref.Name]
		if ours && slices.Equal(w.reasons(), reasons) && len(w.Holds) == 0 {
			done++
		}
	}
	return done == len(want)
}

// tell prints the plan and how one recommendation came about, as a person would ask for them.
func (d *demo) tell(ask func(...string) ([]byte, error)) error {
	for _, verb := range [][]string{{"plan"}, {"explain", "ml-production/recommendation-model"}} {
		text, err := ask(verb...)
		if err != nil {
			return err
		}
		say("")
		say("$ trimtab %s", strings.Join(verb, " "))
		say("%s", strings.TrimRight(string(text), "\n"))
	}
	return nil
}

// trimtab asks the daemon as a person would.
func (d *demo) trimtab(ctx context.Context, args ...string) ([]byte, error) {
	if !slices.Contains(args, "--server") {
		args = append(args, "--kubeconfig", d.kubeconfig())
	}
	return ask(ctx, nil, d.tool("trimtab"), args...)
}

// farewell says where the page is, how the command line reaches the daemon, and how to stop.
func (d *demo) farewell(page, reach string) {
	down := "make demo-down"
	if out := d.near(""); out != "demo-out" {
		down += " OUT=" + out
	}
	say("")
	say("== It keeps running. Where to look next")
	say("  the report as a page     %s", page)
	say("  the plan as a page       %splan", page)
	if _, err := os.Stat(filepath.Join(d.out, "report.eml")); err == nil {
		say("  the report as mailed     %s, %s", d.near("report.eml"), d.near("report.html"))
		say("  undo a change            bin/trimtab revert ID %s", reach)
	}
	say("  the simulated fleet      %s", d.near("simulated.html"))
	say("  another workload         bin/trimtab explain ml-production/image-batch %s", reach)
	say("  the cluster              bin/localkube kubectl get pods -A -o wide")
	say("  stop and remove it all   %s", down)
}
