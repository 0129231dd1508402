package router

import (
	"bytes"
	"context"
	"reflect"
	"time"
)

// retryAfter is how often a configuration that could not be applied is tried again although nothing that it
// is made of looks different.
const retryAfter = time.Minute

// Following says what a router follows, and who is told.
type Following struct {
	Read     func() ([]byte, error)   // the configuration's text, such as ReadFile's; nil: there is none
	Standing func() (Standing, error) // asked at every look, for models of a directory may come and go
	Every    time.Duration            // between two looks
	Applied  func(Config, []string)   // a configuration is in force; with the keys that mean nothing
	Failed   func(error)              // one could not be read or applied; a fault that lasts is told once
	Mended   func()                   // a look found no fault after one that did
	Looked   func()                   // the first look is over
}

// Follow puts the configuration in force, at once and then, looking every so often, whenever it or a model
// file that it names is another, until ctx ends. One that cannot be read or used leaves the one before in
// force, at the start that of an empty text: a server that serves is worth more than one that waits for a
// file.
func (r *Router) Follow(ctx context.Context, f Following) {
	w := follower{r: r, f: f}
	w.look(ctx)
	if f.Looked != nil {
		f.Looked()
	}
	tick := time.NewTicker(f.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// follower is the state between two looks. It is for one goroutine.
type follower struct {
	r *Router
	f Following

	text     []byte // of the last look; nil: none yet
	standing Standing
	bad      error // why the two are no configuration

	wanted  Config // the last without a fault
	ignored []string
	has     bool      // there is one
	fresh   bool      // nobody tried to apply it yet
	pending bool      // it could not be applied
	tried   time.Time // when it was last

	unread, unapplied string // faults of the last look; empty: none
	faulty            bool   // the look before had one
}

func (w *follower) look(ctx context.Context) {
	w.tell(ctx, &w.unread, w.read())
	again := w.pending && time.Since(w.tried) >= retryAfter
	if w.has && (w.fresh || again || w.r.outdated(w.wanted)) {
		w.apply(ctx)
	}
	if was := w.faulty; was && w.unread == "" && w.unapplied == "" && w.f.Mended != nil {
		w.f.Mended()
	}
	w.faulty = w.unread != "" || w.unapplied != ""
}

// read finds out what is wanted. It goes by content: a mounted ConfigMap changes by moving a link, and what
// its files say of their times is no guide.
func (w *follower) read() error {
	standing, err := w.f.Standing()
	if err != nil {
		return err
	}
	text := []byte("{}")
	if w.f.Read != nil {
		if text, err = w.f.Read(); err != nil {
			w.alone(standing)
			return err
		}
	}
	if w.text != nil && bytes.Equal(text, w.text) && reflect.DeepEqual(standing, w.standing) {
		return w.bad
	}
	w.text, w.standing = append([]byte{}, text...), standing
	c, ignored, err := ParseConfig(text, standing)
	w.bad = err
	if err != nil {
		w.alone(standing)
		return err
	}
	w.want(c, ignored)
	return nil
}

func (w *follower) want(c Config, ignored []string) {
	w.wanted, w.ignored, w.has, w.fresh = c, ignored, true, true
}

// alone wants what the flags say, where nothing better was ever there.
func (w *follower) alone(standing Standing) {
	if w.has || len(standing.Models) == 0 {
		return
	}
	if c, _, err := ParseConfig([]byte("{}"), standing); err == nil {
		w.want(c, nil)
	}
}

func (w *follower) apply(ctx context.Context) {
	changed, err := w.r.apply(ctx, w.wanted)
	w.fresh, w.pending, w.tried = false, err != nil, time.Now()
	w.tell(ctx, &w.unapplied, err)
	if changed && w.f.Applied != nil {
		w.f.Applied(w.wanted, w.ignored)
	}
}

// tell tells a fault, once as long as it lasts.
func (w *follower) tell(ctx context.Context, last *string, err error) {
	if err == nil {
		*last = ""
		return
	}
	if err.Error() == *last || ctx.Err() != nil {
		return
	}
	*last = err.Error()
	if w.f.Failed != nil {
		w.f.Failed(err)
	}
}

// outdated reports whether a file of c may have another content than when it was last read.
func (r *Router) outdated(c Config) bool {
	r.applying.Lock()
	defer r.applying.Unlock()
	return r.files.changed(c)
}
