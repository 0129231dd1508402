//go:build !linux

package main

import (
	"context"
	"time"
)

// pause reports whether at came before the end of ctx.
func pause(ctx context.Context, at time.Time) bool { return sleepUntil(ctx, at) }
