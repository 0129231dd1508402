package ledger

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// disk is where pages are stored.
type disk map[string]map[string]string

// store keeps the first n of the changed pages: a writer that died behind them, or did not.
func (d disk) store(pages []Page, n int) disk {
	out := maps.Clone(d)
	for _, p := range pages[:min(n, len(pages))] {
		out[p.Name] = maps.Clone(p.Texts)
	}
	return out
}

const all = 1 << 20

func ids(entries []optimizer.Entry) []string {
	var out []string
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

// TestOneFrontPage: two writers that read the same book both want to write its front page, so one of them
// is refused and, reading again, finds the other's entry open.
func TestOneFrontPage(t *testing.T) {
	saved := disk{}
	for range 2 { // of an empty book, and of one that is there
		one, two := open(saved, nil, small), open(saved, nil, small)
		big := typical(6)
		if _, err := one.Begin(typical(3), noon); err != nil {
			t.Fatal(err)
		}
		if _, err := two.Begin(big, noon); err != nil {
			t.Fatal(err)
		}
		for _, b := range []*Book{one, two} {
			if pages := b.Changed(); len(pages) != 1 || pages[0].Name != "trimtab-ledger-0" {
				t.Fatalf("wrote %v", pages)
			}
		}
		next := open(saved.store(one.Changed(), all), nil, small)
		if _, err := next.Begin(big, noon); !errors.Is(err, optimizer.ErrOpen) || !strings.Contains(err.Error(), "20261121t113845-") {
			t.Errorf("begun twice: %v", err)
		}
		if err := one.Finish(one.Entries()[len(one.Entries())-1].ID, optimizer.Done, "", noon); err != nil {
			t.Fatal(err)
		}
		saved = saved.store(one.Changed(), all)
	}
}

// TestIDs: sortable, short, the same for the same change, and never given twice.
func TestIDs(t *testing.T) {
	none := func(string) bool { return false }
	c := Compact(typical(3))
	id, _ := newID(c, noon, none)
	if again, _ := newID(c, noon.In(time.FixedZone("", 3600)), none); again != id || !idForm.MatchString(id) || !strings.HasPrefix(id, "20261121t113845-") {
		t.Errorf("%s, then %s", id, again)
	}
	other, _ := newID(c, noon, func(s string) bool { return s == id })
	if other == id || !idForm.MatchString(other) {
		t.Errorf("%s was taken, %s given", id, other)
	}
	c.To.Replicas++
	if another, _ := newID(c, noon, none); another == id {
		t.Error("another change has the same ID")
	}
	if _, err := newID(c, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), none); err == nil {
		t.Error("the year 10000 has five digits")
	}
}

// TestFull: open entries are never forgotten to make room, nor is what newer pods are given.
func TestFull(t *testing.T) {
	for _, end := range []optimizer.Outcome{"", optimizer.Done} {
		b := open(nil, nil, small)
		var err error
		n := 0
		for ; err == nil && n < 1000; n++ {
			c := typical(3)
			c.Ref.Name = fmt.Sprintf("w%d", n)
			var id string
			if id, err = b.Begin(c, noon); err == nil && end != "" {
				err = b.Finish(id, end, "", noon)
			}
		}
		if err == nil || !strings.Contains(err.Error(), "the ledger is full") || len(b.Entries()) != n-1 {
			t.Errorf("ended %q: %d of %d entries, %v", end, len(b.Entries()), n, err)
		}
		if most := map[optimizer.Outcome]int{"": 11, optimizer.Done: 24}[end]; n-1 < most*8/10 || n-1 > most {
			t.Errorf("ended %q: %d entries", end, n-1) // 12 KiB in front, and 3 × 6 KiB behind, by 1.1 KiB
		}
	}
	c := typical(100) // 15 KiB
	if _, err := open(nil, nil, small).Begin(c, noon); err == nil || !strings.Contains(err.Error(), "the entry has 15") {
		t.Error(err)
	}
}

// TestBigEntryMovesAway: an entry larger than a page's usual size finds an empty one.
func TestBigEntryMovesAway(t *testing.T) {
	b := open(nil, nil, limits{pages: 4, roll: 6 << 10, most: 20 << 10})
	id, err := b.Begin(typical(60), noon) // 9 KiB
	if err == nil {
		err = b.Finish(id, optimizer.Done, "", noon)
	}
	c := typical(1)
	c.Ref.Name = "small"
	if _, again := b.Begin(c, noon); err != nil || again != nil {
		t.Fatal(err, again)
	}
	if b.where[id] != 1 || len(b.Entries()) != 2 {
		t.Errorf("it is on page %d of %d entries", b.where[id], len(b.Entries()))
	}
}

func TestDamageStopsIntentsOnly(t *testing.T) {
	b := Open(nil, nil)
	id, err := b.Begin(typical(3), noon)
	if err != nil {
		t.Fatal(err)
	}
	saved := disk{}.store(b.Changed(), all)
	saved["trimtab-ledger-0"]["20261121t113846-aaaaaa"] = "{"
	saved["trimtab-ledger-3"] = map[string]string{"notes": "mine"}
	saved["trimtab-ledger-16"], saved["trimtab-ledger-x"], saved["trimtab-ledger-01"] = nil, nil, nil
	b = Open(saved, nil)
	for _, want := range []string{
		"key 20261121t113846-aaaaaa of trimtab-ledger-0: unexpected EOF", "key notes of trimtab-ledger-3", "trimtab-ledger-16 is none of its 16 pages",
		"trimtab-ledger-x is none", "trimtab-ledger-01 is none",
	} {
		if !errors.Is(b.Damage(), ErrDamaged) || !strings.Contains(b.Damage().Error(), want) {
			t.Errorf("%v does not say %q", b.Damage(), want)
		}
	}
	c := typical(3)
	c.Ref.Name = "other"
	if _, err := b.Begin(c, noon); !errors.Is(err, ErrDamaged) || len(b.Changed()) > 0 {
		t.Errorf("begun on a damaged ledger: %v, wrote %v", err, b.Changed())
	}
	if err := errors.Join(b.Note(id, "half way"), b.Finish(id, optimizer.Failed, "no room", noon)); err != nil || len(b.Entries()) != 1 {
		t.Fatal(err)
	}
	saved = saved.store(b.Changed(), all)
	if saved["trimtab-ledger-0"]["20261121t113846-aaaaaa"] != "{" || saved["trimtab-ledger-3"]["notes"] != "mine" {
		t.Errorf("what could not be read was written over: %v", saved)
	}
	if got := Open(saved, nil).Entries(); len(got) != 1 || got[0].Outcome != optimizer.Failed {
		t.Errorf("%+v", got)
	}
}

func TestRefusals(t *testing.T) {
	b := Open(nil, nil)
	id, err := b.Begin(typical(3), noon)
	if err != nil {
		t.Fatal(err)
	}
	_, nameless := b.Begin(optimizer.Change{Ref: fleet.Ref{Namespace: "ml", Kind: "Deployment"}}, noon)
	for want, err := range map[string]error{
		"names no workload":                        nameless,
		"no entry 20261121t113845-000000":          b.Note("20261121t113845-000000", ""),
		"no entry x in the ledger":                 b.Finish("x", optimizer.Done, "", noon),
		`cannot end as "" at`:                      b.Finish(id, "", "", noon),
		`cannot end as "done" at 0001-01-01 00:00`: b.Finish(id, optimizer.Done, "", time.Time{}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := b.Finish(id, optimizer.Moved, "", noon); err != nil {
		t.Fatal(err)
	}
	if err := b.Finish(id, optimizer.Done, "", noon); err == nil || !strings.Contains(err.Error(), "is closed: moved") {
		t.Error(err)
	}
	b.changed = map[int]bool{}
	if err := errors.Join(b.Note(id, "x"), b.Note(id, "x")); err != nil || len(b.Changed()) != 1 {
		t.Fatal(err)
	}
	b.changed = map[int]bool{}
	if err := b.Note(id, "x"); err != nil || len(b.Changed()) != 0 {
		t.Errorf("the same words are written again: %v", err)
	}
}
