package recommender

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// A checkpoint is: magic, version, the workloads in order, and a CRC-32 of all before it.
// Numbers are varints, floats their bits in little endian, names length and bytes.
const (
	magic   = "TTHY"
	version = 6 // 1 had no tracks of CPU and memory, 2 had the past bucket by bucket, 3 no loads of requests, 4 all histograms, 5 the names of pods
)

// MarshalBinary is the whole history in a compact form; the same history gives the same bytes.
func (h *History) MarshalBinary() ([]byte, error) { return h.encode(h.Refs()), nil }

// Checkpoint is the history of one workload, in the same form; nil where nothing is known of it.
func (h *History) Checkpoint(ref fleet.Ref) []byte {
	if len(h.of(ref)) == 0 {
		return nil
	}
	return h.encode([]fleet.Ref{ref})
}

func (h *History) encode(refs []fleet.Ref) []byte {
	e := encoder(append([]byte(magic), version))
	e.count(len(refs))
	for _, ref := range refs {
		e.ref(ref)
		list := h.of(ref)
		e.count(len(list))
		for i := range list {
			e.series(&list[i])
		}
	}
	return binary.LittleEndian.AppendUint32(e, crc32.ChecksumIEEE(e))
}

type encoder []byte

func (e *encoder) count(n int)      { *e = binary.AppendUvarint(*e, uint64(n)) }
func (e *encoder) time(t int64)     { *e = binary.AppendVarint(*e, t) }
func (e *encoder) single(v float32) { *e = binary.LittleEndian.AppendUint32(*e, math.Float32bits(v)) }

func (e *encoder) name(s string) {
	e.count(len(s))
	*e = append(*e, s...)
}

func (e *encoder) ref(r fleet.Ref) {
	for _, name := range []string{r.Cluster, r.Namespace, r.Kind, r.Name} {
		e.name(name)
	}
}

// series writes times as differences to the one before, newest first, which keeps them short.
func (e *encoder) series(s *series) {
	e.name(s.container())
	e.name(string(s.signal()))
	e.time(s.newest)
	e.count(len(s.pods))
	for _, p := range s.pods {
		*e = binary.LittleEndian.AppendUint64(*e, uint64(p.pod))
		e.time(s.newest - p.at)
	}
	e.count(len(s.open))
	for _, r := range s.open {
		e.count(int(r.pod))
		e.time(s.newest - r.at)
		e.count(int(r.window))
		e.single(r.mean)
		e.single(r.peak)
		e.count(int(r.n))
	}
	e.name(string(s.past))
	if s.profile() != nil {
		text, _ := s.profile().AppendBinary(nil) // has no error
		e.name(string(text))
	}
	if s.memory() != nil {
		text, _ := s.memory().AppendBinary(nil) // has no error
		e.name(string(text))
	}
	if s.load() != nil {
		e.load(s.load())
	}
}
