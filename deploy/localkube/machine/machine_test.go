package machine

import (
	"os"
	"strings"
	"testing"
)

func TestEveryLackEndsWithARemedy(t *testing.T) {
	for _, line := range Missing(3) {
		if !strings.Contains(line, "use ") && !strings.Contains(line, "localkube deps") && !strings.Contains(line, "try ") {
			t.Errorf("no remedy in: %s", line)
		}
	}
}

func TestLevelNeedsRoot(t *testing.T) {
	if level, reason := Level(true); os.Geteuid() != 0 && level > 2 || reason == "" {
		t.Errorf("level %d for an ordinary user: %q", level, reason)
	}
}

func TestSize(t *testing.T) {
	if s := Size(); s.CPUs < 1 || s.Memory < 0 {
		t.Errorf("%+v", s)
	}
}
