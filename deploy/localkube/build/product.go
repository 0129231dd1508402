package build

import (
	"context"
	"fmt"
	"os"
)

// Product builds the two programs that go into images from the repository at root into out. Go's own
// cache decides what is compiled anew, so this is quick when nothing changed.
func Product(ctx context.Context, root, out string, p *Progress) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make the output folder: %w", err)
	}
	for _, name := range []string{"modelserver", "trimtab"} {
		t := target{name, name, "./cmd/" + name, "-s -w"}
		if err := t.compile(ctx, root, out, p); err != nil {
			return err
		}
	}
	return nil
}
