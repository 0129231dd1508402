package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	mostDepth  = 32     // objects and lists in one another
	mostValues = 50_000 // values in a file, so that reading one takes little memory whatever is in it
)

// kind is what a JSON value is.
type kind uint8

const (
	null kind = iota
	truth
	number
	text
	list
	object
)

// node is a JSON value that knows where it stands.
type node struct {
	kind   kind
	line   int
	word   string // a text, or the digits of a number, or true or false
	fields []field
	items  []*node
}

type field struct {
	key   string
	value *node
}

// String is the value as a fault shows it, short.
func (n *node) String() string {
	switch n.kind {
	case null:
		return "null"
	case text:
		return fmt.Sprintf("%.40q", n.word)
	case list:
		return "a list"
	case object:
		return "an object"
	}
	return fmt.Sprintf("%.40s", n.word)
}

// parseTree reads one JSON object. Its errors say on which line.
func parseTree(data []byte) (*node, error) {
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("it is not a JSON object: %w", located(data, err))
	}
	t := trees{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	t.dec.UseNumber()
	n, err := t.value(0)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", t.line, err)
	}
	if n.kind != object {
		return nil, fmt.Errorf("it is not a JSON object: it is %s", n)
	}
	return n, nil
}

// located puts the line of a syntax error before it.
func located(data []byte, err error) error {
	var at *json.SyntaxError
	if !errors.As(err, &at) {
		return err
	}
	before := data[:min(int(at.Offset), len(data))]
	return fmt.Errorf("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
}

// trees reads values one after the other and counts lines and values.
type trees struct {
	data   []byte
	dec    *json.Decoder
	line   int
	seen   int // bytes whose lines are counted
	values int
}

func (t *trees) token() (json.Token, error) {
	word, err := t.dec.Token()
	end := int(t.dec.InputOffset())
	t.line += bytes.Count(t.data[t.seen:end], []byte("\n"))
	t.seen = end
	return word, err
}

func (t *trees) value(depth int) (*node, error) {
	word, err := t.token()
	if err != nil {
		return nil, err
	}
	if t.values++; t.values > mostValues {
		return nil, fmt.Errorf("there are more than %d values", mostValues)
	}
	if depth >= mostDepth {
		return nil, fmt.Errorf("there are more than %d objects and lists in one another", mostDepth)
	}
	n := &node{line: t.line}
	switch w := word.(type) {
	case json.Delim:
		return n, t.children(n, w, depth)
	case string:
		n.kind, n.word = text, w
	case json.Number:
		n.kind, n.word = number, w.String()
	case bool:
		n.kind, n.word = truth, fmt.Sprint(w)
	}
	return n, nil
}

// children reads what is in an object or a list, up to its end.
func (t *trees) children(n *node, open json.Delim, depth int) error {
	n.kind = list
	if open == '{' {
		n.kind = object
	}
	for t.dec.More() {
		key := ""
		if n.kind == object {
			word, err := t.token()
			if err != nil {
				return err
			}
			key, _ = word.(string)
		}
		child, err := t.value(depth + 1)
		if err != nil {
			return err
		}
		if n.kind == object {
			n.fields = append(n.fields, field{strings.Clone(key), child})
			continue
		}
		n.items = append(n.items, child)
	}
	_, err := t.token()
	return err
}
