//go:build !amd64

package kernel

// best is the only level that other processors have.
func best() level { return portable }

// run computes the tile.
func (t *tile) run(level, int) { t.portable() }
