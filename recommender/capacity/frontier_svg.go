package capacity

import (
	"fmt"
	"html"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
)

// CurveSVG is the drawing of Curve as a picture for pages: self-contained, without script, with its content
// in words for those who do not see it. Its sizes are in pixels. Empty where there is no frontier.
func (p Plan) CurveSVG(width, height int) string {
	if len(p.Frontier) == 0 || p.SLO.Latency <= 0 {
		return ""
	}
	d := picture{p.chart(), max(width, 240), max(height, 120)}
	percentile := percentileName(p.SLO)
	title := p.axis() + " a month against " + percentile
	slo := d.left(p.SLO.Latency)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="11">`, d.width, d.height, d.width, d.height)
	fmt.Fprintf(&b, `<title>%s</title><desc>%s</desc>`, html.EscapeString(title), html.EscapeString(strings.Join(p.legend(percentile), "; ")))
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="#888"/>`, pictureLeft, pictureTop, d.height-pictureBottom, d.width-pictureRight)
	fmt.Fprintf(&b, `<path d="M%d %dV%d" stroke="#b00" stroke-dasharray="4 3"/>`, slo, pictureTop, d.height-pictureBottom)
	fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="#06c" stroke-width="1.5"/>`, d.path(p.Frontier))
	for _, f := range p.Frontier {
		d.dot(&b, f, 2, "#06c")
	}
	if p.Now.Setting != p.Best.Setting {
		d.dot(&b, p.Now, 4, "#888")
		d.label(&b, p.Now, "now")
	}
	d.dot(&b, p.Best, 4, "#080")
	d.label(&b, p.Best, "chosen, "+p.Best.Month.String())
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle" fill="#b00">SLO %s</text>`, slo, d.height-4, span(p.SLO.Latency))
	fmt.Fprintf(&b, `<text x="4" y="12">%s</text>`, html.EscapeString(title))
	fmt.Fprintf(&b, `<text x="4" y="%d">%s</text><text x="4" y="%d">%s</text>`, pictureTop+10, d.dear, d.height-pictureBottom, d.cheap)
	b.WriteString("</svg>\n")
	return b.String()
}

// What of a picture is left for words, in pixels.
const pictureLeft, pictureRight, pictureTop, pictureBottom = 64, 12, 20, 20

type picture struct {
	chart
	width, height int
}

func (d picture) left(latency time.Duration) int {
	return pictureLeft + int(d.x(latency)*float64(d.width-pictureLeft-pictureRight))
}

func (d picture) top(month cost.Money) int {
	return pictureTop + int((1-d.y(month))*float64(d.height-pictureTop-pictureBottom))
}

// path is the steps from each point of the frontier to the next.
func (d picture) path(frontier []Candidate) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", d.left(frontier[0].slowest()), d.top(frontier[0].Month))
	for _, f := range frontier[1:] {
		fmt.Fprintf(&b, "H%dV%d", d.left(f.slowest()), d.top(f.Month))
	}
	fmt.Fprintf(&b, "H%d", d.width-pictureRight)
	return b.String()
}

func (d picture) dot(b *strings.Builder, c Candidate, radius int, fill string) {
	fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="%d" fill="%s"><title>%s: %s, %s</title></circle>`,
		d.left(c.slowest()), d.top(c.Month), radius, fill, settingWords(c.Setting), c.Month, span(c.slowest()))
}

// label writes beside a point, on the side where there is room.
func (d picture) label(b *strings.Builder, c Candidate, text string) {
	x, anchor := d.left(c.slowest())+7, "start"
	if x > d.width*2/3 {
		x, anchor = x-14, "end"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s">%s</text>`, x, d.top(c.Month)-5, anchor, html.EscapeString(text))
}
