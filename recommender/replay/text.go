package replay

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Text writes comparisons as tables, rules as rows, each column explained below.
func Text(w io.Writer, all []Comparison) error {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintln(&b, c.about())
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, strings.Join(c.heads(), "\t")+"\t")
		for _, r := range c.Rows {
			fmt.Fprintln(t, strings.Join(c.cells(r), "\t")+"\t")
		}
		t.Flush() // a strings.Builder takes everything
		b.WriteString("\n")
	}
	b.WriteString(legend(all))
	_, err := io.WriteString(w, b.String())
	return err
}

// about is what was compared, in a line.
func (c Comparison) about() string {
	what, hour := "CPU", "core-hour"
	if c.Unit == Bytes {
		what, hour = "Memory", "GiB-hour"
	}
	text := fmt.Sprintf("%s: %d series over %.1f days", what, c.Series, c.Days)
	if c.Series > 1 {
		text += fmt.Sprintf(", in %d groups that move together", c.Clusters)
	}
	if short := c.Series - c.scored(); short > 0 {
		text += fmt.Sprintf("; %d too short to be scored", short)
	}
	if c.Price > 0 {
		text += fmt.Sprintf("; $%.4f a %s", float64(c.Price)/1e6, hour)
	}
	return text
}

// scored is how many series the figures are of, for the rule that has most.
func (c Comparison) scored() int {
	most := 0
	for _, r := range c.Rows {
		most = max(most, r.Summary.Series)
	}
	return most
}

// legend explains the columns that some of the tables have, a line for each.
func legend(all []Comparison) string {
	some := func(has func(Comparison) bool) bool { return slices.ContainsFunc(all, has) }
	var b strings.Builder
	for _, l := range []struct {
		shown bool
		text  string
	}{
		{true, "over: share of samples above the request, mean over series; unmet: use above the request, of all use, pooled."},
		{some(func(c Comparison) bool { return c.Clusters > 1 }), "[..]: 95 % interval, drawing whole groups of series that move together."},
		{some(func(c Comparison) bool { return c.Granted }), "req/granted: request by what was provisioned, as mean over series and pooled."},
		{true, "request, unused: what was asked for and what of it was not used, summed over series; slack: mean of 1 - use/request."},
		{true, "missed h: hours above the request; excess days: days with a sample above it."},
		{true, "resizes: changes of the request by more than 1 %, a week. The first three days are warm-up and not scored."},
		{some(func(c Comparison) bool { return c.Price > 0 }), "$ a week: the price of what was asked for."},
		{some(func(c Comparison) bool { return c.Node > 0 }), "node-h, contention: the series packed onto nodes by each rule's requests, which are drained where little is asked for,\n" +
			"and the minutes in which a node was full; moves: of a series to another node."},
	} {
		if l.shown {
			b.WriteString(l.text + "\n")
		}
	}
	return b.String()
}

// shown is a column of the table: whether it is shown is the same for all rows.
type shown struct {
	head string
	cell func(Row) string
}

// columns are those that the comparison has figures for.
func (c Comparison) columns() []shown {
	out := []shown{
		{"rule", func(r Row) string { return r.Summary.Name }},
		{"over %", func(r Row) string { return hundredths(r.Summary.Mean.Over) }},
	}
	if c.Clusters > 1 {
		out = append(out, shown{"[95 %]", func(r Row) string { return between(r.Summary.MeanLow.Over, r.Summary.MeanHigh.Over) }})
	}
	out = append(out, shown{"unmet %", func(r Row) string { return hundredths(r.Summary.Pooled.Unmet) }})
	if c.Granted {
		out = append(out,
			shown{"req/granted", func(r Row) string { return thousandths(r.Summary.Mean.Ratio) }},
			shown{"pooled", func(r Row) string { return thousandths(r.Summary.Pooled.Ratio) }})
	}
	of := "" // amounts of memory say their unit themselves
	if c.Unit == Cores {
		of = ", cores"
	}
	out = append(out,
		shown{"request" + of, func(r Row) string { return Amount(r.Summary.Request, c.Unit) }},
		shown{"unused" + of, func(r Row) string { return Amount(r.Summary.SlackUse, c.Unit) }},
		shown{"slack", func(r Row) string { return thousandths(r.Summary.Mean.Slack) }},
		shown{"excess days %", func(r Row) string { return hundredths(r.Summary.ExcessDays) }},
		shown{"missed h", func(r Row) string { return fmt.Sprintf("%.1f", r.Summary.MissedMinutes/60) }},
		shown{"resizes", func(r Row) string { return fmt.Sprintf("%.1f", r.Summary.Resizes) }})
	if c.Price > 0 {
		out = append(out, shown{"$ a week", func(r Row) string { return fmt.Sprintf("%.2f", float64(r.Summary.Cost)/1e6) }})
	}
	if c.Node > 0 {
		out = append(out,
			shown{"node-h", func(r Row) string { return fmt.Sprintf("%.0f", r.Scaled.NodeHours) }},
			shown{"contention min", func(r Row) string { return fmt.Sprintf("%.0f", r.Scaled.Contention) }},
			shown{"moves", func(r Row) string { return fmt.Sprint(r.Scaled.Moves) }})
	}
	return out
}

func (c Comparison) heads() []string {
	var out []string
	for _, col := range c.columns() {
		out = append(out, col.head)
	}
	return out
}

func (c Comparison) cells(r Row) []string {
	var out []string
	for _, col := range c.columns() {
		out = append(out, col.cell(r))
	}
	return out
}

func hundredths(share float64) string  { return fmt.Sprintf("%.2f", 100*share) }
func thousandths(share float64) string { return fmt.Sprintf("%.3f", share) }

func between(low, high float64) string { return hundredths(low) + "-" + hundredths(high) }

// Amount is a figure of a unit, short: 0.35, 12.5, 410 MiB, 3.2 GiB.
func Amount(v float64, unit string) string {
	if unit != Bytes {
		return short(v)
	}
	if v >= 1<<30 {
		return short(v/(1<<30)) + " GiB"
	}
	return short(v/MiB) + " MiB"
}

// short is three digits, and never an exponent.
//
//	0.01234 -> 0.0123   1.5 -> 1.5   123.4 -> 123
func short(v float64) string {
	digits := 3
	for limit := 1.0; v >= limit && digits > 0; limit *= 10 {
		digits--
	}
	if v > 0 && v < 0.1 {
		digits = 4
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
