package router

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/engine"
)

// ErrClosed is of an Apply after Close.
var ErrClosed = errors.New("router is closed")

// Apply puts c in force. What is new in it is loaded and proved first, one model after the other; then the
// table is replaced at once. A version whose file has the content that it had goes on as it is, under its
// new settings; one with other content is swapped when the new engine is ready. On any fault nothing
// changes, and all faults are returned.
func (r *Router) Apply(ctx context.Context, c Config) error {
	_, err := r.apply(ctx, c)
	return err
}

// apply also says whether the table is another one.
func (r *Router) apply(ctx context.Context, c Config) (changed bool, err error) {
	if err := c.Check(); err != nil {
		return false, err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	if r.isClosed() {
		return false, ErrClosed
	}
	before := r.table.Load()
	r.announce(c, before)
	defer r.loading.Store(nil)
	s := staging{r: r, ctx: ctx, before: before}
	next, err := s.stage(c)
	if err == nil && before != nil && before.same(next) {
		return false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && r.closed {
		err = ErrClosed
	}
	if err != nil {
		s.undo()
		return false, err
	}
	r.enforce(before, next)
	r.table.Store(next)
	r.files.forget(c)
	r.retire(before.without(next))
	return true, nil
}

func (r *Router) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// announce names the models that were not there before.
func (r *Router) announce(c Config, before *table) {
	var names []string
	for _, m := range c.Models {
		if before == nil || before.models[m.Name] == nil {
			names = append(names, m.Name)
		}
	}
	r.loading.Store(&names)
}

// staging is a table on its way.
type staging struct {
	r      *Router
	ctx    context.Context
	before *table
	fresh  []*held // loaded for it
	back   []*held // taken from the old versions for it
}

// stage makes the table of c, or returns every fault.
func (s *staging) stage(c Config) (*table, error) {
	var entries []*Entry
	var faults []error
	for i, m := range c.Models {
		for j, v := range m.Versions {
			e, err := s.entry(m.Name, v)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s[%d].versions[%d] (%s %s): %w", KeyModels, i, j, m.Name, v.Version, err))
				continue
			}
			entries = append(entries, e)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	t, err := newTable(c, entries, s.before)
	if err := errors.Join(s.alike(c, entries), err); err != nil {
		return nil, err
	}
	return t, nil
}

// entry is the version as it runs, as it ran before, or loaded anew.
func (s *staging) entry(name string, v VersionConfig) (*Entry, error) {
	digest, data, err := s.r.files.digest(v.File)
	if err != nil {
		return nil, err
	}
	key := contentKey{digest, v.Runtime}
	old := s.running(name, v.Version)
	if old != nil && old.held.key == key {
		if e, err := old.held.entry(v); err != nil || !old.equal(e) {
			return e, err
		}
		return old, nil
	}
	if h := s.r.revive(name, v.Version, key); h != nil {
		s.back = append(s.back, h)
		return h.entry(v)
	}
	h, err := s.load(name, v, key, data)
	if err != nil {
		return nil, err
	}
	return h.entry(v)
}

func (s *staging) running(name, version string) *Entry {
	if s.before == nil || s.before.models[name] == nil {
		return nil
	}
	return s.before.models[name].version(version)
}

// load opens a file and starts its engine.
func (s *staging) load(name string, v VersionConfig, key contentKey, data []byte) (*held, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	begun := time.Now()
	if data == nil && !s.r.o.Named(v.File) { // the content is known, but its engine is gone
		var err error
		if data, err = s.r.files.read(v.File); err != nil {
			return nil, err
		}
		key.digest = digestOf(data)
	}
	s.r.makeRoom(name, s.bytes()+max(int64(len(data)), s.like(name)))
	m, err := s.r.o.Open(v.Runtime, v.File, data)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", v.File, err)
	}
	e, err := engine.New(m, s.r.engineConfig(name, v), s.r.o.Pool)
	if err != nil {
		return nil, err
	}
	h := hold(e, v, name, key, time.Now())
	s.fresh = append(s.fresh, h)
	s.r.o.Log.Info("model is loaded", "model", name, "version", v.Version, "digest", key.digest,
		"bytes", h.bytes, "took", time.Since(begun).Round(time.Millisecond).String())
	return h, nil
}

// bytes is the memory of what the table on its way has and none had before.
func (s *staging) bytes() (sum int64) {
	for _, h := range slices.Concat(s.fresh, s.back) {
		sum += h.bytes
	}
	return sum
}

// like is the memory of the largest version of the model that runs: another will not be much smaller.
func (s *staging) like(name string) (most int64) {
	if s.before == nil || s.before.models[name] == nil {
		return 0
	}
	for _, e := range s.before.models[name].entries {
		most = max(most, e.held.bytes)
	}
	return most
}

func (r *Router) engineConfig(name string, v VersionConfig) engine.Config {
	c := engine.Config{Name: name, Version: v.Version, Limits: v.Limits, Profile: r.o.Profile}
	if r.o.Observe != nil {
		c.Observer = r.o.Observe(name, v.Version)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Instances = r.instancesOf(v.Settings)
	return c
}

// undo unloads what was loaded for nothing, and puts the old versions back.
func (s *staging) undo() {
	for _, h := range s.fresh {
		s.r.unload(h)
	}
	s.r.retire(s.back)
}

// equal reports whether two entries of a version are the same in all that can be told anew.
func (e *Entry) equal(f *Entry) bool {
	return e.held == f.held && e.File == f.File && e.Weight == f.Weight && e.Settings.equal(f.Settings)
}

func (s Settings) equal(t Settings) bool {
	return s.Limits == t.Limits && s.Batching == t.Batching && s.Instances == t.Instances && s.MaxLength == t.MaxLength &&
		s.general == t.general && slices.Equal(s.Features, t.Features)
}

// same reports that next would change nothing.
func (t *table) same(next *table) bool {
	return slices.Equal(t.entries, next.entries) && reflect.DeepEqual(t.config, next.config)
}

// without are the engines of t that next has no more, those with the greatest weight last. t may be nil.
func (t *table) without(next *table) (left []*held) {
	if t == nil {
		return nil
	}
	stay := map[*held]bool{}
	for _, e := range next.entries {
		stay[e.held] = true
	}
	byWeight := slices.SortedStableFunc(slices.Values(t.entries), func(a, b *Entry) int { return cmp.Compare(a.Weight, b.Weight) })
	for _, e := range byWeight {
		if !stay[e.held] {
			left = append(left, e.held)
		}
	}
	return left
}

// enforce tells the engines of next the settings that are new to them.
func (r *Router) enforce(before, next *table) {
	for _, e := range next.entries {
		if before != nil && slices.Contains(before.entries, e) {
			continue
		}
		e.Engine.SetLimits(e.Settings.Limits)
		e.Engine.SetInstances(r.instancesOf(e.Settings))
		if r.draining {
			e.Engine.Flush()
		}
		if e.Settings.Features != nil && !slices.Equal(e.Settings.Features, e.meta.Features) {
			r.o.Log.Warn(KeyFeatures+" are ignored: the model has another number of values in a row", "model", e.Name,
				"version", e.Version, "columns", len(e.Settings.Features))
		}
	}
}
