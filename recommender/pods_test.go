package recommender

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// full is a history with a reading each, at noon, of as many pods as are told apart.
func full(t *testing.T) *History {
	h := NewHistory()
	feed(t, h, sample(fleet.CPU, "a", noon, 0.1))
	s := &h.of(ref)[0]
	first := s.open[0]
	s.pods, s.open = make([]seen, mostPods), make([]reading, mostPods)
	for i := range s.pods {
		s.pods[i], s.open[i] = seen{pod: podID(i), at: first.at}, first
		s.open[i].pod = uint16(i)
	}
	return h
}

// TestPodsMakeRoom: a pod more than are told apart is refused, and nothing else is done; two hours later it is taken.
// Of those that were there an open slot of a day keeps one.
func TestPodsMakeRoom(t *testing.T) {
	h := full(t)
	s := &h.of(ref)[0]
	s.open[7].window = uint32(24 * time.Hour / time.Millisecond)
	before, _ := h.MarshalBinary()
	for _, later := range []time.Duration{time.Second, 59 * time.Minute} {
		more := sample(fleet.CPU, "b", noon.Add(later), 0.1)
		if err := h.Add(more, more.At); err == nil || !strings.Contains(err.Error(), "65536 pods") {
			t.Errorf("%s later: %v", later, err)
		}
	}
	if after, _ := h.MarshalBinary(); !slices.Equal(before, after) {
		t.Error("a refused sample changed the history")
	}
	feed(t, h, sample(fleet.CPU, "b", noon.Add(2*time.Hour), 0.1))
	if len(s.pods) != 2 || s.pods[0].pod != 7 || s.pods[1].pod != idOf("b") || len(s.open) != 2 || s.open[0].pod != 0 || s.open[1].pod != 1 {
		t.Errorf("%d pods %+v, %d readings %+v", len(s.pods), s.pods[:min(3, len(s.pods))], len(s.open), s.open[:min(3, len(s.open))])
	}
	d, _ := h.Distribution(ref, "model-server", fleet.CPU, 3*time.Hour, noon.Add(2*time.Hour))
	if d.Samples != mostPods+1 || d.Pods != mostPods-1 {
		t.Errorf("%+v", d)
	}
}

// manyPods is a checkpoint of an older version with a reading each of so many pods, the later the newer by a second.
func manyPods(of byte, pods int) []byte {
	e := encoder(append([]byte(magic), of))
	e.count(1)
	e.ref(ref)
	e.count(1)
	e.name("model-server")
	e.name(string(fleet.Throttling))
	e.time(noon.UnixNano())
	e.count(pods)
	ago := func(i int) int64 { return int64(pods-1-i) * int64(time.Second) }
	for i := range pods {
		e.name(fmt.Sprint("pod-", i))
		e.time(ago(i))
	}
	e.count(pods)
	for i := range pods {
		if of <= bucketed {
			e.name(fmt.Sprint("pod-", i))
			e.time(ago(i))
			e.time(int64(time.Minute))
			e = binary.LittleEndian.AppendUint64(append(e, make([]byte, 8)...), 0)
			e.time(1)
			continue
		}
		e.count(i)
		e.time(ago(i))
		e.count(60_000)
		e.single(0.5)
		e.single(0.5)
		e.count(1)
	}
	e.count(0)
	return binary.LittleEndian.AppendUint32(e, crc32.ChecksumIEEE(e))
}

// TestRestoresTheNewestPods: where a checkpoint of an older version holds more pods than are told apart, the newest are kept,
// and no reading of the others.
func TestRestoresTheNewestPods(t *testing.T) {
	for _, of := range []byte{bucketed, named} {
		h := NewHistory()
		if err := h.Restore(manyPods(of, mostPods+5)); err != nil {
			t.Fatalf("version %d: %v", of, err)
		}
		s := &h.of(ref)[0]
		if len(s.pods) != mostPods || len(s.open) != mostPods {
			t.Errorf("version %d: %d pods, %d readings", of, len(s.pods), len(s.open))
		}
		for i, known := range map[int]bool{0: false, 4: false, 5: true, mostPods + 4: true} {
			if place := s.placeOf(idOf(fmt.Sprint("pod-", i))); place != lost != known {
				t.Errorf("version %d: pod %d at %d", of, i, place)
			}
		}
		if newest := s.open[len(s.open)-1]; newest.at != s.newest || s.pods[newest.pod].pod != idOf(fmt.Sprint("pod-", mostPods+4)) {
			t.Errorf("version %d: %+v is the newest", of, newest)
		}
	}
}
