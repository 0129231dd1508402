package recommender

import (
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
