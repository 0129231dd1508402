package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// ErrDamaged marks what is in the ledger and not understood. It reads the same the next time; a person
// has to look.
var ErrDamaged = errors.New("the ledger is damaged")

// pageName begins the name of every page, which ends with its number.
const pageName = "trimtab-ledger-"

// limits bound a Book, in pages and in bytes of keys and values.
type limits struct {
	pages int
	roll  int // a page that would have more is full
	most  int // what a page may have where one entry alone, or the open ones, need it; an API server takes 1 MiB
}

var usual = limits{pages: 16, roll: 256 << 10, most: 768 << 10}

// Page is a part of a Book, to be stored under its name.
type Page struct {
	Name  string
	Texts map[string]string // by key
}

// Book is the ledger as a value. It is read from its pages, one operation is made on it, and what
// Changed gives is stored. It is for one goroutine.
type Book struct {
	limits  limits
	pages   []page // by number; entries are begun on the front page, 0
	entries map[string]*item
	where   map[string]int // the page of each entry
	behind  map[string]int // the page of a second copy, which a writer left that died while it moved one
	known   Known
	damage  error
	changed map[int]bool
}

type page struct {
	texts map[string]string
	size  int // bytes of keys and values
}

// Known is entries that were read before, with their texts: what has not changed need not be read again.
type Known map[string]known

type known struct {
	text string
	item *item // which nobody changes
}

// Open reads a Book from its pages: keys and their texts by the name of the page. What cannot be read is
// in Damage. Before is what an earlier Book of the ledger knew, or nil.
func Open(pages map[string]map[string]string, before Known) *Book { return open(pages, before, usual) }

func open(pages map[string]map[string]string, before Known, l limits) *Book {
	b := &Book{
		known:  Known{},
		limits: l, pages: make([]page, l.pages), changed: map[int]bool{},
		entries: map[string]*item{}, where: map[string]int{}, behind: map[string]int{},
	}
	for n := range b.pages {
		b.pages[n].texts = map[string]string{}
	}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		n, err := strconv.Atoi(strings.TrimPrefix(name, pageName))
		if err != nil || n < 0 || n >= l.pages || name != pageName+strconv.Itoa(n) {
			faults = append(faults, fmt.Errorf("%w: %s is none of its %d pages", ErrDamaged, name, l.pages))
			continue
		}
		faults = append(faults, b.take(n, pages[name], before))
	}
	b.damage = errors.Join(faults...)
	return b
}

// take reads one page.
func (b *Book) take(n int, texts map[string]string, before Known) error {
	var faults []error
	for _, id := range slices.Sorted(maps.Keys(texts)) {
		b.pages[n].put(id, texts[id])
		k, err := before.read(id, texts[id])
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: key %s of %s%d: %w", ErrDamaged, id, pageName, n, err))
			continue
		}
		if front, twice := b.where[id]; twice {
			b.behind[id] = max(front, n) // of two copies, the one on the lower page counts
			if n > front {
				continue
			}
		}
		b.entries[id], b.where[id], b.known[id] = k.item, n, k
	}
	return errors.Join(faults...)
}

func (k Known) read(id, text string) (known, error) {
	if same, ok := k[id]; ok && same.text == text {
		return same, nil
	}
	i, err := decode(id, text)
	return known{text, &i}, err
}

func (p *page) put(key, text string) {
	p.drop(key)
	p.texts[key] = text
	p.size += len(key) + len(text)
}

func (p *page) drop(key string) {
	if text, ok := p.texts[key]; ok {
		p.size -= len(key) + len(text)
		delete(p.texts, key)
	}
}

// Damage is what could not be read, nil for nothing. It matches ErrDamaged.
func (b *Book) Damage() error { return b.damage }

// Known is what was read, for the next Open.
func (b *Book) Known() Known { return b.known }

// Entries gives what could be read, in the order in which it was begun.
func (b *Book) Entries() []optimizer.Entry {
	var out []optimizer.Entry
	for _, i := range b.sorted() {
		out = append(out, i.Entry)
	}
	return out
}

func (b *Book) sorted() []*item {
	return slices.SortedFunc(maps.Values(b.entries), func(x, y *item) int {
		return cmp.Or(cmp.Compare(x.number, y.number), cmp.Compare(x.ID, y.ID))
	})
}

// Changed gives the pages to store, in the order in which they must be: where only the first of them are,
// nothing is lost.
func (b *Book) Changed() []Page {
	var out []Page
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(b.changed))) {
		out = append(out, Page{pageName + strconv.Itoa(n), b.pages[n].texts})
	}
	return out
}

// Begin writes down an intent and gives its ID. ErrOpen: the workload has an open entry. While anything
// is damaged nothing is begun: it may be the entry that is open.
func (b *Book) Begin(c optimizer.Change, at time.Time) (string, error) {
	if b.damage != nil {
		return "", b.damage
	}
	if c.Ref.Namespace == "" || c.Ref.Kind == "" || c.Ref.Name == "" {
		return "", fmt.Errorf("the change names no workload: %q", c.Ref)
	}
	e := item{optimizer.Entry{Change: Compact(c), Begun: moment(at)}, 1}
	for _, other := range b.sorted() {
		if other.Change.Ref == c.Ref && other.Outcome == "" {
			return "", fmt.Errorf("%w: %s", optimizer.ErrOpen, other.ID)
		}
		e.number = other.number + 1
	}
	id, err := newID(e.Change, at, func(id string) bool { return b.entries[id] != nil })
	if err != nil {
		return "", err
	}
	e.ID = id
	return id, b.add(e)
}

func (b *Book) add(e item) error {
	text, err := encode(e)
	if err != nil {
		return err
	}
	b.dropCopies()
	if err := b.makeRoom(len(e.ID) + len(text)); err != nil {
		return err
	}
	b.entries[e.ID], b.where[e.ID] = &e, 0
	b.put(0, e.ID, text)
	return nil
}

// Note replaces the words on how an entry stands; an unknown ID is an error.
func (b *Book) Note(id, detail string) error {
	held, ok := b.entries[id]
	if !ok {
		return fmt.Errorf("no entry %s in the ledger", id)
	}
	e := *held
	if e.Detail == words(detail) {
		return nil
	}
	e.Detail = words(detail)
	return b.rewrite(e)
}

// Finish closes an open entry; a closed or unknown one is an error.
func (b *Book) Finish(id string, o optimizer.Outcome, detail string, at time.Time) error {
	held, ok := b.entries[id]
	if !ok {
		return fmt.Errorf("no entry %s in the ledger", id)
	}
	e := *held
	switch {
	case e.Outcome != "":
		return fmt.Errorf("entry %s is closed: %s", id, e.Outcome)
	case !slices.Contains(outcomes, o) || !inText(at):
		return fmt.Errorf("entry %s cannot end as %q at %s", id, o, at)
	}
	e.Outcome, e.Detail, e.Ended = o, words(detail), moment(at)
	return b.rewrite(e)
}

func (b *Book) rewrite(e item) error {
	text, err := encode(e)
	if err != nil {
		return err
	}
	b.entries[e.ID] = &e
	b.put(b.where[e.ID], e.ID, text)
	return nil
}

func (b *Book) put(n int, id, text string) {
	b.pages[n].put(id, text)
	b.changed[n] = true
}
