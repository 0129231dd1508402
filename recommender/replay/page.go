package replay

import (
	"fmt"
	"html/template"
	"io"
	"slices"
)

// Page writes comparisons and drawn series as one page that needs nothing else: no scripts, images or fonts.
// Title says whose history it is. Shown are the rules whose lines are seen at first, all if none of them is there;
// the page lets a reader choose others.
func Page(w io.Writer, title string, all []Comparison, drawn []Drawn, shown []string) error {
	p := page{Title: title, Legend: legend(all)}
	var names []string
	for _, c := range all {
		p.Tables = append(p.Tables, newPageTable(c))
		for _, r := range c.Rows {
			names = append(names, r.Summary.Name)
		}
	}
	p.Rules = pageRules(names, shown)
	for _, d := range drawn {
		p.Plots = append(p.Plots, pagePlot{d.Series.ID, d.about(), template.HTML(d.SVG())}) // its texts are escaped by SVG
	}
	t := template.Must(template.New("replay").Parse(pageTemplate)) // unreachable unless bug
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// page is what the template prints.
type page struct {
	Title, Legend string
	Rules         []pageRule
	Tables        []pageTable
	Plots         []pagePlot
}

// pageRule is a rule with its colour.
type pageRule struct {
	Name, Class string
	Light, Dark template.CSS // colours of the list below
	Dash        template.CSS
	Shown       bool
}

type pageTable struct {
	About    string
	Heads    []string
	Rows     []pageRow
	Classes  []pageClass
	Pictures []template.HTML
}

type pageRow struct {
	Name, Class, About string
	Cells              []string
}

// pageClass is a class, with its figures rule by rule.
type pageClass struct {
	Name   string
	Series int
	Rows   []pageRow
}

type pagePlot struct {
	ID, About string
	SVG       template.HTML
}

// colours are told apart by people who see few of them, on light and on dark paper; after the last they begin
// anew, dashed.
func colours() [][2]template.CSS {
	return [][2]template.CSS{
		{"#0b6e4f", "#5fd0a4"}, {"#b3261e", "#ff8a80"}, {"#1a56b0", "#82b1ff"}, {"#8a4b00", "#ffc163"},
		{"#6a2c91", "#d3a4f0"}, {"#00707c", "#62d3e0"}, {"#a3195b", "#ff94c2"}, {"#4d5a12", "#c5d86d"},
	}
}

// dashes are of those rules that have no colour for themselves.
func dashes() []template.CSS { return []template.CSS{"6 3", "2 3", "9 3 2 3"} }

// fewRules are drawn all at first.
const fewRules = 2

// pageRules gives every name, once, its colour.
func pageRules(names, shown []string) []pageRule {
	var out []pageRule
	for _, name := range names {
		if slices.ContainsFunc(out, func(r pageRule) bool { return r.Name == name }) {
			continue
		}
		colour := colours()[len(out)%len(colours())]
		rule := pageRule{Name: name, Class: classOf(name), Light: colour[0], Dark: colour[1], Dash: "none"}
		if turn := len(out) / len(colours()); turn > 0 {
			rule.Dash = dashes()[(turn-1)%len(dashes())]
		}
		rule.Shown = slices.Contains(shown, name)
		out = append(out, rule)
	}
	none := !slices.ContainsFunc(out, func(r pageRule) bool { return r.Shown })
	for i := range out {
		out[i].Shown = out[i].Shown || none || len(out) <= fewRules
	}
	return out
}

func newPageTable(c Comparison) pageTable {
	out := pageTable{
		About: c.about(), Heads: c.heads()[1:],
	}
	for _, pooled := range []bool{false, true} {
		if picture := c.Frontier(pooled); picture != "" {
			out.Pictures = append(out.Pictures, template.HTML(picture)) // escaped by Frontier
		}
	}
	for _, r := range c.Rows {
		out.Rows = append(out.Rows, pageRow{r.Summary.Name, classOf(r.Summary.Name), r.About, c.cells(r)[1:]})
	}
	if len(c.Rows) == 0 || len(c.Rows[0].Summary.Classes) < 2 {
		return out
	}
	for i, class := range c.Rows[0].Summary.Classes {
		of := pageClass{Name: class.Name, Series: class.Series}
		for _, r := range c.Rows {
			if i < len(r.Summary.Classes) {
				of.Rows = append(of.Rows, classRow(r.Summary.Name, r.Summary.Classes[i].Mean, r.Summary.Classes[i]))
			}
		}
		out.Classes = append(out.Classes, of)
	}
	worst := pageClass{Name: "the worst tenth, figure by figure", Series: (c.Rows[0].Summary.Series + 9) / 10}
	for _, r := range c.Rows {
		worst.Rows = append(worst.Rows, classRow(r.Summary.Name, r.Summary.Worst, Summary{Mean: r.Summary.Worst, Pooled: r.Summary.Worst}))
	}
	out.Classes = append(out.Classes, worst)
	return out
}

func classRow(name string, m Measures, s Summary) pageRow {
	return pageRow{Name: name, Cells: []string{hundredths(m.Over), hundredths(s.Pooled.Unmet), thousandths(m.Ratio), thousandths(m.Slack)}}
}

func (d Drawn) about() string {
	text := "mean use " + Amount(d.Series.Mean(), d.Series.Unit)
	if d.Series.Granted > 0 {
		text += " of " + Amount(d.Series.Granted, d.Series.Unit) + " granted"
	}
	if d.Series.Unit == Cores {
		text += ", in cores"
	}
	if d.Series.Class != "" {
		text += "; " + d.Series.Class
	}
	return text
}
