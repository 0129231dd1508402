package managed

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// disown takes the pod template of an adopted Deployment from whoever wrote it before, once the document
// asks for another one: what its last writer still claims would stay in it, such as a limit that is no
// longer asked for. Those who apply it themselves keep their claim: they are named, not fought.
func (j *job) disown(ctx context.Context, k kind) error {
	d, ok := j.found[k.name].meta.(*appsv1.Deployment)
	if !ok || j.foreigner(k.name) || !j.adopted.has(k.name) || j.asFound() {
		return nil
	}
	left, any := unclaimed(d.ManagedFields)
	if !any {
		return nil
	}
	text, err := json.Marshal([]tree{
		{"op": "replace", "path": "/metadata/managedFields", "value": left},
		{"op": "replace", "path": "/metadata/resourceVersion", "value": d.ResourceVersion}, // nobody wrote meanwhile
	})
	if err != nil {
		return fmt.Errorf("claim its pod template: %w", err)
	}
	if err := k.patch(ctx, d.Namespace, d.Name, types.JSONPatchType, text); err != nil {
		return fmt.Errorf("claim its pod template: %w", err)
	}
	return nil
}

// asFound tells whether the document still asks for the pod template that was found.
func (j *job) asFound() bool {
	var was any
	found(j.adopted.Template, &was)
	return reflect.DeepEqual(was, any(treeOfAny(j.adopted.template(j.server))))
}

// unclaimed is who wrote which fields without the pod template, of those that wrote and did not apply; any
// tells that somebody had claimed it.
func unclaimed(fields []metav1.ManagedFieldsEntry) (left []metav1.ManagedFieldsEntry, any bool) {
	for _, f := range fields {
		var owned tree
		if f.Operation == metav1.ManagedFieldsOperationUpdate && f.Subresource == "" && f.FieldsV1 != nil && json.Unmarshal(f.FieldsV1.GetRawBytes(), &owned) == nil {
			if spec, _ := owned["f:spec"].(tree); spec["f:template"] != nil {
				any = true
				delete(spec, "f:template")
				if len(spec) == 0 {
					delete(owned, "f:spec")
				}
				f.FieldsV1 = metav1.NewFieldsV1(string(text(owned)))
			}
			if len(owned) == 0 {
				continue
			}
		}
		left = append(left, f)
	}
	return left, any
}
