package serving

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/serving/router"
)

// errNothing means that neither the settings nor the flags name a model that could be loaded.
var errNothing = errors.New("no model could be loaded")

// follow loads the models of src, tells looked whether there is anything to serve, and follows src and the
// machine's limits until ctx ends. looked must have room for one.
func (s *Server) follow(ctx context.Context, src Source, looked chan<- error) {
	limits := (&machine{server: s, root: os.DirFS("/")}).follow(ctx)
	defer limits()
	begun := time.Now()
	first := &firstLook{}
	s.router.Follow(ctx, router.Following{
		Read: src.Read, Standing: src.Standing, Every: src.Every,
		Applied: func(c router.Config, ignored []string) { s.inForce(src, c, ignored) },
		Failed: func(err error) {
			first.failed(err)
			s.stays(src, err)
		},
		Mended: func() {
			s.metrics.configGood.Set(1)
			s.log.Info("settings are as the file says again", "file", src.Name)
		},
		Looked: func() {
			looked <- first.over(ctx, s.router.Ready())
			s.logReady(time.Since(begun))
			debug.FreeOSMemory() // what loading left behind is many times what a small model holds
		},
	})
}

// firstLook gathers the faults of the first look.
type firstLook struct {
	faults []error
	done   bool
}

func (f *firstLook) failed(err error) {
	if !f.done {
		f.faults = append(f.faults, err)
	}
}

// over is what is told of the look: nil when something is ready, or when nobody wants it any more.
func (f *firstLook) over(ctx context.Context, ready bool) error {
	f.done = true
	if ready || ctx.Err() != nil {
		return nil
	}
	return errors.Join(append([]error{errNothing}, f.faults...)...)
}

func (s *Server) logReady(took time.Duration) {
	for _, e := range s.router.Entries() {
		s.log.Info("ready", "model", e.Name, "version", e.Version, "platform", e.Meta().Platform, "took", took.Round(time.Millisecond).String())
	}
}

// inForce tells that a configuration is in force; who reads the generation may rely on it.
func (s *Server) inForce(src Source, c router.Config, ignored []string) {
	s.metrics.keepOnly(s.current())
	var models []string
	for _, e := range s.router.Entries() {
		models = append(models, e.Name+"/"+e.Version)
		if m := e.Meta(); m.Measure != "" {
			s.metrics.accuracy.WithLabelValues(e.Version).Set(m.Accuracy)
		}
	}
	s.metrics.configSince.Store(time.Now().UnixNano())
	s.metrics.configGood.Set(1)
	s.metrics.generation.Set(float64(c.Generation))
	if len(ignored) > 0 {
		s.log.Info("settings that this server has no use for are ignored", "file", src.Name, "keys", strings.Join(ignored, ", "))
	}
	s.log.Info("settings are in force", "file", src.Name, "generation", c.Generation, "models", strings.Join(models, " "))
}

// stays tells that a configuration could not be used: the one before stays in force.
func (s *Server) stays(src Source, err error) {
	s.metrics.configFailures.Inc()
	s.metrics.configGood.Set(0)
	if !s.router.Ready() {
		s.log.Error("settings cannot be used, and there are none from before", "file", src.Name, "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	s.log.Error("settings stay as they were", "file", src.Name, "err", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// current says which labels stay: those of the flags, of versions in the table or kept for a rollback, and of
// chains of such versions.
func (s *Server) current() func(labels) bool {
	stay, versions, chains := map[labels]bool{{s.cfg.Name, s.cfg.Version}: true}, []string{}, map[string]bool{}
	for _, m := range s.router.Models() {
		chains[m.Name] = m.Kind == router.KindChain
		for _, v := range slices.Concat(m.Versions, m.Old) {
			stay[labels{m.Name, v}] = true
			versions = append(versions, v)
		}
	}
	return func(l labels) bool { return stay[l] || chains[l.model] && joined(l.version, versions) }
}

// joined reports whether text is one of the parts, or several with a + between. A part may have one in it.
func joined(text string, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool {
		rest, more := strings.CutPrefix(text, p+"+")
		return text == p || more && joined(rest, parts)
	})
}
