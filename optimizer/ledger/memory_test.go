package ledger_test

import (
	"context"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/ledger"
)

func TestMemory(t *testing.T) {
	var m ledger.Memory
	ctx, at := context.Background(), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	begin := func(name string) string {
		id, err := m.Begin(ctx, optimizer.Change{Ref: fleet.Deployment("ml", name)}, at)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	a, b := begin("a"), begin("b") // at the same moment, yet with keys of their own
	if a == b {
		t.Fatalf("two intents share the key %s", a)
	}
	if err := m.Finish(ctx, b, optimizer.Done, "", at.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if m.Finish(ctx, b, optimizer.Failed, "", at) == nil || m.Finish(ctx, "unknown", optimizer.Done, "", at) == nil {
		t.Error("an entry was finished twice, or one that does not exist")
	}
	entries, err := m.Entries(ctx)
	if err != nil || len(entries) != 2 || entries[0].ID != a || entries[0].Outcome != "" || entries[1].Outcome != optimizer.Done {
		t.Errorf("entries %+v, %v", entries, err)
	}
	entries[0].Outcome = optimizer.Failed
	if again, _ := m.Entries(ctx); again[0].Outcome != "" {
		t.Error("a reader changed the ledger")
	}
}
