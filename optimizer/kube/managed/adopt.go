package managed

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"trimtab.dev/trimtab/policies"
)

// adoptedAnnotation on a server's Deployment says what was adopted, and on its Service, beside the record, is
// a copy: should somebody delete one or two of these objects, they are made again as they were found.
const adoptedAnnotation = "trimtab.dev/adopted"

// restartedAnnotation is what kubectl rollout restart writes. It is nobody's wish to keep.
const restartedAnnotation = "kubectl.kubernetes.io/restartedAt"

// mostAdopted is how large, in bytes, a pod template and a file of settings may be that are kept as they were
// found: both are remembered in annotations, of which an object may have 256 KiB.
const mostAdopted = 64 << 10

// adopted is what was there of a server before its document and is kept as it was found. Parts that are
// empty were made from the document; nil: all of them were.
type adopted struct {
	Selector  map[string]string `json:"selector,omitempty"`  // of the Deployment, with Template
	Template  json.RawMessage   `json:"template,omitempty"`  // of its pods
	Container string            `json:"container,omitempty"` // the model server's in it
	ConfigMap string            `json:"configMap,omitempty"` // that Container's --config is in
	Key       string            `json:"key,omitempty"`       // of its data
	Settings  json.RawMessage   `json:"settings,omitempty"`  // what is under Key beside what is tuned, an object
	Service   json.RawMessage   `json:"service,omitempty"`   // its spec
	Budget    json.RawMessage   `json:"budget,omitempty"`    // its spec
}

// container is the name of the model server's container in a pod.
func (a *adopted) container() string {
	if a == nil || a.Container == "" {
		return container
	}
	return a.Container
}

// has tells whether an object of this kind is one that was adopted.
func (a *adopted) has(kind string) bool {
	if a == nil {
		return false
	}
	switch kind {
	case kindDeployment:
		return len(a.Template) > 0
	case kindConfigMap:
		return len(a.Settings) > 0
	case kindService:
		return len(a.Service) > 0
	case kindBudget:
		return len(a.Budget) > 0
	}
	return false
}

// copy is a, or nothing adopted, to be changed.
func (a *adopted) copy() *adopted {
	if a == nil {
		return &adopted{}
	}
	out := *a
	return &out
}

// takeDeployment is a with the Deployment as it is. Where strict, the document must say what it runs:
// otherwise its pods would be replaced.
func (a *adopted) takeDeployment(d *appsv1.Deployment, s policies.Server, strict bool) (*adopted, error) {
	out := a.copy()
	if d.Spec.Selector == nil || len(d.Spec.Selector.MatchExpressions) > 0 || len(d.Spec.Selector.MatchLabels) == 0 {
		return nil, errors.New("its selector is not by labels alone; adopt a Deployment whose selector has only matchLabels")
	}
	at, err := takeSettings(d.Spec.Template.Spec)
	if err != nil {
		return nil, err
	}
	template := d.Spec.Template.DeepCopy()
	delete(template.Annotations, restartedAnnotation)
	if out.Selector, out.Template = maps.Clone(d.Spec.Selector.MatchLabels), raw(template); len(out.Template) > mostAdopted {
		return nil, fmt.Errorf("its pod template has %d bytes, more than the %d that can be remembered; make it smaller", len(out.Template), mostAdopted)
	}
	out.Container, out.ConfigMap, out.Key = at.container, at.configMap, at.key
	if len(out.Settings) == 0 {
		out.Settings = json.RawMessage("{}") // until they are read
	}
	if !strict {
		return out, nil
	}
	return out, unlike(*template, d, out.template(s), s)
}

// unlike says in what the document differs from what a Deployment runs.
func unlike(is corev1.PodTemplateSpec, d *appsv1.Deployment, want corev1.PodTemplateSpec, s policies.Server) error {
	asked, runs := treeOfAny(want), treeOfAny(is)
	diff := differences(asked, runs)
	if len(diff) == 0 && !reflect.DeepEqual(asked, runs) {
		diff = append(diff, "it has a request or a limit that the document does not ask for")
	}
	if n := d.Spec.Replicas; n != nil && *n != s.Replicas && !s.Autoscale.On() {
		diff = append(diff, fmt.Sprintf("spec.replicas is %d, not %d", *n, s.Replicas))
	}
	if len(diff) == 0 {
		return nil
	}
	return fmt.Errorf("it runs something else than its document asks for, and its pods would be replaced: %s; write into the document what it runs, and change that once it is adopted", summary(diff))
}

// template is the pod template as it was found, with the document's image, model, version, requests and
// limits. Where the document says what was found, it is the same to the last field.
func (a *adopted) template(s policies.Server) corev1.PodTemplateSpec {
	var t corev1.PodTemplateSpec
	found(a.Template, &t)
	for i := range t.Spec.Containers {
		if c := &t.Spec.Containers[i]; c.Name == a.Container {
			c.Image = s.Image
			give(c, "model", "MODEL", s.Model)
			give(c, "model-version", "MODEL_VERSION", s.Version)
			c.Resources.Requests = askFor(c.Resources.Requests, s.Requests.MilliCPU, s.Requests.Memory)
			c.Resources.Limits = askFor(c.Resources.Limits, s.Limits.MilliCPU, s.Limits.Memory)
		}
	}
	return t
}

// takeService is a with the Service as it is.
func (a *adopted) takeService(o *corev1.Service) *adopted {
	out := a.copy()
	out.Service = raw(corev1.ServiceSpec{Type: o.Spec.Type, Ports: o.Spec.Ports, Selector: o.Spec.Selector})
	return out
}

// takeBudget is a with the PodDisruptionBudget as it is.
func (a *adopted) takeBudget(o *policyv1.PodDisruptionBudget) *adopted {
	out := a.copy()
	out.Budget = raw(o.Spec)
	return out
}

// takeConfigMap is a with what the ConfigMap says beside what is tuned.
func (a *adopted) takeConfigMap(o *corev1.ConfigMap) (*adopted, error) {
	out := a.copy()
	if o.Immutable != nil && *o.Immutable {
		return nil, errors.New("it is immutable; mount a ConfigMap that can be changed")
	}
	if out.ConfigMap == "" {
		out.ConfigMap, out.Key = o.Name, configKey
	}
	rest, ok := untuned(o.Data[out.Key])
	if len(rest) > mostAdopted {
		return nil, fmt.Errorf("%s in it has %d bytes, more than the %d that can be remembered; make it smaller", out.Key, len(rest), mostAdopted)
	}
	if !ok {
		return nil, fmt.Errorf("%s in it is no JSON object; mend it first", out.Key)
	}
	out.Settings = rest
	return out, nil
}

// untuned is an object of settings without those that are tuned; empty text is an empty one.
func untuned(text string) (json.RawMessage, bool) {
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	all, ok := object(text)
	for k := range treeOfAny(settings{}) {
		delete(all, k)
	}
	return raw(all), ok
}

// object reads a JSON object, its numbers as they are written.
func object(text string) (tree, bool) {
	var all tree
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	err := dec.Decode(&all)
	return all, err == nil && all != nil && !dec.More()
}

// text is what the settings' file says: those that are tuned, in what was found.
func (a *adopted) text(s settings) string {
	if !a.has(kindConfigMap) {
		return indented(s)
	}
	all, ok := object(string(a.Settings))
	if !ok {
		all = tree{}
	}
	maps.Copy(all, treeOfAny(s))
	return indented(all)
}

// readAdopted gives what an object notes of what was adopted; nil: nothing that can be read.
func readAdopted(l live) *adopted {
	if l.none() {
		return nil
	}
	var a adopted
	if text := l.meta.GetAnnotations()[adoptedAnnotation]; text == "" || json.Unmarshal([]byte(text), &a) != nil || !a.sound() {
		return nil
	}
	return &a
}

// sound tells whether what was remembered can be used.
func (a *adopted) sound() bool {
	if a == nil {
		return false
	}
	ok := true
	for text, into := range map[*json.RawMessage]any{
		&a.Template: &corev1.PodTemplateSpec{}, &a.Service: &corev1.ServiceSpec{}, &a.Budget: &policyv1.PodDisruptionBudgetSpec{}, &a.Settings: &tree{},
	} {
		ok = ok && (len(*text) == 0 || json.Unmarshal(*text, into) == nil)
	}
	named := a.ConfigMap != "" && a.Key != ""
	return ok && (named || len(a.Template)+len(a.Settings) == 0) && (len(a.Template) == 0 || len(a.Selector) > 0 && a.Container != "")
}

// found reads a part of an object that was remembered.
func found(text json.RawMessage, into any) {
	if err := json.Unmarshal(text, into); err != nil {
		panic(err) // unreachable unless bug: sound looked at it
	}
}

func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // unreachable unless bug: plain values of the API
	}
	return text
}

func indented(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // unreachable unless bug: it came from JSON, or is plain
	}
	return string(text) + "\n"
}

// treeOfAny is a part of an object as JSON has it.
func treeOfAny(v any) tree {
	var t tree
	if err := json.Unmarshal(raw(v), &t); err != nil {
		panic(err) // unreachable unless bug: it was just written
	}
	return t
}
