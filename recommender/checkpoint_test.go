package recommender

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// busy is a history of a few workloads with every kind of series, the newest slots still open.
func busy(t testing.TB, seed uint64) *History {
	h, r := NewHistory(), rand.New(rand.NewPCG(seed, 9))
	for at := noon.Add(-30 * time.Hour); !at.After(noon); at = at.Add(time.Duration(20+r.IntN(200)) * time.Second) {
		for _, name := range []string{"b", "a"} {
			for _, signal := range []fleet.Signal{fleet.CPU, fleet.Memory, fleet.Requests} {
				s := sample(signal, "p", at, r.ExpFloat64())
				s.Ref.Name, s.N = name, 1+r.IntN(5)
				feed(t, h, s)
			}
		}
	}
	return h
}

// TestRestoredHistoryIsTheSame: bytes, uses and every later answer.
func TestRestoredHistoryIsTheSame(t *testing.T) {
	for seed := range uint64(8) {
		h := busy(t, seed)
		data, err := h.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var back History
		if err := back.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		parts := NewHistory()
		for _, ref := range slices.Backward(h.Refs()) {
			if err := parts.Restore(h.Checkpoint(ref)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 20 {
			for name, other := range map[string]*History{"whole": &back, "in parts": parts} {
				if again, _ := other.MarshalBinary(); !slices.Equal(again, data) {
					t.Fatalf("seed %d, %s: other bytes after %d more samples", seed, name, i)
				}
				for _, ref := range h.Refs() {
					x, y := h.Use(ref, 12*time.Hour, noon, 0.9), other.Use(ref, 12*time.Hour, noon, 0.9)
					if !reflect.DeepEqual(x, y) {
						t.Fatalf("seed %d, %s: %+v\n%+v", seed, name, x, y)
					}
				}
			}
			s := sample(fleet.CPU, "p", noon.Add(time.Duration(i+1)*37*time.Second), float64(i))
			s.Ref.Name = "a"
			feed(t, h, s)
			feed(t, &back, s)
			feed(t, parts, s)
			data, _ = h.MarshalBinary()
		}
	}
}

// TestRestoredListsHaveNoRoom: three series take the room of three, as those that samples begin do.
func TestRestoredListsHaveNoRoom(t *testing.T) {
	h, back := busy(t, 1), NewHistory()
	data, _ := h.MarshalBinary()
	if err := back.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	for _, ref := range h.Refs() {
		if was, is := h.of(ref), back.of(ref); len(is) != 3 || cap(is) != cap(was) || cap(is) != 3 {
			t.Errorf("%s: room for %d, it was %d", ref, cap(is), cap(was))
		}
	}
}

func TestCheckpointOfNothing(t *testing.T) {
	h := NewHistory()
	if h.Checkpoint(ref) != nil {
		t.Error("an unknown workload has a checkpoint")
	}
	data, _ := h.MarshalBinary()
	if err := busy(t, 1).UnmarshalBinary(data); err != nil {
		t.Errorf("an empty history: %v", err)
	}
}

// TestRestoreRefuses every truncation and every flipped bit, and leaves the history as it was.
func TestRestoreRefuses(t *testing.T) {
	small := NewHistory()
	feed(t, small, sample(fleet.CPU, "a", noon.Add(-5*time.Minute), 0.1), sample(fleet.CPU, "a", noon, 0.2))
	data, _ := small.MarshalBinary()
	h := busy(t, 1)
	before, _ := h.MarshalBinary()
	for n := range data {
		if err := h.UnmarshalBinary(data[:n]); err == nil {
			t.Errorf("%d of %d bytes were restored", n, len(data))
		}
		for bit := range 8 {
			bad := slices.Clone(data)
			bad[n] ^= 1 << bit
			if err := h.Restore(bad); err == nil {
				t.Errorf("bit %d of byte %d was flipped and restored", bit, n)
			}
		}
	}
	longer := append(slices.Clone(data[:len(data)-crc32.Size]), 0)
	if err := h.Restore(binary.LittleEndian.AppendUint32(longer, crc32.ChecksumIEEE(longer))); err == nil {
		t.Error("a byte too many was restored")
	}
	future := slices.Clone(data)
	future[len(magic)] = version + 1
	if err := h.Restore(future); err == nil || errors.Is(err, errBroken) || !strings.Contains(err.Error(), fmt.Sprint("version ", version+1)) {
		t.Errorf("another version: %v", err)
	}
	if after, _ := h.MarshalBinary(); !slices.Equal(before, after) {
		t.Error("the history was changed")
	}
}

// bodyOf is what stands between header and checksum.
func bodyOf(checkpoint []byte) []byte { return checkpoint[len(magic)+1 : len(checkpoint)-crc32.Size] }

// FuzzRestore: whatever stands between header and checksum, of every version, it is refused or it is a history that
// works, and whose own bytes are read and come back the same.
func FuzzRestore(f *testing.F) {
	small := NewHistory()
	feed(f, small, sample(fleet.CPU, "a", noon.Add(-5*time.Minute), 0.1), sample(fleet.Requests, "a", noon, 0.2))
	data, _ := small.MarshalBinary()
	f.Add(byte(version), bodyOf(data))
	f.Add(byte(trackless), []byte{0})
	for _, of := range []byte{2, 3, 5} {
		data, err := os.ReadFile(fmt.Sprintf("testdata/history-%d.bin", of))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(of, bodyOf(data))
	}
	f.Fuzz(func(t *testing.T, of byte, body []byte) {
		whole := append(append([]byte(magic), of), body...)
		whole = binary.LittleEndian.AppendUint32(whole, crc32.ChecksumIEEE(whole))
		h := NewHistory()
		if err := h.UnmarshalBinary(whole); err != nil {
			if len(h.Refs()) != 0 {
				t.Fatal("a refused checkpoint left something")
			}
			return
		}
		readAgain(t, h)
		for _, ref := range h.Refs() {
			h.Use(ref, 24*time.Hour, noon, 0.95)
			for _, s := range slices.Clone(h.of(ref)) {
				later := sample(s.signal(), "a", time.Unix(0, s.newest).Add(26*time.Hour), 0.1) // what is there is joined
				later.Ref, later.Container = ref, s.container()
				_ = h.Add(later, later.At)
			}
		}
		readAgain(t, h)
	})
}

// readAgain fails unless the bytes of h are read, and come back the same.
func readAgain(t *testing.T, h *History) {
	t.Helper()
	first, _ := h.MarshalBinary()
	again := NewHistory()
	if err := again.UnmarshalBinary(first); err != nil {
		t.Fatalf("its own bytes are refused: %v", err)
	}
	if second, _ := again.MarshalBinary(); !slices.Equal(first, second) {
		t.Fatal("its own bytes come back different")
	}
}
