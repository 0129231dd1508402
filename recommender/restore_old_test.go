package recommender

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// everyForm is a history in which every form of a past occurs: of one pod and of several, of samples a minute apart and
// further, kept with percentiles, without, and with after without.
func everyForm(t testing.TB) *History {
	h, both := busy(t, 5), ref
	both.Name = "a"
	noisy(t, h, 30*time.Hour)
	h.Follow(both, priced())
	for i := range 100 {
		if i == 50 {
			h.Follow(both, Options{})
			h.Follow(ref, priced())
		}
		at := noon.Add(time.Duration(2+i) * time.Minute)
		s := sample(fleet.CPU, "p", at, 0.1+float64(i%7)/10)
		s.Ref = both
		feed(t, h, s)
		minute(t, h, at, 0.3+float64(i%9)/10)
	}
	return h
}

// restored is what stands in the file of an older version.
func restored(t testing.TB, file string) *History {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := NewHistory()
	if err := h.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestCheckpointOfVersion5IsRead: a file that version 5 wrote of everyForm tells what everyForm tells, and goes on so.
func TestCheckpointOfVersion5IsRead(t *testing.T) {
	h, back, a := everyForm(t), restored(t, "testdata/history-5.bin"), ref
	a.Name = "a"
	back.Follow(a, Options{}) // as the next pass does: no sample of its memory tells that percentiles are read again
	for i := range 40 {
		at := noon.Add(time.Duration(102+i) * time.Minute)
		for _, of := range h.Refs() {
			for _, window := range []time.Duration{3 * time.Hour, 12 * time.Hour, 7 * 24 * time.Hour} {
				got, want := back.Use(of, window, at, 0.95), h.Use(of, window, at, 0.95)
				if len(want) == 0 || !reflect.DeepEqual(got, want) {
					t.Fatalf("%s, %s of %s:\n%+v, want\n%+v", at, window, of, got, want)
				}
			}
		}
		minute(t, h, at, 0.5)
		minute(t, back, at, 0.5)
	}
}

// TestCheckpointOfVersion4IsRead: its form is that of version 5, in which less was left out.
func TestCheckpointOfVersion4IsRead(t *testing.T) {
	data, err := os.ReadFile("testdata/history-5.bin")
	if err != nil {
		t.Fatal(err)
	}
	older, back := data[:len(data)-crc32.Size], NewHistory()
	older[len(magic)] = 4
	if err := back.UnmarshalBinary(binary.LittleEndian.AppendUint32(older, crc32.ChecksumIEEE(older))); err != nil {
		t.Fatal(err)
	}
	got, _ := back.MarshalBinary()
	if want, _ := restored(t, "testdata/history-5.bin").MarshalBinary(); !slices.Equal(got, want) {
		t.Error("other bytes")
	}
}

// TestSkewOfAnOldCheckpoint: of the 0.4 cores of up to eight pods in an hour nobody knows how many shared them, of those
// of two in a minute one does. The hottest used 300m.
func TestSkewOfAnOldCheckpoint(t *testing.T) {
	code := func(v float64) []byte { return binary.LittleEndian.AppendUint32(nil, decimalOf(v/0.001))[:3] }
	for _, c := range []struct {
		minutes, pods byte
		want          float64
	}{{1, 2, 0.2}, {60, 8, 0.3}, {1, 0, 0.3}} {
		written := []byte{c.minutes, 0, 0, 0, oldPods | oldTotal, c.minutes, c.pods}
		d := decoder{version: named}
		p := d.marked(slices.Concat(written, code(0.3), code(0.4)), 0.001)
		s := newSeries("c", fleet.CPU)
		s.past, s.newest = p, int64(time.Hour)
		got, ok := s.distribution(0)
		if d.broken || !ok || off(got.Mean, 0.3) > 1e-9 || off(got.Even, c.want) > 1e-9 || off(got.Total, 0.4) > 1e-9 {
			t.Errorf("%d minutes of %d pods: %+v, want %g on average", c.minutes, c.pods, got, c.want)
		}
	}
}

// TestRestoredWeights: a bucket that stands for 68 years is read, and one that stands for more is refused, whatever wrote
// it: what is restored can be written and read again.
func TestRestoredWeights(t *testing.T) {
	for of, past := range map[byte]func(weight uint32) []byte{
		bucketed: func(w uint32) []byte { return oldBucket(float32(w)) },
		named: func(w uint32) []byte {
			return append([]byte{1, 0, 0, 0, oldRates, 1}, append(binary.AppendUvarint(nil, uint64(w)), 1, 0, 0, 0)...)
		},
		version: func(w uint32) []byte {
			return append(append([]byte{1, 0, 0, 0, 0, 0, 0, ownRates, 0}, binary.AppendVarint(nil, int64(w)-aMinute)...), 0, 0)
		},
	} {
		for weight, taken := range map[uint32]bool{1: true, 1 << 31: true, 1<<31 + 256: false, 1<<32 - 1: false} {
			d := decoder{rest: past(weight), version: of}
			if of > bucketed {
				d.rest = append(binary.AppendUvarint(nil, uint64(len(d.rest))), d.rest...)
			}
			s := newSeries("c", fleet.Throttling)
			if of <= bucketed {
				s.past = d.buckets(&s)
			} else {
				s.past, _ = d.past(floorOf(s.signal()))
			}
			if d.broken == taken {
				t.Errorf("version %d: a weight of %d is refused: %v", of, weight, d.broken)
			}
		}
	}
}

// oldBucket is a past of one bucket as version 2 wrote it.
func oldBucket(weight float32) []byte {
	e := encoder{1}
	for range 5 {
		e.count(aMinute)
	}
	e.single(weight)
	return append(e, make([]byte, 4+8+8+1)...)
}

// TestJoinedWeights: two that stand for 68 years each are one that can be read.
func TestJoinedWeights(t *testing.T) {
	b := bucket{to: aMinute, span: aMinute, weight: mostWeight, samples: 1, pods: 1}
	p := past(nil).append(b, widths{}, 1)
	b.to += aMinute
	joined := p.append(b, widths{}, 1).coarsened(aDay, widths{}, 1)
	if all := joined.entries(nil, 1); len(all) != 1 || all[0].weight != mostWeight || all[0].span != 2*aMinute {
		t.Errorf("%+v", all)
	}
}
