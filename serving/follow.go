package serving

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"
)

// follower puts settings in force as they change. It is for one goroutine.
type follower struct {
	server *Server
	source string // for the log
	read   func() ([]byte, error)

	inForce []byte   // content; nil: none yet
	fault   string   // why the last look failed; empty: it did not
	named   []string // keys that the log has named as ignored
}

// Follow puts the settings that read gives in force, at once and then, looking every so often, whenever
// they are others, until ctx ends. Settings that cannot be read or used leave those before in force, at
// the start those of the Config: a server that serves is worth more than one that waits for a file. Each
// such fault is logged and counted once. source names the file in the log. The function that Follow
// returns waits until it has ended; requests in the queue stay there through every change.
func (s *Server) Follow(ctx context.Context, source string, read func() ([]byte, error), every time.Duration) (wait func()) {
	f := &follower{server: s, source: source, read: read}
	f.look()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				f.look()
			}
		}
	}()
	return func() { <-done }
}

// look reads the settings once. It goes by content: a mounted ConfigMap changes by moving a link, and
// what its files say of their times is no guide.
func (f *follower) look() {
	data, err := f.read()
	if err != nil {
		f.fail(err)
		return
	}
	to, ignored, err := ParseSettings(data, f.server.cfg.Limits)
	if err != nil {
		f.fail(err)
		return
	}
	f.fault = ""
	if f.inForce != nil && bytes.Equal(data, f.inForce) {
		return
	}
	f.inForce = data
	f.mention(ignored)
	f.server.apply(to, f.source)
}

// fail keeps what is in force. A fault that lasts is told once.
func (f *follower) fail(err error) {
	if err.Error() == f.fault {
		return
	}
	f.fault = err.Error()
	f.server.metrics.configFailures.Inc()
	f.server.log.Error("settings stay as they were", "file", f.source, "err", strings.ReplaceAll(f.fault, "\n", "; "))
}

// mention names keys that do nothing here, each once.
func (f *follower) mention(keys []string) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return slices.Contains(f.named, k) })
	if len(keys) == 0 {
		return
	}
	f.named = append(f.named, keys...)
	f.server.log.Info("settings that this server has no use for are ignored", "file", f.source, "keys", strings.Join(keys, ", "))
}

// apply puts s in force, the queue first: who reads the generation may rely on it.
func (s *Server) apply(to Settings, source string) {
	s.engine.limit(to.Limits)
	s.metrics.configSince.Store(time.Now().UnixNano())
	s.metrics.generation.Set(float64(to.Generation))
	s.log.Info("settings are in force", "file", source, "generation", to.Generation,
		KeyBatchSize, to.Limits.MaxBatchSize, KeyMaxDelay, to.Limits.MaxQueueDelay.String())
}
