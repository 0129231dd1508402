package cost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// readDiary reads what MarshalBinary wrote and nothing else.
func readDiary(b []byte) (*Diary, error) {
	head := len(diaryMagic) + 1
	if len(b) < head+crc32.Size || string(b[:len(diaryMagic)]) != diaryMagic {
		return nil, errors.New("it does not begin as one")
	}
	if v := b[len(diaryMagic)]; v != diaryVersion {
		return nil, fmt.Errorf("it is of version %d, this daemon knows %d", v, diaryVersion)
	}
	body := b[:len(b)-crc32.Size]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(b[len(body):]) {
		return nil, errors.New("its checksum is wrong")
	}
	r := diaryReader{rest: body[head:]}
	d := r.diary()
	if len(r.rest) > 0 {
		r.fail("%d bytes are left over", len(r.rest))
	}
	return d, r.err
}

// diaryReader reads on until the first fault; after it, every value is zero.
type diaryReader struct {
	rest []byte
	err  error
}

func (r *diaryReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *diaryReader) number() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail("a number is cut off")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count is how many things follow, each of which takes a byte at least.
func (r *diaryReader) count() int {
	n := r.number()
	if n < 0 || n > int64(len(r.rest)) {
		r.fail("%d things cannot follow in %d bytes", n, len(r.rest))
		return 0
	}
	return int(n)
}

func (r *diaryReader) text() string {
	n := r.count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// stretch reads one that begins at or after a time.
func (r *diaryReader) stretch(at int64) stretch {
	ahead, length := r.number(), r.number()
	if ahead < 0 || length <= 0 || ahead > math.MaxInt32<<8 || length > math.MaxInt32<<8 || at > math.MaxInt32<<9 {
		r.fail("a stretch of time is impossible")
		return stretch{}
	}
	return stretch{at + ahead, at + ahead + length}
}

func (r *diaryReader) diary() *Diary {
	d := &Diary{spells: map[fleet.Ref][]spell{}, last: r.number()}
	var names []string
	for range r.count() {
		names = append(names, r.text())
	}
	at := int64(0)
	for range r.count() {
		s := r.stretch(at)
		d.covered, at = append(d.covered, s), s.to
	}
	if at > d.last {
		r.fail("it covers what is after its newest pass")
	}
	for range r.count() {
		ref := fleet.Ref{Cluster: r.text(), Namespace: r.text(), Kind: r.text(), Name: r.text()}
		if _, twice := d.spells[ref]; twice {
			r.fail("%s is there twice", ref)
		}
		if d.spells[ref] = r.spells(names); len(d.spells[ref]) == 0 || len(without(stretches(d.spells[ref]), d.covered)) > 0 {
			r.fail("%s has no spells, or some in time that is not covered", ref)
		}
	}
	return d
}

func stretches(spells []spell) []stretch {
	out := make([]stretch, 0, len(spells))
	for _, s := range spells {
		out = append(out, s.stretch)
	}
	return out
}

func (r *diaryReader) spells(names []string) []spell {
	var out []spell
	at := int64(0)
	for range r.count() {
		s := spell{stretch: r.stretch(at)}
		at = s.to
		s.rate.Amount = Money(r.number())
		for range r.count() {
			i := r.number()
			if i < 0 || i >= int64(len(names)) {
				r.fail("a name of what has no price is missing")
				return nil
			}
			s.rate.Unpriced = append(s.rate.Unpriced, names[i])
		}
		out = append(out, s)
	}
	return out
}
