package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// small is limits that a few entries reach.
var small = limits{pages: 4, roll: 6 << 10, most: 12 << 10}

// twin is the ledger as a list, without pages or bounds.
type twin []optimizer.Entry

func (tw twin) at(id string) int {
	return slices.IndexFunc(tw, func(e optimizer.Entry) bool { return e.ID == id })
}

// without is the list without what a book has forgotten, each of which must have been expendable. Where the writer
// lived, no expendable one that was older is left.
func (tw twin) without(t *testing.T, b *Book, lived bool) twin {
	t.Helper()
	var out twin
	last := -1
	for i, e := range tw {
		if b.entries[e.ID] != nil {
			out = append(out, e)
			continue
		}
		if last = i; !tw.mayForget(i) {
			t.Fatalf("forgot %s (%q) of %s", e.ID, e.Outcome, e.Change.Ref)
		}
	}
	for i := range max(last, 0) {
		if lived && tw.mayForget(i) && out.at(tw[i].ID) >= 0 {
			t.Fatalf("forgot %s before %s, which is older", tw[last].ID, tw[i].ID)
		}
	}
	return out
}

// mayForget: it has ended, and if it was done, so was a later one of the workload.
func (tw twin) mayForget(i int) bool {
	switch tw[i].Outcome {
	case "":
		return false
	case optimizer.Done:
		return slices.ContainsFunc(tw[i+1:], func(e optimizer.Entry) bool {
			return e.Change.Ref == tw[i].Change.Ref && e.Change.Keeper == tw[i].Change.Keeper && e.Outcome == optimizer.Done
		})
	}
	return true
}

// step makes one operation at random on both and says in which words.
func (tw *twin) step(t *testing.T, d dice, b *Book, now time.Time) string {
	t.Helper()
	open := slices.DeleteFunc(slices.Clone(*tw), func(e optimizer.Entry) bool { return e.Outcome != "" })
	switch k := d.IntN(10); {
	case k < 5:
		return tw.begin(t, d, b, now)
	case k < 9 && len(open) > 0:
		i := tw.at(open[d.IntN(len(open))].ID)
		e := &(*tw)[i]
		e.Outcome, e.Ended, e.Detail = outcomes[d.IntN(3)], now, "ended"
		if err := b.Finish(e.ID, e.Outcome, e.Detail, now); err != nil {
			t.Fatal(err)
		}
		return "finish " + e.ID
	case len(*tw) > 0:
		e := &(*tw)[d.IntN(len(*tw))]
		e.Detail = strings.Repeat("x", d.IntN(200))
		if err := b.Note(e.ID, e.Detail); err != nil {
			t.Fatal(err)
		}
		return "note " + e.ID
	}
	return "nothing"
}

func (tw *twin) begin(t *testing.T, d dice, b *Book, now time.Time) string {
	c := typical(1 + d.IntN(4))
	c.Ref.Name = fmt.Sprintf("w%d", d.IntN(6))
	c.Keeper = []string{"", "", "managed"}[d.IntN(3)]
	busy := slices.ContainsFunc(*tw, func(e optimizer.Entry) bool { return e.Change.Ref == c.Ref && e.Outcome == "" })
	id, err := b.Begin(c, now)
	if busy != errors.Is(err, optimizer.ErrOpen) || !busy && err != nil {
		t.Fatalf("begin %s: %v, busy %v", c.Ref, err, busy)
	}
	if !busy {
		*tw = append(*tw, optimizer.Entry{ID: id, Change: Compact(c), Begun: now})
	}
	return "begin " + id
}

// TestBookAgainstTwin: whatever is done, wherever a writer dies and whatever the clock says, the book says what a plain
// list says, but for what it may forget, and keeps its bounds.
func TestBookAgainstTwin(t *testing.T) {
	forgotten, second := 0, 0
	for seed := range uint64(2) {
		d := dice{rand.New(rand.NewPCG(seed, 0))}
		var tw twin
		saved := disk{}
		var before Known
		for n := range 300 {
			now := noon.Add(time.Duration(n-d.IntN(4)) * time.Second) // it may go back
			b := open(saved, before, small)
			if before = b.Known(); b.Damage() != nil {
				t.Fatal(b.Damage())
			}
			before := slices.Clone(tw)
			what := tw.step(t, d, b, now)
			pages := b.Changed()
			for cut := range pages { // the writer dies
				before.recovers(t, saved.store(pages, cut), what)
				second++
			}
			saved = saved.store(pages, all)
			if i := slices.IndexFunc(pages, func(p Page) bool { return p.Name == pageName+"0" }); i >= 0 && i < len(pages)-1 {
				t.Fatalf("%s: the front page is not written last: %v", what, pages)
			}
			length := len(tw)
			tw = tw.without(t, b, true)
			forgotten += length - len(tw)
			if got := open(saved, nil, small).Entries(); !slices.EqualFunc(got, tw, equal) {
				t.Fatalf("seed %d, %s: the book has\n%v\nthe twin\n%v", seed, what, ids(got), ids(tw))
			}
			bounded(t, saved)
		}
	}
	if forgotten < 100 || second < 400 {
		t.Errorf("only %d entries were forgotten and %d writers died: the test is too weak", forgotten, second)
	}
}

func equal(a, b optimizer.Entry) bool { return reflect.DeepEqual(a, b) }

// recovers: what a dead writer leaves has everything that was there before, but for what may be forgotten; and the next
// intent clears away second copies.
func (tw twin) recovers(t *testing.T, left disk, what string) {
	t.Helper()
	b := open(left, nil, small)
	if got := b.Entries(); !slices.EqualFunc(got, tw.without(t, b, false), equal) {
		t.Fatalf("a writer died in %s: the book has\n%v\nthe twin\n%v", what, ids(got), ids(tw))
	}
	c := typical(1)
	c.Ref.Name = "another"
	if _, err := b.Begin(c, noon); err != nil {
		t.Fatal(err)
	}
	keys := map[string]int{}
	for name, texts := range left.store(b.Changed(), all) {
		for id := range texts {
			if keys[id]++; keys[id] > 1 {
				t.Fatalf("after %s key %s is on %s and on another page", what, id, name)
			}
		}
	}
}

// bounded: no page is larger than it may be, and only the front page may be larger than its usual size.
func bounded(t *testing.T, saved disk) {
	t.Helper()
	for name, texts := range saved {
		size := 0
		for id, text := range texts {
			size += len(id) + len(text)
		}
		const words = 200 + 20 // what notes and ends add to entries on it
		most := small.roll + words*len(texts)
		if name == pageName+"0" {
			most = small.most
		}
		if size > most {
			t.Fatalf("%s has %d bytes, more than %d", name, size, most)
		}
	}
	if len(saved) > small.pages {
		t.Fatalf("%d pages", len(saved))
	}
}
