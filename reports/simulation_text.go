package reports

import (
	"fmt"
	"io"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// top is how many actions a summary names.
const top = 3

// SimulationText writes what a person should know of a simulation within a minute. Page is where the
// web page was written; empty: it was not.
func SimulationText(w io.Writer, m Simulation, page string) error {
	s, p := m.Summary(), &printer{}
	p.heading("SIMULATED fleet: "+s.Fleet, "nothing was measured in a cluster, nothing was changed")
	p.line("%s, observed from %s to %s", fleet.Count(s.Models, "model"), s.From.Format(time.DateOnly), s.To.Format(time.DateOnly))
	p.line("")
	p.field(0, "now", label, s.Now.String()+" a week")
	p.field(0, "after", label, s.After.String()+" a week, with every change made: "+outcome(s.Now, s.After))
	p.actions(s)
	p.line("")
	p.field(0, "GPU", label, s.GPU)
	p.field(0, "held", label, heldLine(s.Held))
	p.fields(0, "check", label, checkLines(s.Checks))
	for _, n := range s.Notes {
		p.field(0, "note", label, n)
	}
	if page != "" {
		p.field(0, "page", label, page)
	}
	return p.to(w)
}

func (p *printer) actions(s Summary) {
	for i, l := range s.Actions(top) {
		p.line("")
		p.heading(fmt.Sprintf("%d. %s", i+1, l.Ref), delta(l.Now, l.After, " a week"))
		p.field(3, "", 0, strings.Join(l.Moves, "; "))
		for _, why := range l.Why {
			p.field(3, "because ", 8, why)
		}
	}
	if rest := len(s.Actions(len(s.Lines))) - top; rest > 0 {
		p.line("")
		p.line("and %s more, all in the page and in the plan", fleet.Count(rest, "change"))
	}
}

func heldLine(all []Held) string {
	if len(all) == 0 {
		return "nothing"
	}
	names := make([]string, len(all))
	for i, h := range all {
		names[i] = fmt.Sprintf("%s (%s)", h.Ref.Name, h.Reason)
	}
	return strings.Join(names, ", ")
}

// checkLines tell how the new requests did in the week after the last change.
func checkLines(all []Check) []string {
	if len(all) == 0 {
		return []string{"no requests were changed"}
	}
	parts := make([]string, len(all))
	memoryOver, killed := 0, 0
	for i, k := range all {
		parts[i] = fmt.Sprintf("%s %s", k.Ref.Name, percent(k.share(k.CPUOver)))
		memoryOver, killed = memoryOver+k.MemoryOver, killed+k.OOM
	}
	return []string{
		"share of 5-minute windows of the week after the last change in which a pod used more CPU than it then requested: " + strings.Join(parts, ", "),
		fmt.Sprintf("%s with more memory than requested, %s for want of memory", times(memoryOver, "window"), times(killed, "kill")),
	}
}

// times is count, with "no" for none.
func times(n int, noun string) string {
	if n == 0 {
		return "no " + noun
	}
	return fleet.Count(n, noun)
}

func (k Check) share(over int) float64 {
	if k.Windows == 0 {
		return 0
	}
	return float64(over) / float64(k.Windows)
}
