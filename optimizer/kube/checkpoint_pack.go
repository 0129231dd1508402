package kube

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
)

// chunkSize keeps a ConfigMap with its metadata below 900 KiB; the API server refuses more than 1 MiB.
const chunkSize = 880 << 10

// entry is one part in the index.
type entry struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"`   // bytes, before compression
	SHA256 string   `json:"sha256"` // of those bytes, in hex
	Chunks []string `json:"chunks"` // ConfigMaps, in order
}

func (e entry) equal(o entry) bool {
	return e.Name == o.Name && e.SHA256 == o.SHA256 && slices.Equal(e.Chunks, o.Chunks)
}

// chunk is a piece of a compressed part.
type chunk struct {
	name string
	data []byte
}

// pack compresses and cuts every part. The same parts give the same chunks.
func (c *Checkpoints) pack(parts []Part) ([]entry, []chunk, error) {
	parts = slices.SortedFunc(slices.Values(parts), func(a, b Part) int { return cmp.Compare(a.Name, b.Name) })
	entries := make([]entry, 0, len(parts))
	var chunks []chunk
	total := 0
	for i, p := range parts {
		if i > 0 && parts[i-1].Name == p.Name {
			return nil, nil, fmt.Errorf("two parts are called %q", p.Name)
		}
		e := entry{Name: p.Name, Size: int64(len(p.Data)), SHA256: digest(p.Data)}
		packed, err := compress(p.Data)
		if err != nil {
			return nil, nil, fmt.Errorf("compress part %q: %w", p.Name, err)
		}
		total += len(packed)
		for piece := range slices.Chunk(packed, c.chunk) {
			ch := chunk{c.chunkName(piece), piece}
			e.Chunks = append(e.Chunks, ch.name)
			chunks = append(chunks, ch)
		}
		entries = append(entries, e)
	}
	if total > MaxCheckpoint {
		return nil, nil, fmt.Errorf("%d bytes are more than the %d that may be kept in the cluster; keep less history, or use a volume", total, MaxCheckpoint)
	}
	return entries, distinct(chunks), nil
}

// distinct keeps the first of equal chunks: parts with the same content share them.
func distinct(chunks []chunk) []chunk {
	seen := map[string]bool{}
	return slices.DeleteFunc(chunks, func(c chunk) bool {
		again := seen[c.name]
		seen[c.name] = true
		return again
	})
}

// unpack puts a part together again and makes sure that it is what was saved.
func (c *Checkpoints) unpack(e entry, chunks map[string][]byte) ([]byte, error) {
	var packed []byte
	for _, name := range e.Chunks {
		piece, ok := chunks[name]
		if !ok {
			return nil, fmt.Errorf("ConfigMap %s is gone", name)
		}
		if c.chunkName(piece) != name {
			return nil, fmt.Errorf("ConfigMap %s was changed: its checksum does not match", name)
		}
		packed = append(packed, piece...)
	}
	data, err := decompress(packed, e.Size)
	if err != nil {
		return nil, err
	}
	if digest(data) != e.SHA256 {
		return nil, errors.New("its checksum does not match")
	}
	return data, nil
}

// chunkName is the name of the ConfigMap for a piece: 128 bits of its digest tell pieces apart.
func (c *Checkpoints) chunkName(piece []byte) string { return c.name + "-" + digest(piece)[:32] }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// decompress gives at most size bytes: what is longer is not what was saved.
func decompress(packed []byte, size int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return data, nil
}
