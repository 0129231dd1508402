package reports

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// The columns of a history, in characters; the workload comes last and is as long as it is.
const (
	whenWidth  = len("2006-01-02 15:04") + 2
	idWidth    = len("20060102t150405-ffffff") + 2
	savesWidth = len("SAVES A MONTH")
)

// HistoryText writes what was changed, newest first: when, what of which workload, how it ended, what it saves a
// month, and how to take it back. Of is the workload that it is about, as NAMESPACE/NAME; empty: all of them.
func HistoryText(w io.Writer, entries []optimizer.Entry, of string) error {
	p := &printer{}
	title, none := "Trimtab history", "Trimtab has changed nothing yet."
	if of != "" {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e optimizer.Entry) bool { return nameOf(e) != of })
		title, none = title+" of "+of, "Trimtab has changed nothing of "+of+" yet."
	}
	if len(entries) == 0 {
		p.line("%s", none)
		return p.to(w)
	}
	p.line("%s: %s, newest first, times in UTC", title, fleet.Count(len(entries), "change"))
	p.line("")
	p.line("%-*s%-*s%*s  %s", whenWidth, "WHEN", idWidth, "ID", savesWidth, "SAVES A MONTH", "WORKLOAD")
	back := reverts(entries)
	for _, e := range slices.Backward(entries) {
		p.entry(e, back[e.ID])
	}
	if id, ok := revertible(entries, back); ok {
		p.line("")
		p.field(0, "", 0, "To take a change back: trimtab revert ID, such as trimtab revert "+id)
	}
	return p.to(w)
}

// nameOf is an entry's workload as people name it to the program.
func nameOf(e optimizer.Entry) string { return e.Change.Ref.Namespace + "/" + e.Change.Ref.Name }

func (p *printer) entry(e optimizer.Entry, back optimizer.Entry) {
	saving := brief(e.Change.Saving.Cents())
	if e.Outcome != "" && e.Outcome != optimizer.Done {
		saving = "-"
	}
	p.line("%-*s%-*s%*s  %s", whenWidth, minute(e.Begun), idWidth, e.ID, savesWidth, saving, e.Change.Ref)
	p.field(whenWidth, "", 0, e.Change.Words())
	p.field(whenWidth, "", 0, ending(e, back))
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// ending is how an entry stands, who wanted it, and what became of it later.
func ending(e, back optimizer.Entry) string {
	s := "under way"
	switch e.Outcome {
	case "":
	case optimizer.Moved:
		s = "not made"
	default:
		s = string(e.Outcome) + " at " + strings.TrimPrefix(minute(e.Ended), e.Begun.UTC().Format("2006-01-02 "))
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	switch c := e.Change; {
	case c.Reverts != "":
		s += "; takes back " + c.Reverts + " for " + cmp.Or(c.By, "nobody said")
	case c.By != "":
		s += "; approved by " + c.By
	}
	switch {
	case back.ID == "":
	case back.Outcome == "":
		s += "; is being taken back by " + back.ID
	default:
		s += "; taken back by " + back.ID
	}
	return s
}

// reverts is the newest entry that takes back another, or is about to, by the ID of that.
func reverts(entries []optimizer.Entry) map[string]optimizer.Entry {
	back := map[string]optimizer.Entry{}
	for _, e := range entries {
		if id := e.Change.Reverts; id != "" && (e.Outcome == "" || e.Outcome == optimizer.Done) {
			back[id] = e
		}
	}
	return back
}

// revertible is the newest change that can be taken back.
func revertible(entries []optimizer.Entry, back map[string]optimizer.Entry) (id string, ok bool) {
	for _, e := range slices.Backward(entries) {
		if e.Outcome == optimizer.Done && e.Change.Keeper == "" && e.Change.Reverts == "" && back[e.ID].ID == "" {
			return e.ID, true
		}
	}
	return "", false
}
