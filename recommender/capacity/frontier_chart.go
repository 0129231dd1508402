package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/cost"
)

// chart is what a drawing of a plan shows: latency from left to right in powers, money from bottom to top.
type chart struct {
	quick, slow time.Duration
	cheap, dear cost.Money
}

// chart is as wide as the frontier, the SLO and twice that, and as high as the frontier; what is in force is
// shown at the edge where it lies far outside, so that it does not press the rest together.
func (p Plan) chart() chart {
	c := chart{quick: min(p.SLO.Latency, p.Best.slowest()), slow: max(p.SLO.Latency, p.Best.slowest()), cheap: p.Best.Month, dear: p.Best.Month}
	for _, f := range p.Frontier {
		if f.Setting == p.Now.Setting {
			continue
		}
		c.quick, c.slow = min(c.quick, f.slowest()), max(c.slow, f.slowest())
		c.cheap, c.dear = min(c.cheap, f.Month), max(c.dear, f.Month)
	}
	c.cheap, c.dear = c.cheap-c.cheap/10, c.dear+c.dear/10
	c.quick, c.slow = max(c.quick, p.SLO.Latency/100), min(c.slow, 2*p.SLO.Latency)
	return c
}

// x is where a latency lies, from 0 to 1.
func (c chart) x(d time.Duration) float64 {
	if c.slow <= c.quick {
		return 0.5
	}
	at := math.Log(float64(max(d, 1))/float64(c.quick)) / math.Log(float64(c.slow)/float64(c.quick))
	return min(1, max(0, at))
}

// y is where an amount lies, from 0 (cheap) to 1.
func (c chart) y(m cost.Money) float64 {
	if c.dear <= c.cheap {
		return 0.5
	}
	return min(1, max(0, float64(m-c.cheap)/float64(c.dear-c.cheap)))
}

// canvas is a drawing of characters.
type canvas struct {
	chart
	rows [][]rune
}

func newCanvas(c chart, width, height int) canvas {
	rows := make([][]rune, height)
	for i := range rows {
		rows[i] = []rune(strings.Repeat(" ", width))
	}
	return canvas{c, rows}
}

func (c canvas) column(d time.Duration) int {
	return int(math.Round(c.x(d) * float64(len(c.rows[0])-1)))
}
func (c canvas) row(m cost.Money) int { return int(math.Round((1 - c.y(m)) * float64(len(c.rows)-1))) }

// mark puts a character where a candidate lies.
func (c canvas) mark(of Candidate, sign rune) {
	c.rows[c.row(of.Month)][c.column(of.slowest())] = sign
}

// steps draws what each latency costs: the cheapest that is as quick, until the next one is.
func (c canvas) steps(frontier []Candidate) {
	for i, f := range frontier {
		end := len(c.rows[0]) - 1
		if i+1 < len(frontier) {
			end = c.column(frontier[i+1].slowest())
		}
		for x := c.column(f.slowest()); x <= end; x++ {
			c.rows[c.row(f.Month)][x] = '-'
		}
	}
}

const (
	chartNarrowest = 40 // characters that a drawing has at least
	chartLowest    = 6  // lines
	axisWidth      = 12 // characters for amounts
)

// Curve draws what latency costs, the slack-for-cores curve, in lines of at most width characters: dollars a month against the
// latency of the SLO's percentile, in powers, with the replicas lost that may be lost. The chosen setting is *,
// what is in force is N, the SLO is a line. It is height lines high, and some for its legend. Empty where there is no frontier.
func (p Plan) Curve(width, height int) string {
	if len(p.Frontier) == 0 || p.SLO.Latency <= 0 {
		return ""
	}
	width, height = max(width, chartNarrowest), max(height, chartLowest)
	c := newCanvas(p.chart(), width-axisWidth, height)
	for i := range c.rows {
		c.rows[i][c.column(p.SLO.Latency)] = '|'
	}
	c.steps(p.Frontier)
	for _, f := range p.Frontier {
		c.mark(f, 'o')
	}
	c.mark(p.Now, 'N')
	c.mark(p.Best, '*')
	percentile := percentileName(p.SLO)
	out := []string{p.axis() + " a month against " + percentile}
	out = append(out, c.lines()...)
	out = append(out, c.scale(width-axisWidth))
	for _, line := range p.legend(percentile) {
		out = append(out, cut("  "+line, width))
	}
	return strings.Join(out, "\n") + "\n"
}

// axis names what amounts are.
func (p Plan) axis() string {
	if p.Proxy != "" {
		return "default rates, no bill:"
	}
	return "$"
}

// lines is the drawing with amounts beside the highest, the middle and the lowest line.
func (c canvas) lines() []string {
	var out []string
	last := len(c.rows) - 1
	for i, row := range c.rows {
		amount := ""
		if i == 0 || i == last || i == last/2 {
			amount = (c.dear - (c.dear-c.cheap)*cost.Money(i)/cost.Money(last)).String()
		}
		out = append(out, strings.TrimRight(fmt.Sprintf("%*s |%s", axisWidth-2, amount, string(row)), " "))
	}
	return out
}

// scale is the axis of latencies.
func (c canvas) scale(width int) string {
	left, right := span(c.quick), span(c.slow)
	middle := span(time.Duration(math.Sqrt(float64(c.quick) * float64(c.slow))))
	gap := width - len(left) - len(right) - len(middle)
	return strings.Repeat(" ", axisWidth-2) + "+" + strings.Repeat("-", width) + "\n" +
		strings.Repeat(" ", axisWidth-1) + left + strings.Repeat(" ", max(1, gap/2)) + middle + strings.Repeat(" ", max(1, gap-gap/2)) + right
}

func (p Plan) legend(percentile string) []string {
	words := func(c Candidate) string {
		return fmt.Sprintf("%s: %s, %s %s", settingWords(c.Setting), c.Month, percentile, span(c.slowest()))
	}
	out := []string{"* " + words(p.Best)}
	if p.Best.Setting != p.Now.Setting {
		line := "N now: " + words(p.Now)
		if p.Now.Month > p.chart().dear {
			line += " (dearer than is drawn)"
		}
		out = append(out, line)
	}
	return append(out, "| the SLO, "+span(p.SLO.Latency)+" at "+percentile)
}

// cut shortens a line to so many characters.
func cut(line string, width int) string {
	runes := []rune(line)
	if len(runes) <= width {
		return line
	}
	return string(runes[:width-3]) + "..."
}
