package policies

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// decode gives the root of the one document in data.
func (w *walk) decode(data []byte) (place, bool) {
	if line, text := unreadable(data); text != "" {
		w.fault(place{line: line}, "%s", text)
		return place{}, false
	}
	docs, err := nodes(data)
	if err != nil {
		line, text := syntax(data, err)
		w.fault(place{line: line}, "%s", text)
		return place{}, false
	}
	if len(docs) == 0 || docs[0].Kind == yaml.ScalarNode && docs[0].ShortTag() == "!!null" {
		w.fault(place{}, "is empty; write a document with apiVersion, kind, metadata and spec")
		return place{}, false
	}
	if len(docs) > 1 {
		w.fault(place{line: docs[1].Line}, "a second document begins; put each in its own key or file")
	}
	return place{node: docs[0], line: docs[0].Line}, true
}

// nodes gives the roots of the first two documents. A fault in the parser must not end the daemon, so
// that its panics are errors too.
func nodes(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for len(docs) < 2 {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
	return docs, nil
}

// unreadable finds bytes that are no text.
func unreadable(data []byte) (line int, text string) {
	line = 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, "is not UTF-8 text; save the file as UTF-8"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r':
			return line, fmt.Sprintf("holds the control character %U; remove it", r)
		}
		data = data[size:]
	}
	return 0, ""
}

// syntax turns the parser's error into a line and words. A tab in the indentation is the usual cause
// that the parser does not name.
func syntax(data []byte, err error) (line int, text string) {
	for i, l := range strings.Split(string(data), "\n") {
		if strings.Contains(l[:len(l)-len(strings.TrimLeft(l, " \t"))], "\t") {
			return i + 1, "is indented with a tab; YAML allows only spaces there"
		}
	}
	line, text = 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
		line += late(text)
	}
	if strings.HasPrefix(text, "did not find expected") {
		text += " in what begins in this line"
	}
	return line, "is not YAML: " + text
}

// late is how far yaml.v3 counts too few lines: one for the errors of its parser, which counts from
// zero, and none for those of its scanner (the function fail in its decode.go).
func late(text string) int {
	for _, what := range []string{"<document start>", "node content", "'-' indicator", "key", "',' or ']'", "',' or '}'"} {
		if text == "did not find expected "+what {
			return 1
		}
	}
	return 0
}
