package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Faults is everything that is wrong with a fleet file, each with its line, in the order of the lines.
type Faults []string

// Error is every fault on a line of its own.
func (f Faults) Error() string { return strings.Join(f, "\n") }

// checker gathers faults. A second fault on a line that has one is dropped: it follows from the first.
type checker struct {
	root   *yaml.Node
	byLine map[int]string
}

// at tells a fault at a path of keys and indexes from the root; where the path ends early (the key is
// missing) the fault is where it ended.
func (c *checker) at(text string, path ...any) {
	node, line := c.root, 1
	for _, step := range path {
		node = child(node, step)
		if node == nil {
			break
		}
		line = node.Line
	}
	c.line(line, text)
}

func (c *checker) line(line int, text string) {
	if _, taken := c.byLine[line]; !taken {
		c.byLine[line] = text
	}
}

func (c *checker) err() error {
	if len(c.byLine) == 0 {
		return nil
	}
	var out Faults
	for _, line := range slices.Sorted(maps.Keys(c.byLine)) {
		out = append(out, fmt.Sprintf("line %d: %s", line, c.byLine[line]))
	}
	return out
}

func child(n *yaml.Node, step any) *yaml.Node {
	switch s := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && s < len(n.Content) {
			return n.Content[s]
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == s {
				return located(n.Content[i], n.Content[i+1])
			}
		}
	}
	return nil
}

// located gives a mapping's value the line of its key: a block under a key begins a line later.
func located(key, value *yaml.Node) *yaml.Node {
	v := *value
	v.Line = key.Line
	return &v
}

// decodeFaults takes apart what yaml.v3 says, which names Go types, into lines and plain words.
func (c *checker) decodeFaults(err error) {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		c.line(lineOf(err.Error()), plain(strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	for _, e := range typed.Errors {
		c.line(lineOf(e), plain(e))
	}
}

func lineOf(s string) int {
	_, after, _ := strings.Cut(s, "line ")
	n, _ := strconv.Atoi(after[:max(0, strings.IndexByte(after, ':'))])
	return max(n, 1)
}

func plain(s string) string {
	if _, after, ok := strings.Cut(s, ": "); ok && strings.HasPrefix(s, "line ") {
		s = after
	}
	if name, ok := strings.CutPrefix(s, "field "); ok {
		name, _, _ = strings.Cut(name, " ")
		return fmt.Sprintf("unknown field %q", name)
	}
	_, value, _ := strings.Cut(s, "`")
	value, into, ok := strings.Cut(value, "` into ")
	if !ok {
		return strings.ReplaceAll(s, "cannot unmarshal !!seq into", "a list does not fit here:")
	}
	return fmt.Sprintf("%q is not %s", value, wanted(into))
}

func wanted(goType string) string {
	switch goType {
	case "int", "uint64":
		return "a whole number"
	case "float64":
		return "a number"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	}
	return "what belongs here"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
