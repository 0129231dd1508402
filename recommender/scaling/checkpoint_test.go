package scaling

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"
)

func TestRestoredGoesOnAsTheOriginal(t *testing.T) {
	o := Options{Capacity: 40, Lead: 10 * time.Minute}
	a, b := New(o), New(o)
	rates := noisyDays(1500, 9)
	for i, r := range rates {
		if i%250 == 3 {
			data, err := a.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			b = New(o)
			if err := b.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
		}
		a.Add(int64(i)*window, r)
		b.Add(int64(i)*window, r)
		if x, y := a.Replicas(a.next()), b.Replicas(b.next()); i > 3 && x != y {
			t.Fatalf("window %d: %+v, restored %+v", i, x, y)
		}
	}
	x, _ := a.MarshalBinary()
	y, _ := b.MarshalBinary()
	if !bytes.Equal(x, y) {
		t.Error("the same track gives different bytes after a restore")
	}
}

func TestBrokenCheckpointChangesNothing(t *testing.T) {
	tr := New(Options{Capacity: 10})
	tr.Add(0, 5)
	good, _ := tr.MarshalBinary()
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:40], "long": append(bytes.Clone(good), 0), "other": []byte("TTXX123456789"),
		"bit": flipped(good, 100), "sum": flipped(good, len(good)-1), "version": flipped(good, len(magic)),
	} {
		if err := tr.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), "anew") {
			t.Errorf("%s: %v, want an error that says what to do", name, err)
		}
		if after, _ := tr.MarshalBinary(); !bytes.Equal(after, good) {
			t.Errorf("%s: the track has changed", name)
		}
	}
}

func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 8
	return b
}

func FuzzUnmarshal(f *testing.F) {
	tr := New(Options{Capacity: 10})
	for i := range 50 {
		tr.Add(int64(i)*window, float64(i%7))
	}
	seed, _ := tr.MarshalBinary()
	f.Add(seed, 3.)
	f.Add(seed[:30], 0.)
	f.Fuzz(func(t *testing.T, data []byte, rate float64) {
		if len(data) > 4 { // let the fuzzer past the sum
			data = binary.LittleEndian.AppendUint32(bytes.Clone(data[:len(data)-4]), crc32.ChecksumIEEE(data[:len(data)-4]))
		}
		tr := New(Options{Capacity: 10})
		if tr.UnmarshalBinary(data) != nil {
			return
		}
		for range 5 {
			tr.Add(tr.s.Last+window, rate)
			a := tr.Replicas(tr.s.Last + window)
			if a.Replicas < 1 || math.IsNaN(a.Forecast+a.High+a.Cost.Over) {
				t.Fatalf("%+v", a)
			}
		}
	})
}
