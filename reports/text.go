package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// columns is how wide a text is at most.
const columns = 100

// printer gathers text; its one error is that of the writer at the end.
type printer struct {
	bytes.Buffer
	width int // 0: columns
}

func (p *printer) columns() int { return cmp.Or(p.width, columns) }

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p, format, args...)
	p.WriteByte('\n')
}

// field prints a name and its text, broken between words and indented under its own beginning.
func (p *printer) field(indent int, name string, width int, text string) {
	head := strings.Repeat(" ", indent) + fmt.Sprintf("%-*s", width, name)
	for i, part := range wrap(text, p.columns()-indent-width) {
		if i > 0 {
			head = strings.Repeat(" ", indent+width)
		}
		p.line("%s", strings.TrimRight(head+part, " "))
	}
}

// fields prints several texts under one name.
func (p *printer) fields(indent int, name string, width int, texts []string) {
	for i, t := range texts {
		if i > 0 {
			name = ""
		}
		p.field(indent, name, width, t)
	}
}

func (p *printer) to(w io.Writer) error {
	if _, err := w.Write(p.Bytes()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// wrap breaks text between words into lines of at most width characters; a longer word keeps a line
// to itself.
func wrap(text string, width int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(strings.ReplaceAll(text, " %", "\x00%")) {
		word = strings.ReplaceAll(word, "\x00%", " %") // which never begins a line
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > width:
			out, line = append(out, line), word
		default:
			line += " " + word
		}
	}
	return append(out, line)
}

// heading is a title with a text at the right end of the same line.
func (p *printer) heading(left, right string) {
	gap := max(1, p.columns()-len([]rune(left))-len([]rune(right)))
	p.line("%s", strings.TrimRight(left+strings.Repeat(" ", gap)+right, " "))
}

const simulated = "SIMULATED"

// marked is SIMULATED and what of it is; nothing where nothing is.
func marked(what string) string {
	if what == "" {
		return ""
	}
	return simulated + ": " + what
}
