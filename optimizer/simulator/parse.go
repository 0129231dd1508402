package simulator

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// spec is a fleet file whose every value is valid.
type spec struct {
	name     string
	start    time.Time
	weeks    int
	dice     dice
	nodes    []fleet.Node
	pools    map[string]pool
	bounds   []fleet.Bounds // quotas without their use
	policies []policies.Raw
	models   []model
}

func (s spec) end() time.Time { return s.start.Add(time.Duration(s.weeks) * 7 * 24 * time.Hour) }

// pool is which of the sorted nodes are equal ones.
type pool struct{ first, count int }

// model is one workload with what it uses and when it is measured.
type model struct {
	fleet.Workload
	load
	pool string
}

// parse reads a fleet file, or tells every fault of it at once. A number of weeks that is not 0 is
// taken instead of the file's.
func parse(data []byte, weeks int) (spec, error) {
	c := &checker{root: &yaml.Node{}, byLine: map[int]string{}}
	doc, ok := decode(c, data)
	if !ok {
		return spec{}, c.err()
	}
	doc.Weeks = cmp.Or(weeks, doc.Weeks)
	s := build(c, doc, data)
	return s, c.err()
}

// decode is false where the file is not YAML of one document, so that nothing more can be said.
func decode(c *checker, data []byte) (document, bool) {
	var doc document
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		c.decodeFaults(err)
		return doc, false
	}
	if len(tree.Content) == 0 || tree.Content[0].Kind != yaml.MappingNode {
		c.line(1, "not a fleet file: it has no fields")
		return doc, false
	}
	c.root = tree.Content[0]
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil {
		c.decodeFaults(err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		c.line(max(more.Line, 1), "a fleet file is one document; remove what follows ---")
	}
	return doc, true
}

// inlinePolicies cuts the documents out of the file as they stand, each under as many empty lines as
// came before it: so a fault that policies.Parse finds has the line it has in the fleet file.
func inlinePolicies(c *checker, n yaml.Node, data []byte) []policies.Raw {
	if n.Kind == 0 {
		return nil
	}
	if n.Kind != yaml.SequenceNode || n.Style&yaml.FlowStyle != 0 {
		c.at("policies is a list of documents, each under a dash", "policies")
		return nil
	}
	lines := strings.SplitAfter(string(data), "\n")
	var out []policies.Raw
	for i, item := range n.Content {
		end := following(c.root, n, i, len(lines))
		text := strings.Join(lines[item.Line-1:end], "")
		before := item.Column - 1
		text = strings.ReplaceAll(text[:before], "-", " ") + text[before:]
		out = append(out, policies.Raw{Source: fmt.Sprintf("policies[%d]", i), Data: []byte(strings.Repeat("\n", item.Line-1) + text)})
	}
	return out
}

// following is how many lines come before the next document or the next field of the file.
func following(root *yaml.Node, list yaml.Node, i, last int) int {
	if i+1 < len(list.Content) {
		return list.Content[i+1].Line - 1
	}
	for j := 0; j < len(root.Content); j += 2 {
		if line := root.Content[j].Line; line > list.Content[i].Line {
			return line - 1
		}
	}
	return last
}
