// Package ledger remembers what Trimtab changed: the intent before a change, its outcome after.
// Memory is for the simulated fleet and for a daemon that only recommends and so has nothing that
// must outlive it.
package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// Memory is a ledger that ends with the process. The zero value is empty and ready.
type Memory struct {
	mu      sync.Mutex
	entries []optimizer.Entry
}

// Begin writes down the intent and gives its key; ErrOpen where the workload has an open entry.
func (m *Memory) Begin(_ context.Context, c optimizer.Change, at time.Time) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		if e.Change.Ref == c.Ref && e.Outcome == "" {
			return "", fmt.Errorf("%w: %s", optimizer.ErrOpen, e.ID)
		}
	}
	id := fmt.Sprintf("%s-%04d", at.UTC().Format("20060102t150405z"), len(m.entries)+1)
	m.entries = append(m.entries, optimizer.Entry{ID: id, Change: c, Begun: at})
	return id, nil
}

// Note replaces the words of an entry; an unknown key is an error.
func (m *Memory) Note(_ context.Context, id, detail string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.entries {
		if m.entries[i].ID == id {
			m.entries[i].Detail = detail
			return nil
		}
	}
	return fmt.Errorf("no entry %s in the ledger", id)
}

// Finish writes down how an intent ended; an unknown or already finished key is an error.
func (m *Memory) Finish(_ context.Context, id string, o optimizer.Outcome, detail string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.entries {
		if e := &m.entries[i]; e.ID == id && e.Outcome == "" {
			e.Outcome, e.Detail, e.Ended = o, detail, at
			return nil
		}
	}
	return fmt.Errorf("no open entry %s in the ledger", id)
}

// Entries gives everything, oldest first.
func (m *Memory) Entries(context.Context) ([]optimizer.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.entries), nil
}
