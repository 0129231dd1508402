package policies

import (
	"slices"
	"strings"
)

// field is one key of a document of kind T: how it is read, shown and explained.
type field[T any] struct {
	name    string
	typ     string // for people: "duration"
	meaning string
	needed  string                 // not empty: it must be given, such as this
	fields  []field[T]             // of a group
	set     func(*walk, place, *T) // of a value; nil: a group
	show    func(of *T) string     // the value as a document would write it; empty: none
}

func group[T any](name, meaning string, fields ...field[T]) field[T] {
	return field[T]{name: name, typ: "group", meaning: meaning, fields: fields}
}

// must marks a field that every document gives; example is what a fault suggests.
func must[T any](example string, f field[T]) field[T] {
	f.needed = example
	return f
}

// read sets what a group gives and leaves the rest as it is.
func read[T any](w *walk, p place, fields []field[T], into *T) {
	before := len(w.faults)
	given := w.entries(p)
	if given == nil && len(w.faults) > before {
		return // it is no group at all, which was said
	}
	for _, e := range given {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == e.key })
		switch {
		case i < 0:
			w.unknown(e, names(fields))
		case fields[i].set != nil:
			fields[i].set(w, e, into)
		default:
			read(w, e, fields[i].fields, into)
		}
	}
	for _, f := range fields {
		if f.needed != "" && !slices.ContainsFunc(given, func(e place) bool { return e.key == f.name }) {
			w.fault(place{path: join(p.path, f.name), line: p.line}, "is missing; write %s", f.needed)
		}
	}
}

func (w *walk) unknown(p place, known []string) {
	if p.key == "<<" {
		w.fault(p, "merge keys are not read; write the fields out")
		return
	}
	if secret := "spec.smtp.secret"; slices.Contains(secrets(), strings.ToLower(p.key)) && slices.Contains(w.paths, secret) {
		w.fault(p, "does not belong into a document, which many can read; write it into a Secret of Trimtab's namespace and name that in %s", secret)
		return
	}
	homes := slices.DeleteFunc(slices.Clone(w.paths), func(path string) bool { return !strings.HasSuffix(path, "."+p.key) })
	if len(homes) == 1 {
		w.fault(p, "does not belong here; move it to %s", homes[0])
		return
	}
	if near, ok := nearest(p.key, known); ok {
		w.fault(p, "is not a field; did you mean %s?", near)
		return
	}
	w.fault(p, "is not a field; the fields here are %s", strings.Join(known, ", "))
}

// secrets is the names of fields under which people look for a place to log in.
func secrets() []string {
	return []string{"password", "passwd", "pass", "username", "user", "auth", "credentials", "token"}
}

func names[T any](fields []field[T]) []string {
	all := make([]string, 0, len(fields))
	for _, f := range fields {
		all = append(all, f.name)
	}
	return all
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
