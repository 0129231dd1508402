package kube

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Whoever takes a line back this often within this time owns it by another rule, and is not fought.
const (
	mostReverts = 2
	fightWindow = time.Hour
)

// webhook is who changes an object while it is written: the API server does not say which one.
const webhook = "a mutating admission webhook"

// fights remembers who undid what this keeper wrote. It lives in memory: after a restart a fight is found
// again after as many rounds.
type fights struct {
	written map[string]map[string]string // what was last written, by object and line
	counted map[string]bool              // objects whose last write was seen undone
	reverts map[string][]revert          // by object, oldest first
}

// revert is one line taken back; no line: the object was deleted.
type revert struct {
	line, by string
	at       time.Time
}

// labelLine stands for the label that marks an object as kept.
const labelLine = "its label"

func newFights() *fights {
	return &fights{map[string]map[string]string{}, map[string]bool{}, map[string][]revert{}}
}

// wrote notes what an object is now, after a write of w that left diff.
func (f *fights) wrote(w wanted, diff []difference, now time.Time) {
	lines := map[string]string{}
	for line, q := range w.lines {
		lines[line] = q.String()
	}
	f.written[w.key()], f.counted[w.key()] = lines, false
	for _, d := range diff {
		f.reverts[w.key()] = append(f.reverts[w.key()], revert{d.line, webhook, now})
	}
}

// quarantined counts what was undone since the last write, once, and says who undoes a line too often for
// it to be written again; nothing where nobody does.
func (f *fights) quarantined(w wanted, live governed, diff []difference, now time.Time) string {
	key := w.key()
	past := slices.DeleteFunc(f.reverts[key], func(r revert) bool { return now.Sub(r.at) >= fightWindow })
	var lines []string
	for _, d := range diff {
		line, by, ok := f.undone(w, live, d)
		if ok && !f.counted[key] {
			past = append(past, revert{line, by, now})
		}
		lines = append(lines, line)
	}
	f.reverts[key], f.counted[key] = past, true
	for _, r := range past {
		var same []revert
		for _, o := range past {
			if o.line == r.line && o.by == r.by {
				same = append(same, o)
			}
		}
		if len(same) >= mostReverts && slices.Contains(lines, r.line) {
			return r.words(len(same))
		}
	}
	return ""
}

// undone tells who took back a line that this keeper wrote. A line whose document changed since is not
// taken back, nor is one that this keeper still owns.
func (f *fights) undone(w wanted, live governed, d difference) (line, by string, ok bool) {
	last, wrote := f.written[w.key()]
	someone := strings.Join(live.writers(), " or ")
	switch {
	case !live.found:
		return "", "", wrote
	case d.line == "":
		return labelLine, someone, wrote && !live.ours() // else the document was renamed
	case d.by != "" && live.ours():
		return d.line, d.by, !d.mine
	case d.by != "":
		someone = d.by
	}
	return d.line, someone, wrote && last[d.line] == d.asked && d.asked != ""
}

func (r revert) words(times int) string {
	what, who := r.line+" is left alone: ", r.by
	if r.line == "" {
		what = "it is left deleted: "
	}
	if who == "" {
		who = "another party"
	}
	return fmt.Sprintf("%s%s took it back %d times within an hour; agree on one owner, or change it there. Tried again at %s",
		what, who, times, r.at.Add(fightWindow).UTC().Format("15:04 UTC"))
}
