//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const tunedSpace = "tuned"

// serverTrial is one server of the tuning trials.
type serverTrial struct {
	name, image, model, version string
	replicas                    int
	cpu, workdir                string
	extra                       string // lines of the document's spec
	input                       string // builtin that takes the same rows; empty: model is one
	rows                        int    // in a request; 0: one
	trial                       string // how long a setting is measured; empty: 10s
}

const (
	serverImageRef = "localhost/trimtab/modelserver:dev"
	liarImageRef   = "localhost/trimtab/liar:dev"
	noisyImageRef  = "localhost/trimtab/noisy:dev"
	oneScaled      = "\n      autoscale: {minReplicas: 1, maxReplicas: 1}"
	tuneCPU        = "\n      tune: {maxDelay: 20ms, cpu: {min: 5m, max: 60m}}"
)

// adopted tells that the server was made with kubectl, and is Trimtab's since.
func (s serverTrial) adopted() bool { return strings.HasPrefix(s.extra, "adopt: true") }

// measured is how long its settings are measured.
func (s serverTrial) measured() string { return cmp.Or(s.trial, "10s") }

func (s serverTrial) fill(text string) string {
	return strings.NewReplacer("NAME", s.name, "IMAGE", s.image, "MODEL", s.model, "VERSION", s.version,
		"REPLICAS", fmt.Sprint(s.replicas), "CPU", s.cpu, "WORKDIR", s.workdir, "TRIAL", s.measured(), "EXTRA", strings.TrimSpace(s.extra)).Replace(text)
}

// owned has every kind of object; keeps, lent and goes lose their documents; lent and those of adopts were made with kubectl.
// An autoscaler of one pod leaves the pods alone. A step of taken is measured for so long that a spike which comes
// some seconds after its beginning is most of what is measured.
var (
	owned  = serverTrial{name: "owned", image: serverImageRef, model: "recommendation", version: "v1", replicas: 1, cpu: "5m", extra: "autoscale: {minReplicas: 1, maxReplicas: 2}"}
	keeps  = serverTrial{name: "keeps", image: serverImageRef, model: "recommendation", version: "v1", replicas: 1, cpu: "5m", extra: "onDelete: keep" + oneScaled}
	lent   = serverTrial{name: "lent", image: serverImageRef, model: "recommendation", version: "v1", replicas: 1, cpu: "5m", workdir: "/", extra: "adopt: true\n      onDelete: keep"}
	goes   = serverTrial{name: "goes", image: serverImageRef, model: "recommendation", version: "v1", replicas: 1, cpu: "5m", extra: "onDelete: delete" + oneScaled}
	taken  = serverTrial{name: "taken", image: serverImageRef, model: "mlp-mid", version: "v1", replicas: 2, cpu: "60m", workdir: "/", extra: "adopt: true" + tuneCPU, trial: "20s"}
	fixed  = serverTrial{name: "fixed", image: serverImageRef, model: "fixed.onnx", version: "v1", replicas: 1, cpu: "5m", workdir: "/model", extra: "adopt: true", input: "recommendation", rows: 64}
	liar   = serverTrial{name: "liar", image: liarImageRef, model: "recommendation", version: "v1", replicas: 1, cpu: "5m", workdir: "/", extra: "adopt: true" + tuneCPU}
	adopts = []serverTrial{taken, fixed, liar}
)

// document gives the daemon the server's document.
func (r *rig) document(s serverTrial) {
	r.t.Helper()
	r.kubectl("apply", "-f", r.file(s.name+".yaml", s.fill(r.testdata("tuned-document.yaml"))))
}

func (r *rig) testdata(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.root, "deploy/localkube/e2e/testdata", name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// tuningServers puts up every server and waits until all are ready.
func (r *rig) tuningServers(t *testing.T) {
	r.trialImages(t)
	r.kubectl("create", "namespace", tunedSpace)
	r.kubectl("apply", "-f", r.file("fixed-model.yaml", r.fixedModel(t)))
	for _, s := range append([]serverTrial{lent}, adopts...) {
		r.kubectl("apply", "-f", r.file(s.name+".yaml", s.fill(r.testdata("tuned-deployment.yaml"))))
	}
	made := append([]serverTrial{owned}, leavers...)
	for _, s := range made {
		r.document(s)
	}
	for _, s := range append(made, adopts...) {
		r.eventually("there is a Deployment "+s.name, 2*time.Minute, func() bool { return r.there("deployment/"+s.name) != "" })
		r.kubectl("-n", tunedSpace, "rollout", "status", "deployment/"+s.name, "--timeout=180s")
	}
	for _, s := range leavers {
		r.eventually(s.name+" has its objects", 2*time.Minute, func() bool { return r.marked(s, "deployment") != "" && r.marked(s, "poddisruptionbudget") != "" })
	}
}

// trialImages loads the programs that are only for these trials.
func (r *rig) trialImages(t *testing.T) {
	into := t.TempDir()
	r.must("env", "CGO_ENABLED=0", "go", "build", "-C", "deploy/localkube", "-trimpath", "-buildvcs=false", "-o", into+"/", "./e2e/testdata/liar", "./e2e/testdata/noisy")
	r.must("localkube", "load", "--out", r.out, liarImageRef+"="+filepath.Join(into, "liar"), noisyImageRef+"="+filepath.Join(into, "noisy"))
}

// fixedModel is a ConfigMap with an example as it is, and with its batch axis fixed to one row. In the file an axis that may
// be any length has the name rows, field 2 of its message; that becomes field 1, the number 1, written in as
// many bytes.
func (r *rig) fixedModel(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "any.onnx")
	r.must("modelserver", "export", "--model", "recommendation", "--out", file)
	model, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	named, one := []byte("\x12\x04rows"), []byte("\x08\x81\x80\x80\x80\x00")
	if !bytes.Contains(model, named) {
		t.Fatal("the example's batch axis has another name now")
	}
	base64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed-model, namespace: %s}\nbinaryData: {any.onnx: %s, fixed.onnx: %s}\n",
		tunedSpace, base64(model), base64(bytes.ReplaceAll(model, named, one)))
}

// there is the UID of an object of the trials that is there and stays; empty: it is not.
func (r *rig) there(object string) string {
	r.t.Helper()
	return r.kubectl("-n", tunedSpace, "get", object, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
}

// lives are the UIDs and restarts of an adopted server's pods, in order.
func (r *rig) lives(name string) string { return r.livesBy("app=" + name) }

// livesBy are those of the pods with a label.
func (r *rig) livesBy(label string) string {
	r.t.Helper()
	var all []string
	for _, p := range r.labelled(tunedSpace, label) {
		all = append(all, fmt.Sprintf("%s restarts %d", p.Metadata.UID, p.Status.ContainerStatuses[0].RestartCount))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// onePass waits for a pass that began after now, and no longer than three intervals: what it should have
// written is written.
func (r *rig) onePass() {
	r.t.Helper()
	now := time.Now()
	r.until("a pass that began after "+now.UTC().Format(time.RFC3339), 2*time.Minute, func(a answer) bool { return a.Pass.At.After(now) })
}

// keptRow is what the plan says of one object that Trimtab keeps.
type keptRow struct{ Document, Kind, Name, State, Detail string }

// keptRows are those of one server.
func (r *rig) keptRows(name string) []keptRow {
	r.t.Helper()
	var a struct{ Plan struct{ Kept []keptRow } }
	out := r.must("trimtab", "plan", "-o", "json", "--kubeconfig", filepath.Join(r.out, "kubeconfig"))
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		r.t.Fatalf("trimtab plan -o json: %v\n%s", err, out)
	}
	return slices.DeleteFunc(a.Plan.Kept, func(k keptRow) bool { return k.Document != "InferenceServer "+name })
}

// details are all that is said of a server.
func (r *rig) details(name string) string {
	r.t.Helper()
	var all []string
	for _, k := range r.keptRows(name) {
		all = append(all, k.Kind+" "+k.State+": "+k.Detail)
	}
	return strings.Join(all, "\n")
}

// podsOf are the UIDs of the pods that Trimtab made for a server.
func (r *rig) podsOf(s serverTrial) string {
	r.t.Helper()
	return r.kubectl("-n", tunedSpace, "get", "pods", "-l", "trimtab.dev/inference-server="+s.name, "-o", "jsonpath={.items[*].metadata.uid}")
}
