package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"trimtab.dev/trimtab/serving/batch"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/runtime"
)

// ErrTooLong is of a request with a dimension above max_sequence_length.
var ErrTooLong = errors.New("request is too long")

// Target is what answers a request: an *Entry or a chain.
type Target interface {
	// About is the name and the version, for answers and for metrics; a chain's version is those of its
	// models, with a + between.
	About() (name, version string)
	Meta() runtime.Meta
	// Room says whether a request would be taken now: nil, or why not.
	Room(rows int, class batch.Class, deadline time.Time) error
	Infer(ctx context.Context, r engine.Request) ([]runtime.Tensor, error)
}

// Entry is a version of a model under its settings. It never changes; other settings make another Entry of
// the same engine.
type Entry struct {
	Name, Version string
	File, Runtime string
	Digest        string // of the file, as "sha256:..."
	Weight        int64  // share of its model's requests
	Settings      Settings
	Engine        *engine.Engine
	Loaded        time.Time

	meta runtime.Meta
	held *held
}

// About is the model's name and the version.
func (e *Entry) About() (name, version string) { return e.Name, e.Version }

// Meta is the model's, with the features of the settings.
func (e *Entry) Meta() runtime.Meta { return e.meta }

// Room says whether the engine would take a request now: nil, or why not.
func (e *Entry) Room(rows int, class batch.Class, deadline time.Time) error {
	return e.Engine.Room(rows, class, deadline)
}

// Infer runs a request. Its error is ErrTooLong where a dimension is above max_sequence_length, else the
// engine's.
func (e *Entry) Infer(ctx context.Context, r engine.Request) ([]runtime.Tensor, error) {
	if err := e.bounded(r.Inputs); err != nil {
		return nil, err
	}
	return e.Engine.Infer(ctx, r)
}

// bounded holds the dynamic dimensions of a request to max_sequence_length.
func (e *Entry) bounded(in []runtime.Tensor) error {
	if e.Settings.MaxLength == 0 {
		return nil
	}
	for i, spec := range e.meta.Inputs {
		for d, length := range spec.Shape {
			if length < 0 && i < len(in) && d+1 < len(in[i].Shape) && in[i].Shape[d+1] > e.Settings.MaxLength {
				return fmt.Errorf("%w: input %q has shape %v; %s is %d", ErrTooLong, spec.Name, in[i].Shape, KeyMaxLength, e.Settings.MaxLength)
			}
		}
	}
	return nil
}

// held is an engine that lives as long as somebody holds it: the router from its load until it is let go,
// and each request on its way.
type held struct {
	name, version string
	key           contentKey
	engine        *engine.Engine
	bytes         int64
	loaded        time.Time

	holders atomic.Int64
	idle    chan struct{} // closed when nobody holds it any more
	release func()        // is unhold, made once
}

// contentKey says when two files are the same model.
type contentKey struct{ digest, runtime string }

func hold(e *engine.Engine, v VersionConfig, name string, key contentKey, at time.Time) *held {
	h := &held{name: name, version: v.Version, key: key, engine: e, bytes: e.Bytes(), loaded: at, idle: make(chan struct{})}
	h.release = h.unhold
	h.holders.Store(1)
	return h
}

// hold keeps the engine from being closed until unhold; false when it was let go already.
func (h *held) hold() bool {
	for {
		n := h.holders.Load()
		if n == 0 {
			return false
		}
		if h.holders.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (h *held) unhold() {
	if h.holders.Add(-1) == 0 {
		close(h.idle)
	}
}

// entry is the engine under v's settings.
func (h *held) entry(v VersionConfig) (*Entry, error) {
	e := &Entry{
		Name: h.name, Version: h.version, File: v.File, Runtime: v.Runtime, Digest: h.key.digest, Weight: v.Weight,
		Settings: v.Settings, Engine: h.engine, Loaded: h.loaded, meta: h.engine.Meta(), held: h,
	}
	if v.Features == nil {
		return e, nil
	}
	width, ok := 0, false
	if len(e.meta.Inputs) == 1 {
		width, ok = e.meta.Inputs[0].Width()
	}
	switch {
	case ok && width == len(v.Features):
		e.meta.Features = slices.Clone(v.Features)
	case !v.general:
		return nil, fmt.Errorf("%s has %d names; %s", KeyFeatures, len(v.Features), widths(e.meta))
	}
	return e, nil
}

func widths(m runtime.Meta) string {
	if len(m.Inputs) != 1 {
		return fmt.Sprintf("the model has %d inputs, whose values have no names", len(m.Inputs))
	}
	width, ok := m.Inputs[0].Width()
	if !ok {
		return "a row of the model has no fixed width"
	}
	return fmt.Sprintf("a row of the model has %d values", width)
}
