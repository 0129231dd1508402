package policies

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// walk collects the faults of one document on the way through its nodes.
type walk struct {
	source string
	checks Checks
	faults []Fault
	paths  []string       // every field that there is, to say where a misplaced one belongs
	lines  map[string]int // of every field that is given, by its path
}

// line is where the field at path is given, or else.
func (w *walk) line(path string, orElse int) int {
	if n, ok := w.lines[path]; ok {
		return n
	}
	return orElse
}

// at is the field at path, for a fault of it; its line is that of the nearest field around it that is given.
func (w *walk) at(path string) place {
	p := place{path: path, line: 1}
	for outer := path; outer != ""; {
		if n, ok := w.lines[outer]; ok {
			p.line = n
			break
		}
		outer = outer[:max(strings.LastIndexAny(outer, ".["), 0)]
	}
	return p
}

// place is one node of a document with its path.
type place struct {
	node *yaml.Node
	path string
	key  string // the last part of path, of a field
	line int    // of the key that leads to it
}

func (p place) child(key, value *yaml.Node) place {
	return place{node: value, path: join(p.path, key.Value), key: key.Value, line: key.Line}
}

func (p place) item(i int) place {
	n := p.node.Content[i]
	return place{node: n, path: fmt.Sprintf("%s[%d]", p.path, i), line: n.Line}
}

func (w *walk) fault(p place, format string, args ...any) {
	w.faults = append(w.faults, Fault{w.source, p.line, p.path, fmt.Sprintf(format, args...)})
}

// faulty tells whether anything at or under path has a fault already.
func (w *walk) faulty(path string) bool {
	return slices.ContainsFunc(w.faults, func(f Fault) bool { return under(f.Path, path) })
}

func under(path, root string) bool {
	return len(path) >= len(root) && path[:len(root)] == root &&
		(len(path) == len(root) || path[len(root)] == '.' || path[len(root)] == '[')
}

// what names a node for people.
func what(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of fields"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!bool":
		return "true or false"
	case "!!int", "!!float":
		return "a number"
	}
	return "text"
}

// plain refuses what no field can be: an empty value and YAML's anchors and aliases, whose expansion
// nobody reads as it is written.
func (w *walk) plain(p place) bool {
	switch {
	case p.node.Kind == yaml.AliasNode, p.node.Anchor != "":
		w.fault(p, "anchors and aliases are not read; write the value out")
	case p.node.Kind == yaml.ScalarNode && p.node.ShortTag() == "!!null":
		w.fault(p, "is empty; write a value, or remove the line to keep the default")
	default:
		return true
	}
	return false
}

// entries gives the fields of a mapping in their order, each key once.
func (w *walk) entries(p place) []place {
	if !w.plain(p) {
		return nil
	}
	if p.node.Kind != yaml.MappingNode {
		w.fault(p, "is %s; write fields under it, one a line as \"name: value\"", what(p.node))
		return nil
	}
	var all []place
	first := map[string]int{} // key to the line it was first seen
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		key, value := p.node.Content[i], p.node.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			w.fault(place{path: p.path, line: key.Line}, "a field's name is %s; write a plain word", what(key))
			continue
		}
		e := p.child(key, value)
		if line, seen := first[key.Value]; seen {
			w.fault(e, "is given twice, first in line %d; keep one", line)
			continue
		}
		first[key.Value], w.lines[e.path] = key.Line, key.Line
		all = append(all, e)
	}
	return all
}

// items gives the entries of a list that has some; example is what to write otherwise.
func (w *walk) items(p place, example string) []place {
	if !w.plain(p) {
		return nil
	}
	if p.node.Kind != yaml.SequenceNode {
		w.fault(p, "is %s, not a list; write %s", what(p.node), example)
		return nil
	}
	if len(p.node.Content) == 0 {
		w.fault(p, "is an empty list; write %s", example)
		return nil
	}
	all := make([]place, 0, len(p.node.Content))
	for i := range p.node.Content {
		all = append(all, p.item(i))
	}
	return all
}

// scalar gives the text of a single value, with its YAML tag.
func (w *walk) scalar(p place, example string) (text, tag string, ok bool) {
	if !w.plain(p) {
		return "", "", false
	}
	if p.node.Kind != yaml.ScalarNode {
		w.fault(p, "is %s, not a single value; write %s", what(p.node), example)
		return "", "", false
	}
	return p.node.Value, p.node.ShortTag(), true
}

// text gives a value that is text and not something that YAML takes for a number or a truth value.
func (w *walk) text(p place, example string) (string, bool) {
	v, tag, ok := w.scalar(p, example)
	if !ok {
		return "", false
	}
	if tag != "!!str" {
		w.fault(p, "%s is %s to YAML; write it in quotes: %s", v, what(p.node), strconv.Quote(v))
		return "", false
	}
	return v, true
}
