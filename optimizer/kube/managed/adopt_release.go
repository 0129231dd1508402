package managed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
)

// onDeleteAnnotation is on every object of a server that is to serve on when its document goes, for a daemon that never saw
// the document. One that did goes by its last words: while a server is paused nothing is written on its objects.
const onDeleteAnnotation = "trimtab.dev/on-delete"

// notes are our own annotations of a server's objects.
func notes() []string {
	return []string{recordAnnotation, appliedAnnotation, adoptedAnnotation, onDeleteAnnotation}
}

const notAsked = "no document asks for it any more"

// gone is what is still there of a server whose document went.
type gone struct {
	*job
	keep bool // it is to serve on
}

// gone reads the objects that are left of a server.
func (p *pass) gone(ctx context.Context, at types.NamespacedName) (gone, error) {
	g := gone{job: &job{pass: p, server: policies.Server{Namespace: at.Namespace, Name: at.Name}, found: map[string]live{}}}
	for _, k := range append(slices.Clone(p.kinds[1:]), p.kinds[0]) {
		if k.name == kindConfigMap {
			g.adopted, _ = g.remembered() // an object that is not ours is not in found
		}
		l, err := k.get(ctx, at.Namespace, nameOf(g.server, g.adopted, k.name))
		if err != nil {
			return g, err
		}
		if !l.ours(at.Name) {
			continue
		}
		g.found[k.name] = l
		g.keep = g.keep || l.meta.GetAnnotations()[onDeleteAnnotation] == string(policies.OnDeleteKeep)
	}
	if wish, known := p.wishes[at]; known {
		g.keep = wish == policies.OnDeleteKeep
	}
	return g, nil
}

// release lets every object of a server serve on, its own from now on: our marks are taken off it. The
// Deployment goes last, as it and the Service tell of the rest.
func (g gone) release(ctx context.Context) ([]optimizer.Kept, error) {
	var rows []optimizer.Kept
	order := []string{kindAutoscaler, kindBudget, kindConfigMap, kindService, kindDeployment}
	for _, name := range order {
		if g.found[name].none() {
			continue
		}
		row := g.releaseOne(ctx, g.kind(name), "it serves on, on its own, as onDelete: keep asked")
		rows = append(rows, row)
		if row.State == optimizer.Refused {
			return rows, errors.New(row.Detail)
		}
	}
	return rows, nil
}

func (g gone) kind(name string) kind {
	return g.kinds[slices.IndexFunc(g.kinds, func(k kind) bool { return k.name == name })]
}

// releaseOne takes our marks off one object; why it stays is for its row.
func (g gone) releaseOne(ctx context.Context, k kind, why string) optimizer.Kept {
	if !g.write {
		return g.row(k.name, optimizer.Differs, notAsked+"; "+why)
	}
	labels, marks := tree{policies.ServerLabel: nil}, tree{}
	if l := "app.kubernetes.io/managed-by"; g.found[k.name].meta.GetLabels()[l] == "trimtab" {
		labels[l] = nil
	}
	for _, note := range notes() {
		marks[note] = nil
	}
	text, err := json.Marshal(tree{"metadata": tree{"labels": labels, "annotations": marks, "uid": g.found[k.name].meta.GetUID()}})
	if err == nil {
		err = k.patch(ctx, g.server.Namespace, g.found[k.name].meta.GetName(), types.MergePatchType, text)
	}
	if err != nil {
		return g.row(k.name, optimizer.Refused, oneLine(fmt.Errorf("take our marks off it: %w", err)))
	}
	return g.row(k.name, optimizer.AsAsked, notAsked+"; "+why)
}

// shared tells whether a ConfigMap has more in it than this server's settings: then it stays.
func (g gone) shared() bool {
	m, ok := g.found[kindConfigMap].meta.(*corev1.ConfigMap)
	return ok && len(m.Data)+len(m.BinaryData) > 1
}
