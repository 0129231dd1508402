package cost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// A saved diary is: magic, version, the newest pass, the names of what had no price, the covered
// stretches, the workloads in order with their spells, and a CRC-32 of all before it. Numbers are
// varints, times differences to the one before, names length and bytes.
const (
	diaryMagic   = "TTSD"
	diaryVersion = 1
)

// ErrDiary marks bytes that are no saved diary of this version.
var ErrDiary = errors.New("not a saved diary that this version can read")

// MarshalBinary is the whole diary in a compact form; the same diary gives the same bytes. It gives no error.
func (d *Diary) MarshalBinary() ([]byte, error) {
	names := d.unpriced()
	w := diaryWriter(append([]byte(diaryMagic), diaryVersion))
	w.number(d.last)
	w.number(int64(len(names)))
	for _, n := range names {
		w.text(n)
	}
	at := int64(0)
	w.number(int64(len(d.covered)))
	for _, s := range d.covered {
		at = w.stretch(s, at)
	}
	w.number(int64(len(d.spells)))
	for _, ref := range d.refs() {
		for _, part := range []string{ref.Cluster, ref.Namespace, ref.Kind, ref.Name} {
			w.text(part)
		}
		w.spells(d.spells[ref], names)
	}
	return binary.LittleEndian.AppendUint32(w, crc32.ChecksumIEEE(w)), nil
}

// unpriced is every name of what had no price, sorted.
func (d *Diary) unpriced() []string {
	seen := map[string]bool{}
	for _, spells := range d.spells {
		for _, s := range spells {
			for _, n := range s.rate.Unpriced {
				seen[n] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

type diaryWriter []byte

func (w *diaryWriter) number(n int64) { *w = binary.AppendVarint(*w, n) }

func (w *diaryWriter) text(s string) {
	w.number(int64(len(s)))
	*w = append(*w, s...)
}

// stretch writes s behind the time at and gives its end.
func (w *diaryWriter) stretch(s stretch, at int64) int64 {
	w.number(s.from - at)
	w.number(s.length())
	return s.to
}

func (w *diaryWriter) spells(all []spell, names []string) {
	at := int64(0)
	w.number(int64(len(all)))
	for _, s := range all {
		at = w.stretch(s.stretch, at)
		w.number(int64(s.rate.Amount))
		w.number(int64(len(s.rate.Unpriced)))
		for _, n := range s.rate.Unpriced {
			i, _ := slices.BinarySearch(names, n)
			w.number(int64(i))
		}
	}
}

// Restore takes up what a saved diary covers and d does not, so that nothing is counted twice,
// whoever saved it. With an error, which is ErrDiary, d is as it was.
func (d *Diary) Restore(saved []byte) error {
	o, err := readDiary(saved)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDiary, err)
	}
	missing := without(o.covered, d.covered)
	d.covered = merged(d.covered, missing)
	if d.spells == nil {
		d.spells = map[fleet.Ref][]spell{}
	}
	for _, ref := range o.refs() {
		add := clip(o.spells[ref], missing)
		if len(add) == 0 {
			continue
		}
		all := append(slices.Clone(d.spells[ref]), add...)
		slices.SortFunc(all, func(a, b spell) int { return int(a.from - b.from) })
		d.spells[ref] = all
	}
	d.last = max(d.last, o.last)
	return nil
}

// merged is two lists of stretches that do not overlap as one.
func merged(a, b []stretch) []stretch {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y stretch) int { return int(x.from - y.from) })
	var out []stretch
	for _, s := range all {
		out = appendStretch(out, s)
	}
	return out
}

// without is the part of all that no stretch of taken has; both ascend.
func without(all, taken []stretch) []stretch {
	var out []stretch
	for _, s := range all {
		for _, t := range taken {
			if t.to <= s.from || t.from >= s.to {
				continue
			}
			if t.from > s.from {
				out = append(out, stretch{s.from, t.from})
			}
			s.from = t.to
		}
		if s.length() > 0 {
			out = append(out, s)
		}
	}
	return out
}

func clip(spells []spell, to []stretch) []spell {
	var out []spell
	for _, s := range spells {
		for _, t := range to {
			if part := s.within(t); part.length() > 0 {
				out = append(out, spell{part, s.rate})
			}
		}
	}
	return out
}
