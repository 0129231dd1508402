package reports

import (
	"fmt"
	"io"
	"strings"
)

// mailColumns is how wide a mail's text is: it is quoted, and quoted again, without breaking.
const mailColumns = 76

// ReportText writes a report as text of at most 76 columns, except for single words that are longer.
func ReportText(w io.Writer, r Report) error {
	l := newLetter(r)
	p := &printer{width: mailColumns}
	for _, m := range l.Marks {
		p.field(0, m.Word, len(simulated)+2, m.Text)
	}
	if len(l.Marks) > 0 {
		p.line("")
	}
	p.field(0, "", 0, l.Title)
	p.field(0, "", 0, l.Span)
	p.line("")
	p.field(0, "", 0, l.Verdict)
	p.line("")
	for _, t := range l.Tiles {
		p.heading(t.Label, t.Value)
		if t.Note != "" {
			p.field(indent, "", 0, t.Note)
		}
	}
	for _, s := range l.Sections {
		p.letterSection(s)
	}
	p.line("")
	p.line("HOW THE NUMBERS CAME ABOUT")
	p.line("")
	for _, m := range l.Method {
		p.field(indent, "-", 2, m)
	}
	return p.to(w)
}

func (p *printer) letterSection(s section) {
	p.line("")
	head := strings.ToUpper(s.Title)
	if n := len(s.Items); n > 0 {
		head += fmt.Sprintf(" (%d)", n)
	}
	p.line("%s", head)
	if s.Note != "" {
		p.field(0, "", 0, s.Note)
	}
	for _, i := range s.Items {
		p.line("")
		p.field(0, "", 0, i.Head)
		if i.Right != "" {
			p.field(indent, "", 0, i.Right)
		}
		for _, l := range i.Lines {
			p.field(indent, "", 0, l)
		}
		if i.Command != "" {
			p.line("    %s", i.Command)
		}
	}
	if s.Table != nil {
		p.letterTable(*s.Table)
	}
	if len(s.Lines) > 0 {
		p.line("")
	}
	for _, l := range s.Lines {
		p.field(indent, "-", 2, l)
	}
}

// letterTable prints the cells in columns that are as wide as their widest; a name takes the rest, or a line
// of its own.
func (p *printer) letterTable(t table) {
	all := append([]cells{{Name: t.Columns[0], Cells: t.Columns[1:]}}, t.Rows...)
	all = append(all, t.Sum)
	wide := make([]int, len(t.Columns)-1)
	name := p.columns()
	for i := range wide {
		for _, r := range all {
			wide[i] = max(wide[i], len([]rune(r.Cells[i])))
		}
		name -= wide[i] + 2
	}
	p.line("")
	for _, r := range all {
		right := ""
		for i, c := range r.Cells {
			right += strings.Repeat(" ", 2+wide[i]-len([]rune(c))) + c
		}
		left := r.Name
		if n := len([]rune(left)); n > name {
			p.line("%s", left)
			left = ""
		}
		p.line("%s", left+strings.Repeat(" ", name-len([]rune(left)))+right)
		if r.Note != "" {
			p.field(indent, "", 0, r.Note)
		}
	}
}
