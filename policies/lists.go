package policies

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// words is a list of names; wrong says what is wrong with one, or nothing.
func words[T any](name, meaning, example string, wrong func(string) string, at func(*T) *[]string) field[T] {
	return field[T]{
		name: name, typ: "list of names", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			var all []string
			for _, e := range w.items(p, example) {
				v, ok := w.text(e, "a name")
				if !ok {
					continue
				}
				if text := wrong(v); text != "" {
					w.fault(e, "%q %s", v, text)
				} else if slices.Contains(all, v) {
					w.fault(e, "%q is listed twice; keep one", v)
				} else {
					all = append(all, v)
				}
			}
			*at(into) = all
		},
		show: func(of *T) string {
			if len(*at(of)) == 0 {
				return ""
			}
			quoted := make([]string, 0, len(*at(of)))
			for _, v := range *at(of) {
				quoted = append(quoted, strconv.Quote(v))
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}
}

// labels is a group of labels that must all be there.
func labels[T any](name, meaning string, at func(*T) *map[string]string) field[T] {
	return field[T]{
		name: name, typ: "labels", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			before := len(w.faults)
			all := map[string]string{}
			for _, e := range w.entries(p) {
				v, ok := w.text(e, "text")
				if text := wrongLabel(e.key, v); ok && text != "" {
					w.fault(e, "%s", text)
				}
				all[e.key] = v
			}
			if len(all) == 0 && len(w.faults) == before {
				w.fault(p, "names no label; write one such as {team: search}, or remove the line")
			}
			*at(into) = all
		},
		show: func(of *T) string { return showLabels(*at(of)) },
	}
}

func showLabels(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, k+": "+strconv.Quote(m[k]))
	}
	return "{" + strings.Join(all, ", ") + "}"
}
