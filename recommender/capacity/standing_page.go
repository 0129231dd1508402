package capacity

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	pageColumns = 100 // of a page, at most
	pageLabel   = 12  // of the names at its left edge
)

// page gathers the lines of a text.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) {
	p.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
	p.WriteByte('\n')
}

// heading begins a section.
func (p *page) heading(format string, args ...any) {
	p.line("")
	p.line(format, args...)
}

// field is a name and its texts, each begun on a line of its own and broken between words.
func (p *page) field(name string, texts ...string) {
	for _, text := range texts {
		p.hang(fmt.Sprintf("%-*s", pageLabel, name), text)
		name = ""
	}
}

// items is a list of texts.
func (p *page) items(texts []string) {
	for _, text := range texts {
		p.hang("  - ", text)
	}
}

// hang is a text behind head, its further lines indented as far.
func (p *page) hang(head, text string) {
	width := utf8.RuneCountInString(head)
	for _, part := range broken(text, pageColumns-width) {
		p.line("%s%s", head, part)
		head = strings.Repeat(" ", width)
	}
}

// broken is text in lines of at most width characters, but for a longer word.
func broken(text string, width int) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		part := ""
		for _, word := range strings.Fields(strings.ReplaceAll(line, " %", "\x00%")) {
			word = strings.ReplaceAll(word, "\x00%", " %") // which never begins a line
			switch {
			case part == "":
				part = word
			case utf8.RuneCountInString(part)+1+utf8.RuneCountInString(word) > width:
				out, part = append(out, part), word
			default:
				part += " " + word
			}
		}
		out = append(out, part)
	}
	return out
}

// tableRow is one row of a table and what is said below it.
type tableRow struct {
	cells []string
	notes []string
}

// table is rows in columns two apart; the first column is aligned left, the others too unless right.
func (p *page) table(rows []tableRow, right bool) {
	var widths []int
	for _, r := range rows {
		for i, c := range r.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range rows {
		line := " "
		for i, c := range r.cells {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if right && i > 0 {
				line += " " + gap + c + " "
				continue
			}
			line += " " + c + gap + " "
		}
		p.line("%s", line)
		for _, n := range r.notes {
			p.hang("      ", n)
		}
	}
}
