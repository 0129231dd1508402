package managed

import (
	"context"
	"fmt"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/capacity"
)

// keeperName is whose ledger entries these are.
const keeperName = "managed"

// begin writes down a change before it is made and gives its key.
func (j *job) begin(ctx context.Context, r record, next capacity.State) (string, error) {
	if j.seen.Ref.Name == "" {
		return "", fmt.Errorf("%s was not seen yet", ref(j.server))
	}
	return j.ledger.Begin(ctx, j.change(r, next), j.now)
}

// finish closes an entry, unless it is closed already: a process may have ended right after that.
func (j *job) finish(ctx context.Context, id string, o optimizer.Outcome, detail string) error {
	if id == "" || !j.isOpen(id) {
		return nil
	}
	return j.ledger.Finish(ctx, id, o, detail, j.now)
}

func (p *pass) isOpen(id string) bool {
	for _, e := range p.open {
		if e.ID == id {
			return true
		}
	}
	return false
}

// unfinished are the keeper's own entries that are not closed.
func (k *Keeper) unfinished(ctx context.Context) ([]optimizer.Entry, error) {
	all, err := k.ledger.Entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	var out []optimizer.Entry
	for _, e := range all {
		if e.Outcome == "" && e.Change.Keeper == keeperName {
			out = append(out, e)
		}
	}
	return out, nil
}

// settle closes what no settings follow from: settings and the key of their entry are written at once,
// so that an entry which no record names was begun and never made.
func (p *pass) settle(ctx context.Context, of fleet.Ref, keep string, why string) error {
	for _, e := range p.open {
		if e.Change.Ref != of || e.ID == keep {
			continue
		}
		if err := p.ledger.Finish(ctx, e.ID, optimizer.Failed, why, p.now); err != nil {
			return fmt.Errorf("close %s: %w", e.ID, err)
		}
	}
	return nil
}
