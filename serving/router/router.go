// Package router is many models and versions behind one door: what the configuration says in text, which
// version a request gets (by name, rule or weight), chains of models, and loading, swapping and unloading
// models while requests run. A table says where requests go; it never changes but is replaced as a whole,
// when all that is new in it is loaded and proved, so that a bad configuration or a broken file leaves all
// as it was. The package knows no protocol and no metrics.
package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// DefaultKeep is how long a version that left the table stays loaded.
const DefaultKeep = 10 * time.Minute

// Options are what a router works with.
type Options struct {
	// Open makes a model of a file's content, which it may keep. It is called by one goroutine at a time.
	Open func(runtimeName, file string, data []byte) (runtime.Model, error)
	// Named says that a file's name is no file but something Open knows by itself; its data is nil then.
	// Nil: nothing is.
	Named func(file string) bool
	// Observe gives who hears of a version's requests; a version that is swapped in place asks again, and for
	// a while there are two. Nil: nobody.
	Observe   func(name, version string) engine.Observer
	Pool      *engine.Pool  // shared by all engines
	Instances int           // of versions whose settings say 0; below 1 is 1
	Profile   time.Duration // as engine.Config's
	Keep      time.Duration // of a version that left, for a rollback; 0: DefaultKeep; below 0: not at all
	Memory    int64         // bytes that models may hold before old versions are let go; 0: any. SetMemory changes it
	Log       *slog.Logger  // nil: none
}

// Router sends requests to models. It is safe for concurrent use; Pick never waits.
type Router struct {
	o       Options
	table   atomic.Pointer[table]
	loading atomic.Pointer[[]string] // names of models that are being loaded for the first time
	closing context.Context          // ends when engines have to close at once
	abandon context.CancelFunc
	gone    sync.WaitGroup // engines on their way out

	applying sync.Mutex // held while a table is made; taken before mu
	files    files      // guarded by applying

	mu        sync.Mutex // guards all below; it is never held for long
	old       []*retired // the latest last
	instances int
	memory    int64 // as Options.Memory
	draining  bool
	closed    bool
	faults    []error // of engines that were not closed
}

// New returns a router without a table: until the first Apply, every Pick is ErrLoading.
func New(o Options) *Router {
	o.Keep = cmp.Or(o.Keep, DefaultKeep)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Named == nil {
		o.Named = func(string) bool { return false }
	}
	r := &Router{o: o, instances: max(o.Instances, 1), memory: o.Memory, files: files{named: o.Named, seen: map[string]sight{}}}
	r.closing, r.abandon = context.WithCancel(context.Background())
	return r
}

// Pick chooses what answers a request: of the named model the named version, or one by rule and by weight
// where the version is empty; an empty name is the default. release must be called once, after the answer:
// until then the version stays loaded. Errors are ErrUnknownModel, ErrUnknownVersion, ErrNoRule and ErrLoading.
func (r *Router) Pick(name, version string, h Hint) (to Target, release func(), err error) {
	for {
		t := r.table.Load()
		if t == nil {
			return nil, nil, ErrLoading
		}
		e, c, err := t.find(name, version, h)
		switch {
		case err != nil:
			return nil, nil, r.unless(name, err)
		case c != nil:
			if run, ok := c.hold(h.Key); ok {
				return run, run.release, nil
			}
		case e.held.hold():
			return e, e.held.release, nil
		}
		// What was found was let go since: there is a newer table.
	}
}

// Known says why no request to a name and a version (empty: any) would be answered: ErrUnknownModel,
// ErrUnknownVersion or ErrLoading. It takes nobody's turn. Where a rule goes by the request, the name is known.
func (r *Router) Known(name, version string) error {
	if _, _, err := r.About(name, version); !errors.Is(err, ErrNoRule) {
		return err
	}
	return nil
}

// About is what Pick's target says of itself, without a turn taken for it: all versions that may answer, and
// what the newest takes and gives that has a share of the requests. Errors are Pick's.
func (r *Router) About(name, version string) (versions []string, meta runtime.Meta, err error) {
	t := r.table.Load()
	if t == nil {
		return nil, meta, ErrLoading
	}
	f, e, c, err := t.resolve(name, version, Hint{})
	switch {
	case err != nil:
		return nil, meta, r.unless(name, err)
	case c != nil:
		run := c.newest()
		_, version = run.About()
		return []string{version}, run.Meta(), nil
	case f != nil:
		return f.versions(), f.newest().meta, nil
	}
	return []string{e.Version}, e.meta, nil
}

// unless makes err ErrLoading for a model that is on its way.
func (r *Router) unless(name string, err error) error {
	if names := r.loading.Load(); names != nil && slices.Contains(*names, name) && errors.Is(err, ErrUnknownModel) {
		return fmt.Errorf("%w: %q", ErrLoading, name)
	}
	return err
}

// Ready reports whether there is a table.
func (r *Router) Ready() bool { return r.table.Load() != nil }

// Fields are the fields of a body that rules go by: they are no features. The slice must not be changed.
func (r *Router) Fields() []string {
	if t := r.table.Load(); t != nil {
		return t.fields
	}
	return nil
}

// Entries are all versions of all models, in the order of the configuration. The slice must not be changed,
// and an entry's engine may be closed when another table is in force.
func (r *Router) Entries() []*Entry {
	if t := r.table.Load(); t != nil {
		return t.entries
	}
	return nil
}

// Kind is what a name stands for.
type Kind string

// The kinds of names.
const (
	KindModel Kind = "model"
	KindChain Kind = "chain"
	KindAlias Kind = "alias"
)

// Listed is one name behind the door.
type Listed struct {
	Name     string
	Kind     Kind
	Versions []string // of a model, in the order of the configuration
	Old      []string // of a model: what stays loaded for a rollback
	Default  bool
}

// Models lists all names, by name.
func (r *Router) Models() []Listed {
	t := r.table.Load()
	if t == nil {
		return nil
	}
	var out []Listed
	for name, f := range t.models {
		l := Listed{Name: name, Kind: KindModel, Versions: f.versions(), Old: r.kept(name)}
		out = append(out, l)
	}
	for name := range t.chains {
		out = append(out, Listed{Name: name, Kind: KindChain})
	}
	for name := range t.rules {
		if t.models[name] == nil && t.chains[name] == nil {
			out = append(out, Listed{Name: name, Kind: KindAlias})
		}
	}
	for i := range out {
		out[i].Default = out[i].Name == t.fallback
	}
	slices.SortFunc(out, func(a, b Listed) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// SetInstances changes the instances of versions whose settings say 0: the CPU limit is another.
func (r *Router) SetInstances(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instances = max(n, 1)
	for _, e := range r.Entries() {
		e.held.engine.SetInstances(r.instancesOf(e.Settings))
	}
}

func (r *Router) instancesOf(s Settings) int {
	if s.Instances > 0 {
		return s.Instances
	}
	return r.instances
}

// Flush makes all models, and those loaded from now on, wait for nobody any more: the process drains.
func (r *Router) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.draining = true
	for _, e := range r.Entries() {
		e.Engine.Flush()
	}
}

// Close lets all models go and waits until their last requests are answered, at most until ctx ends. Every
// Pick is ErrLoading from then on. An Apply that runs is waited for.
func (r *Router) Close(ctx context.Context) error {
	r.shut()
	stop := context.AfterFunc(ctx, r.abandon)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.applying.Lock() // what it loaded for nothing is unloaded too
		defer r.applying.Unlock()
		r.gone.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("close models: %w", ctx.Err())
	}
	r.abandon()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.faults...)
}

// shut takes the table away and lets everything go.
func (r *Router) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.letGo(func(*retired) bool { return true })
	if t := r.table.Swap(nil); t != nil {
		for _, e := range t.entries {
			r.unload(e.held)
		}
	}
}

// unload gives up the router's hold on an engine, which closes after its last request. It is called with
// the lock held.
func (r *Router) unload(h *held) {
	h.unhold()
	r.gone.Go(func() {
		select {
		case <-h.idle:
		case <-r.closing.Done():
		}
		if err := h.engine.Close(r.closing); err != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.faults = append(r.faults, err)
			r.o.Log.Error("model was not closed", "model", h.name, "version", h.version, "err", err)
			return
		}
		r.o.Log.Info("model is unloaded", "model", h.name, "version", h.version, "digest", h.key.digest)
	})
}
