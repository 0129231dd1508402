package router

import (
	"slices"
	"time"
)

// retired is a version that left the table and stays loaded in case that it comes back.
type retired struct {
	*held
	timer *time.Timer
}

// retire keeps the engines that left the table, for each model the latest, and lets go of the rest. It is
// called with the lock held.
func (r *Router) retire(left []*held) {
	for _, h := range left {
		r.letGo(func(o *retired) bool { return o.name == h.name })
		if r.o.Keep < 0 || r.closed {
			r.unload(h)
			continue
		}
		o := &retired{held: h}
		o.timer = time.AfterFunc(r.o.Keep, func() { r.expire(o) })
		r.old = append(r.old, o)
	}
	r.fit(0)
}

func (r *Router) expire(o *retired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letGo(func(other *retired) bool { return other == o })
}

// letGo unloads the old versions that which says.
func (r *Router) letGo(which func(*retired) bool) {
	stay := r.old[:0]
	for _, o := range r.old {
		if !which(o) {
			stay = append(stay, o)
			continue
		}
		o.timer.Stop()
		r.unload(o.held)
	}
	clear(r.old[len(stay):])
	r.old = stay
}

// revive takes an old version back, nil when there is none of that name and content.
func (r *Router) revive(name, version string, key contentKey) *held {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, o := range r.old {
		if o.name == name && o.version == version && o.key == key {
			o.timer.Stop()
			r.old = slices.Delete(r.old, i, i+1)
			return o.held
		}
	}
	return nil
}

// SetMemory changes how many bytes models may hold before old versions are let go; 0: any.
func (r *Router) SetMemory(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.memory = bytes
	r.fit(0)
}

// makeRoom lets go of old versions when more bytes would be too many: before a version of the model name is
// loaded, so that not three of it are in memory at once. That model's old version goes first.
func (r *Router) makeRoom(name string, more int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over(more) {
		r.letGo(func(o *retired) bool { return o.name == name })
	}
	r.fit(more)
}

// fit lets go of all old versions when they and more bytes are too many. It is called with the lock held.
func (r *Router) fit(more int64) {
	if r.over(more) {
		r.letGo(func(*retired) bool { return true })
	}
}

func (r *Router) over(more int64) bool { return r.memory > 0 && r.bytes()+more > r.memory }

// kept are the old versions of a model.
func (r *Router) kept(name string) (versions []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.old {
		if o.name == name {
			versions = append(versions, o.version)
		}
	}
	return versions
}

// bytes is the memory of all models that are loaded and not on their way into a table.
func (r *Router) bytes() (sum int64) {
	for _, e := range r.Entries() {
		sum += e.held.bytes
	}
	for _, o := range r.old {
		sum += o.bytes
	}
	return sum
}
