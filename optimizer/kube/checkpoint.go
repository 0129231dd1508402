package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// MaxCheckpoint is the most that Save writes, in compressed bytes: the ConfigMaps live in the
// cluster's own store, which is small and everyone's.
const MaxCheckpoint = 16 << 20

// ErrUnreadable marks what was read and not understood: a damaged part, or an index that is damaged or
// of another version. It reads the same the next time, and it may be all that is left: do not save over it.
var ErrUnreadable = errors.New("what is saved cannot be read by this daemon")

// Part is one piece of what the daemon remembers, such as the History of one namespace.
type Part struct {
	Name string // unique
	Data []byte
}

// Checkpoints keeps Parts in ConfigMaps of the daemon's namespace, so that they outlive the pod.
//
// Parts are compressed and cut into immutable ConfigMaps that are named by what is in them; an index
// ConfigMap lists those that make up the current set. A Save writes new pieces first, then the index,
// then removes what no index names, so that at every moment the index names a complete set, and a
// part that did not change is not written again. Only the leader may save.
type Checkpoints struct {
	maps  typedcorev1.ConfigMapInterface
	name  string
	chunk int // most bytes in a ConfigMap
}

// NewCheckpoints keeps parts in namespace under name, which begins the name of each ConfigMap.
func NewCheckpoints(client kubernetes.Interface, namespace, name string) *Checkpoints {
	return &Checkpoints{client.CoreV1().ConfigMaps(namespace), name, chunkSize}
}

// stored is what is in the namespace.
type stored struct {
	object *corev1.ConfigMap // the index; nil: none yet
	index  index
	chunks map[string][]byte // by ConfigMap name
}

// index is the set of parts that counts.
type index struct {
	Version    int     `json:"version"`
	Generation int64   `json:"generation"` // one more with each Save that changed anything
	Parts      []entry `json:"parts"`      // sorted by name
}

const (
	indexVersion = 1
	indexKey     = "index.json"
	chunkKey     = "chunk"
)

// Save makes parts the set that Load gives. When it fails, the set of before stands. It does not
// replace an index that it cannot read: ErrUnreadable.
func (c *Checkpoints) Save(ctx context.Context, parts []Part) error {
	entries, chunks, err := c.pack(parts)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	old, err := c.read(ctx)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	for _, ch := range chunks {
		if err := c.write(ctx, ch, old.chunks); err != nil {
			return fmt.Errorf("save checkpoint: %w", err)
		}
	}
	if err := c.flip(ctx, old, entries); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return c.sweep(ctx, old.chunks, entries)
}

// write makes one chunk's ConfigMap, unless it is there and sound.
func (c *Checkpoints) write(ctx context.Context, ch chunk, held map[string][]byte) error {
	if data, ok := held[ch.name]; ok {
		if c.chunkName(data) == ch.name {
			return nil
		}
		if err := c.remove(ctx, ch.name); err != nil { // immutable: damaged ones cannot be mended
			return err
		}
	}
	immutable := true
	m := &corev1.ConfigMap{ObjectMeta: c.meta(ch.name), Immutable: &immutable, BinaryData: map[string][]byte{chunkKey: ch.data}}
	if _, err := c.maps.Create(ctx, m, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create ConfigMap %s: %w", ch.name, err)
	}
	return nil
}

// flip makes entries the current set by one write. It conflicts with any other writer since old was read.
func (c *Checkpoints) flip(ctx context.Context, old stored, entries []entry) error {
	if old.index.Version == indexVersion && slices.EqualFunc(old.index.Parts, entries, entry.equal) {
		return nil
	}
	text, err := json.Marshal(index{indexVersion, old.index.Generation + 1, entries})
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	m := &corev1.ConfigMap{ObjectMeta: c.meta(c.name), Data: map[string]string{indexKey: string(text)}}
	if old.object == nil {
		_, err = c.maps.Create(ctx, m, metav1.CreateOptions{})
	} else {
		m.ResourceVersion = old.object.ResourceVersion
		_, err = c.maps.Update(ctx, m, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write index ConfigMap %s: %w", c.name, err)
	}
	return nil
}

// sweep removes the chunks that were there before and are in no part any more. Those that appeared
// since are left alone: another writer may be about to name them.
func (c *Checkpoints) sweep(ctx context.Context, held map[string][]byte, entries []entry) error {
	named := map[string]bool{}
	for _, e := range entries {
		for _, name := range e.Chunks {
			named[name] = true
		}
	}
	var faults []error
	for name := range held {
		if !named[name] {
			faults = append(faults, c.remove(ctx, name))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("checkpoint is saved, but remove its older pieces: %w", err)
	}
	return nil
}

func (c *Checkpoints) remove(ctx context.Context, name string) error {
	err := c.maps.Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete ConfigMap %s: %w", name, err)
	}
	return nil
}

// Load gives the parts of the current set, sorted by name; none were ever saved: nil. A damaged part
// is left out and named in the error, beside which the sound ones are still given. An error that is
// not ErrUnreadable tells nothing about what is saved: ask again.
func (c *Checkpoints) Load(ctx context.Context) ([]Part, error) {
	s, err := c.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("load checkpoint: %w", err)
	}
	var parts []Part
	var faults []error
	for _, e := range s.index.Parts {
		data, err := c.unpack(e, s.chunks)
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: load checkpoint part %q: %w", ErrUnreadable, e.Name, err))
			continue
		}
		parts = append(parts, Part{e.Name, data})
	}
	return parts, errors.Join(faults...)
}

// read lists everything at once, which is one consistent moment: a Save cannot come between the
// index and its chunks.
func (c *Checkpoints) read(ctx context.Context) (stored, error) {
	list, err := c.maps.List(ctx, metav1.ListOptions{LabelSelector: CheckpointLabel + "=" + c.name})
	if err != nil {
		return stored{}, fmt.Errorf("list ConfigMaps: %w", err)
	}
	s := stored{chunks: map[string][]byte{}}
	for i := range list.Items {
		if m := &list.Items[i]; m.Name == c.name {
			s.object = m
		} else {
			s.chunks[m.Name] = m.BinaryData[chunkKey]
		}
	}
	if s.object == nil {
		return s, nil
	}
	if err := json.Unmarshal([]byte(s.object.Data[indexKey]), &s.index); err != nil {
		return stored{}, fmt.Errorf("%w: index ConfigMap %s: %w", ErrUnreadable, c.name, err)
	}
	if v := s.index.Version; v != indexVersion {
		return stored{}, fmt.Errorf("%w: index ConfigMap %s is of version %d, this daemon knows %d", ErrUnreadable, c.name, v, indexVersion)
	}
	return s, nil
}

func (c *Checkpoints) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: map[string]string{CheckpointLabel: c.name}}
}
