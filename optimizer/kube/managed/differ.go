package managed

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// tree is an object as JSON has it: what is compared, and what is applied.
type tree = map[string]any

// treeOf is an object without its status, which is not ours to say.
func treeOf(o runtime.Object) tree {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err) // unreachable unless bug: a plain object of the API
	}
	var t tree
	if err := json.Unmarshal(text, &t); err != nil {
		panic(err) // unreachable unless bug: it was just written
	}
	delete(t, "status")
	return t
}

// differences says where live is not as want asks, sorted by field. What live has beside is the API
// server's, or others': defaults, labels, containers that someone adds.
func differences(want, live tree) []string { return inMap(want, live, "") }

func inMap(want, live tree, path string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		out = append(out, inValue(want[key], live[key], join(path, key))...)
	}
	return out
}

func inValue(want, live any, path string) []string {
	switch w := want.(type) {
	case tree:
		if l, ok := live.(tree); ok || live == nil {
			return inMap(w, l, path)
		}
	case []any:
		if l, ok := live.([]any); ok && ofObjects(w) {
			return inList(w, l, path)
		}
	}
	if reflect.DeepEqual(want, live) || empty(want) && empty(live) {
		return nil
	}
	return []string{fmt.Sprintf("%s is %s, not %s", path, words(live), words(want))}
}

// inList compares lists of objects. Their order is the API server's, and there may be more than asked for.
func inList(want, live []any, path string) []string {
	var out []string
	for i, w := range want {
		item := fmt.Sprintf("%s[%s]", path, label(w.(tree), i))
		if slices.ContainsFunc(live, func(l any) bool { return len(inValue(w, l, item)) == 0 }) {
			continue
		}
		at := slices.IndexFunc(live, func(l any) bool { return same(w, l) })
		if at < 0 {
			out = append(out, item+" is missing")
			continue
		}
		out = append(out, inValue(w, live[at], item)...)
	}
	return out
}

// keys are the fields that tell the objects of the lists that we write apart.
var keys = []string{"name", "mountPath", "topologyKey"}

func label(item tree, at int) string {
	for _, k := range keys {
		if v, ok := item[k].(string); ok {
			return v
		}
	}
	return fmt.Sprint(at)
}

func same(want, live any) bool {
	w, _ := want.(tree)
	l, ok := live.(tree)
	for _, k := range keys {
		if v, has := w[k]; has {
			return ok && l[k] == v
		}
	}
	return false
}

func ofObjects(list []any) bool {
	for _, v := range list {
		if _, ok := v.(tree); !ok {
			return false
		}
	}
	return len(list) > 0
}

// empty is what the API server may leave out or fill in as it likes.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case tree:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	}
	return false
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// words is a value for people, on one line.
func words(v any) string {
	if empty(v) {
		return "not set"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	short := string(text)
	if s, ok := v.(string); ok {
		short = strings.Join(strings.Fields(s), " ")
	}
	if len(short) > 60 {
		short = strings.ToValidUTF8(short[:57], "") + "..."
	}
	return short
}

// summary is a few of the differences.
func summary(all []string) string {
	const most = 3
	if len(all) <= most {
		return strings.Join(all, "; ")
	}
	return strings.Join(all[:most], "; ") + fmt.Sprintf("; and %d more", len(all)-most)
}
