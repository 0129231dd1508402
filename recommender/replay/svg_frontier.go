package replay

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// scatterHeight is that of a scatter drawing, in pixels: names need more room than lines.
const scatterHeight = 460

// point is a rule in a scatter drawing.
type point struct {
	rule string
	x, y float64
}

// Frontier draws the rules by what they ask for and what they miss: nearer to the lower left corner is better.
// Pooled is request÷granted against unmet use over all samples, else means over series of it against over-request
// samples. Where a grant is unknown, the mean request stands in. Empty: no rule was exceeded, so there is nothing to tell apart.
func (c Comparison) Frontier(pooled bool) string {
	across, up := "request ÷ granted, mean over series", "samples above the request, %, mean over series (square-root axis)"
	if pooled {
		across, up = "request ÷ granted, pooled", "use above the request, % of all use (square-root axis)"
	}
	if !c.Granted {
		across = "request"
		if c.Unit == Cores {
			across += ", cores" // amounts of memory say their unit themselves
		}
	}
	var points []point
	for _, r := range c.Rows {
		points = append(points, c.point(r.Summary, pooled))
	}
	unit := Cores
	if !c.Granted {
		unit = c.Unit
	}
	return scatter(across, up, points, unit)
}

func (c Comparison) point(s Summary, pooled bool) point {
	p := point{s.Name, s.Mean.Ratio, 100 * s.Mean.Over}
	if pooled {
		p.x, p.y = s.Pooled.Ratio, 100*s.Pooled.Unmet
	}
	if !c.Granted {
		p.x = s.Request
	}
	return p
}

// scatter draws points on an upright axis of square roots: small shares are what rules differ by.
func scatter(across, up string, points []point, unit string) string {
	if !slices.ContainsFunc(points, func(p point) bool { return p.y > 0 }) {
		return ""
	}
	f := frame{height: scatterHeight}
	var words []string
	for _, p := range points {
		f.x1, f.y1 = max(f.x1, p.x*1.15), max(f.y1, math.Sqrt(p.y)*1.1)
		words = append(words, fmt.Sprintf("%s: %s, %s %%", p.rule, Amount(p.x, unit), short(p.y)))
	}
	f.x1 = max(f.x1, 1e-9)
	var b strings.Builder
	f.open(&b, up+" against "+across, strings.Join(words, "; "))
	f.roots(&b)
	for _, v := range ticksIn(0, f.x1, unit) {
		f.under(&b, f.x(v), Amount(v, unit))
	}
	fmt.Fprintf(&b, `<text x="%d" y="12">%s</text><text x="%d" y="%d" text-anchor="end">%s</text>`, svgLeft, html.EscapeString(up), svgWidth-svgRight, scatterHeight-4, html.EscapeString(across))
	f.dots(&b, points)
	b.WriteString("</svg>")
	return b.String()
}

// roots is the upright axis of square roots, in which lines stay far enough apart to be told.
func (f frame) roots(b *strings.Builder) {
	for _, v := range []float64{0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100} {
		if root := math.Sqrt(v); root <= f.y1 && (v == 0 || root >= f.y1/8) {
			fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
				svgLeft, f.y(root), svgWidth-svgRight, svgLeft-6, f.y(root)+4, short(v))
		}
	}
}

// box is where a label stands.
type box struct{ x, y, width float64 }

const labelHeight, letterWidth = 14, 8.2

func (a box) touches(o box) bool {
	return a.x < o.x+o.width && o.x < a.x+a.width && math.Abs(a.y-o.y) < labelHeight
}

// dots draws the points, each with its name where no other name stands.
func (f frame) dots(b *strings.Builder, points []point) {
	var taken []box
	for _, p := range points {
		x, y := f.x(p.x), f.y(math.Sqrt(p.y))
		taken = append(taken, box{x - 6, y, 12})
	}
	for _, p := range points {
		x, y := f.x(p.x), f.y(math.Sqrt(p.y))
		at := place(x, y, p.rule, taken)
		taken = append(taken, at)
		fmt.Fprintf(b, `<circle class="dot r-%s" cx="%.1f" cy="%.1f" r="5"><title>%s</title></circle><text class="name r-%s" x="%.1f" y="%.1f">%s</text>`,
			classOf(p.rule), x, y, html.EscapeString(p.rule), classOf(p.rule), at.x, at.y+4, html.EscapeString(p.rule))
	}
}

// place finds room for a name near a point: beside it, then further up and down; without any, where the fewest
// others stand.
func place(x, y float64, name string, taken []box) box {
	width := letterWidth * float64(len(name))
	best, fewest := box{x + 9, y, width}, math.MaxInt
	for _, away := range []float64{0, -14, 14, -28, 28, -42, 42, -56, 56, -70, 70, -84, 84} {
		for _, left := range []float64{x + 9, x - 9 - width, x - width/2} {
			b := box{left, y + away, width}
			if b.x < svgLeft || b.x+b.width > svgWidth || b.y <= svgTop || b.y >= scatterHeight-svgBottom {
				continue
			}
			if n := b.among(taken); n < fewest {
				best, fewest = b, n
			}
		}
	}
	return best
}

// among is how many of the taken it touches.
func (a box) among(taken []box) int {
	n := 0
	for _, t := range taken {
		if a.touches(t) {
			n++
		}
	}
	return n
}
