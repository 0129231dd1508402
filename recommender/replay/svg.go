package replay

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// Drawn is a series with the lines of several rules, to be drawn.
type Drawn struct {
	Series Series
	Lines  []DrawnLine
}

// DrawnLine is one rule's requests, at the series' samples.
type DrawnLine struct {
	Rule string
	Line []float64
}

// The size of a drawing and what of it is left for words, in pixels.
const (
	svgWidth, svgHeight                  = 960, 300
	svgLeft, svgRight, svgTop, svgBottom = 72, 16, 20, 40
)

// frame maps figures onto a drawing.
type frame struct {
	x0, x1, y0, y1 float64
	height         float64 // of the drawing, in pixels
}

func (f frame) x(v float64) float64 {
	return svgLeft + (v-f.x0)/(f.x1-f.x0)*(svgWidth-svgLeft-svgRight)
}

func (f frame) y(v float64) float64 {
	return f.height - svgBottom - (v-f.y0)/(f.y1-f.y0)*(f.height-svgTop-svgBottom)
}

// open writes the head of a drawing: what it shows in words, for those who do not see it.
func (f frame) open(b *strings.Builder, title, desc string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 %d %.0f" class="plot"><title>%s</title><desc>%s</desc>`,
		svgWidth, f.height, html.EscapeString(title), html.EscapeString(desc))
}

// across draws a line with its figure at each step of the upright axis.
func (f frame) across(b *strings.Builder, unit string) {
	for _, v := range ticksIn(f.y0, f.y1, unit) {
		y := f.y(v)
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			svgLeft, y, svgWidth-svgRight, svgLeft-6, y+4, html.EscapeString(Amount(v, unit)))
	}
}

// under writes a figure under the drawing, its middle at x unless it would leave the drawing.
func (f frame) under(b *strings.Builder, x float64, text string) {
	anchor := "middle"
	if x+letterWidth*float64(len(text))/2 > svgWidth {
		x, anchor = svgWidth, "end"
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="%s">%s</text>`, x, f.height-22, anchor, html.EscapeString(text))
}

// classOf is a rule's name as what a style sheet takes for a name: "risk-0.5" would be two classes.
func classOf(rule string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, rule)
}

// ticksIn are ticks that are round in what Amount writes: bytes in MiB or GiB.
func ticksIn(low, high float64, unit string) []float64 {
	scale := 1.0
	switch {
	case unit == Bytes && high >= 1<<30:
		scale = 1 << 30
	case unit == Bytes:
		scale = MiB
	}
	out := ticks(low/scale, high/scale)
	for i := range out {
		out[i] *= scale
	}
	return out
}

// ticks are three to eight round numbers from low to high.
func ticks(low, high float64) []float64 {
	if !(high > low) {
		return []float64{low}
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/3)))
	for _, by := range []float64{5, 2} {
		if (high-low)/(step*by) >= 3 {
			step *= by
			break
		}
	}
	var out []float64
	for k := math.Ceil(low / step); k*step <= high*(1+1e-9); k++ {
		out = append(out, k*step)
	}
	return out
}

// SVG is the drawing of a series: its use as a band from the least to the most of each column of pixels, and a
// line for each rule, in the class r-RULE of the page. Empty without samples.
func (d Drawn) SVG() string {
	n := len(d.Series.At)
	if n == 0 {
		return ""
	}
	f := frame{float64(d.Series.At[0]), float64(max(d.Series.At[n-1], d.Series.At[0]+1)), 0, d.most() * 1.05, svgHeight}
	var b strings.Builder
	f.open(&b, d.Series.ID+": use against each rule's request", d.words())
	f.across(&b, d.Series.Unit)
	f.dates(&b)
	b.WriteString(d.band(f))
	for _, l := range d.Lines {
		fmt.Fprintf(&b, `<path class="line r-%s" d="%s"><title>%s</title></path>`, classOf(l.Rule), d.path(f, l.Line), html.EscapeString(l.Rule))
	}
	b.WriteString("</svg>")
	return b.String()
}

func (d Drawn) words() string {
	return fmt.Sprintf("Mean use %s, most %s, over %.1f days; requests of %d rules as lines above it.",
		Amount(d.Series.Mean(), d.Series.Unit), Amount(maxOf(d.Series.Used), d.Series.Unit), days([]Series{d.Series}), len(d.Lines))
}

// most is the largest figure drawn, over 0.
func (d Drawn) most() float64 {
	most := max(maxOf(d.Series.Used), d.Series.Floor)
	for _, l := range d.Lines {
		most = max(most, maxOf(l.Line))
	}
	if most <= 0 {
		return 1
	}
	return most
}

// maxOf is the largest that is a number; 0 if none is above.
func maxOf(values []float64) float64 {
	most := 0.0
	for _, v := range values {
		if v > most {
			most = v
		}
	}
	return most
}

// dates writes days under the drawing, or hours where it spans less than three days.
func (f frame) dates(b *strings.Builder) {
	step, form := int64(day), "Jan 2"
	switch span := f.x1 - f.x0; {
	case span < 3*day:
		step, form = 6*3600, "Jan 2 15:04"
	case span > 8*day:
		step = int64(math.Ceil(span/day/8)) * day
	}
	for at := (int64(f.x0) + step - 1) / step * step; float64(at) <= f.x1; at += step {
		f.under(b, f.x(float64(at)), time.Unix(at, 0).UTC().Format(form))
	}
}

// gapColumns is how many columns of pixels without a sample leave a gap in the band.
const gapColumns = 3

// band is the use, in one piece for each stretch without a gap.
func (d Drawn) band(f frame) string {
	var pieces strings.Builder
	var up, down []string // along the top and, from left to right, along the bottom
	end := func() {
		slices.Reverse(down)
		pieces.WriteString("M" + strings.Join(append(up, down...), "L") + "Z")
		up, down = nil, nil
	}
	last := 0
	for i := 0; i < len(d.Series.At); {
		column := int(f.x(float64(d.Series.At[i])))
		if len(up) > 0 && column-last > gapColumns && d.Series.At[i]-d.Series.At[i-1] > gapColumns*int64(d.Series.Step()/time.Second) {
			end()
		}
		least, most := d.Series.Used[i], d.Series.Used[i]
		for ; i < len(d.Series.At) && int(f.x(float64(d.Series.At[i]))) == column; i++ {
			least, most = min(least, d.Series.Used[i]), max(most, d.Series.Used[i])
		}
		up = append(up, fmt.Sprintf("%d %.1f", column, f.y(most)))
		down = append(down, fmt.Sprintf("%d %.1f", column, f.y(least)))
		last = column
	}
	end()
	return `<path class="use" d="` + pieces.String() + `"/>`
}

// path is a rule's requests as steps, written where they change by half a pixel.
func (d Drawn) path(f frame, line []float64) string {
	var b strings.Builder
	drawing, last := false, 0.0
	for i, v := range line {
		x, y := f.x(float64(d.Series.At[i])), f.y(v)
		switch {
		case math.IsNaN(v):
			drawing = false
		case !drawing:
			fmt.Fprintf(&b, "M%.1f %.1f", x, y)
			drawing, last = true, y
		case math.Abs(y-last) >= 0.5:
			fmt.Fprintf(&b, "H%.1fV%.1f", x, y)
			last = y
		}
		if drawing && i == len(line)-1 {
			fmt.Fprintf(&b, "H%.1f", x)
		}
	}
	return b.String()
}
