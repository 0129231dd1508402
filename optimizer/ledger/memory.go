package ledger

import (
	"context"
	"sync"
	"time"

	"trimtab.dev/trimtab/optimizer"
)

// Memory is a ledger that ends with the process: for the simulated fleet, and for a daemon that only
// recommends and so has nothing that must outlive it. The zero value is empty and ready.
type Memory struct {
	mu   sync.Mutex
	book *Book
}

// Begin implements optimizer.Ledger.
func (m *Memory) Begin(_ context.Context, c optimizer.Change, at time.Time) (string, error) {
	defer m.mu.Unlock()
	return m.open().Begin(c, at)
}

// Note implements optimizer.Ledger.
func (m *Memory) Note(_ context.Context, id, detail string) error {
	defer m.mu.Unlock()
	return m.open().Note(id, detail)
}

// Finish implements optimizer.Ledger.
func (m *Memory) Finish(_ context.Context, id string, o optimizer.Outcome, detail string, at time.Time) error {
	defer m.mu.Unlock()
	return m.open().Finish(id, o, detail, at)
}

// Entries implements optimizer.Ledger.
func (m *Memory) Entries(context.Context) ([]optimizer.Entry, error) {
	defer m.mu.Unlock()
	return m.open().Entries(), nil
}

// open gives the book, locked.
func (m *Memory) open() *Book {
	m.mu.Lock()
	if m.book == nil {
		m.book = Open(nil, nil)
	}
	return m.book
}
