package ledger

import (
	"fmt"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// dropCopies removes what a writer left behind that died between storing an entry on another page and
// taking it from the front.
func (b *Book) dropCopies() {
	for id, n := range b.behind {
		b.pages[n].drop(id)
		b.changed[n] = true
	}
	clear(b.behind)
}

// makeRoom lets the front page take need bytes more. A full one is emptied by half, so that most
// intents are one write.
func (b *Book) makeRoom(need int) error {
	front := &b.pages[0]
	if front.size+need > b.limits.roll {
		all := b.sorted()
		queue := expendable(all)
		for _, e := range all {
			if front.size+need <= b.limits.roll/2 {
				break
			}
			if b.where[e.ID] == 0 && e.Outcome != "" && b.entries[e.ID] != nil {
				queue = b.move(e.ID, queue)
			}
		}
	}
	if front.size+need > b.limits.most {
		return fmt.Errorf("the ledger is full: the entry has %d bytes beside the %d of entries that are open or say what newer pods are given, and a page has room for %d; "+
			"remove the keys of workloads that are gone from the ConfigMaps %sN, once their entries have ended", need, front.size, b.limits.most, pageName)
	}
	return nil
}

// move puts a closed entry of the front page on the first page behind with room. While there is none it
// forgets those of queue, oldest first, and gives the rest of queue. With none left the entry stays.
func (b *Book) move(id string, queue []string) []string {
	text := b.pages[0].texts[id]
	for {
		if n, ok := b.room(len(id) + len(text)); ok {
			b.remove(0, id)
			b.put(n, id, text)
			b.where[id] = n
			return queue
		}
		if len(queue) == 0 {
			return nil
		}
		oldest := queue[0]
		queue = queue[1:]
		b.remove(b.where[oldest], oldest)
		delete(b.entries, oldest)
		delete(b.where, oldest)
		if oldest == id {
			return queue
		}
	}
}

func (b *Book) remove(n int, id string) {
	b.pages[n].drop(id)
	b.changed[n] = true
}

// room finds the first page behind the front that has it.
func (b *Book) room(need int) (int, bool) {
	for n := 1; n < len(b.pages); n++ {
		if p := b.pages[n]; p.size+need <= b.limits.roll || p.size == 0 && need <= b.limits.most {
			return n, true
		}
	}
	return 0, false
}

// expendable is the IDs, in the order of all, of what may be forgotten: closed entries, but for the newest
// of each workload and keeper that was done.
func expendable(all []*item) []string {
	type whose struct {
		ref    fleet.Ref
		keeper string
	}
	newest := map[whose]string{}
	for _, e := range all {
		if e.Outcome == optimizer.Done {
			newest[whose{e.Change.Ref, e.Change.Keeper}] = e.ID
		}
	}
	var out []string
	for _, e := range all {
		if e.Outcome != "" && newest[whose{e.Change.Ref, e.Change.Keeper}] != e.ID {
			out = append(out, e.ID)
		}
	}
	return out
}
