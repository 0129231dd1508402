package reports

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Links are what the page of a report leads to when a browser shows it; a mail has none.
type Links struct {
	Plan    string // of the plan
	JSON    string // of the same report as JSON
	Periods []Link // of other periods
}

// Link is one of them.
type Link struct{ Text, URL string }

// ReportHTML writes a report for a mail or, with links, a page. It needs nothing else: no images, fonts
// or scripts. The layout is tables with inline styles, which every mail program shows; the one style
// element only adds dark colours, and mail programs may drop it.
func ReportHTML(w io.Writer, r Report, links Links) error {
	t := template.Must(template.New("report").Funcs(template.FuncMap{"nice": nice, "rest": rest, "even": even}).Parse(letterTemplate)) // unreachable unless bug
	err := t.Execute(w, struct {
		letter
		Subject string
		Links   Links
	}{newLetter(r), r.Subject(), links})
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// rest is what a bar leaves free, in hundredths.
func rest(bar int) int { return 100 - bar }

// nice is a text with the arrows and the spaces that a browser knows, none of which breaks before a per cent sign, and with what
// stands between two backticks as code. It is escaped.
func nice(s string) template.HTML {
	parts := strings.Split(template.HTMLEscapeString(strings.ReplaceAll(arrows(s), " %", "\u00a0%")), "`")
	var b strings.Builder
	for i, p := range parts {
		switch {
		case i%2 == 0:
			b.WriteString(p)
		case i == len(parts)-1:
			b.WriteString("`" + p) // nothing closes it
		default:
			b.WriteString(`<code>` + p + `</code>`)
		}
	}
	return template.HTML(b.String())
}

func even(i int) bool { return i%2 == 0 }
