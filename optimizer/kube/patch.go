package kube

import (
	"encoding/json"
	"strings"
)

// operation is one step of a JSON patch (RFC 6902).
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"` // the text null says that nothing is there
}

// patch is a JSON patch under construction. Every value that it replaces is tested first, so that the
// API server refuses all of it when anything of it changed since it was read.
type patch []operation

// patchOf begins the patch of the object with uid.
func patchOf(uid string) patch {
	var p patch
	p.test("/metadata/uid", uid)
	return p
}

// empty tells whether the patch would change nothing.
func (p patch) empty() bool {
	for _, o := range p {
		if o.Op != "test" {
			return false
		}
	}
	return true
}

// test asks that value is at path; nil: that nothing is there, though its parent is.
func (p *patch) test(path string, value any) {
	*p = append(*p, operation{"test", path, raw(value)})
}

// set makes of old, which is tested, value; nil: nothing is there before, or after.
func (p *patch) set(path string, old, value any) {
	p.test(path, old)
	switch {
	case value == nil:
		*p = append(*p, operation{Op: "remove", Path: path})
	case old == nil:
		*p = append(*p, operation{"add", path, raw(value)})
	default:
		*p = append(*p, operation{"replace", path, raw(value)})
	}
}

// setList is set for a list, where an empty one is none.
func setList[T any](p *patch, path string, old, value []T) {
	p.set(path, listed(old), listed(value))
}

func listed[T any](list []T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func (p patch) bytes() []byte { return raw([]operation(p)) }

func raw(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // unreachable unless bug: plain values of the API
	}
	return text
}

// pointer is a name as a part of a JSON pointer (RFC 6901).
func pointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
