package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestReplayProgress: a line every 4 s is told of every 10 s, so after 12 and 24; a short replay not at all.
func TestReplayProgress(t *testing.T) {
	var said []string
	now := time.Unix(0, 0)
	p := replayProgress{of: 9, now: func() time.Time { return now }, say: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	for range 9 {
		p.one("krr")
		now = now.Add(4 * time.Second)
	}
	// The first line is done at 0 s, the fourth at 12 s.
	want := []string{"replayed 4 of 9 (a series by a rule, now krr)", "replayed 7 of 9 (a series by a rule, now krr)"}
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
}
