package capacity

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestRealised by hand: four pods of 500m cost $52.56 a month, $0.00002 a second. At 100 requests a second a thousand
// that are in time cost $0.0002, which was predicted; at 50 twice as much, and more where some are late or other pods
// were there. None of it decides anything: that is by what settings ask for, and the share that is in time.
func TestRealised(t *testing.T) {
	half := of(1000, 20*ms, 4, start)
	late := of(1000, 20*ms, 4, start)
	late.Latency.Counts = []int64{0, 995, 0, 0, 5}
	three := half
	three.Replicas = 3
	for _, tt := range []struct {
		name  string
		w     Window
		unit  UnitCost
		rate  float64
		words string
	}{
		{"as many as before", of(2000, 20*ms, 4, start), 200_000, 100, "realised $0.0002 per 1,000 requests within the SLO (predicted at 100 a second, realised at 100): kept"},
		{"half as many", half, 400_000, 50, "realised $0.0004 per 1,000 requests within the SLO (predicted at 100 a second, realised at 50): kept"},
		{"of which 5 in 1,000 are late", late, 402_010, 50, "realised $0.000402 per 1,000 requests within the SLO (predicted at 100 a second, realised at 50): kept"},
		{"by three pods", three, 300_000, 50, "realised $0.0003 per 1,000 requests within the SLO (predicted at 100 a second, realised at 50): kept"},
	} {
		s := step(nil)
		s.Step.Unit, s.Step.Predicted = 400_000, 200_000
		next, done := s.judgedBy(seen(noon.Add(time.Minute), tt.w), hold())
		if !done || len(next.Past) != 1 || !next.Past[0].Kept {
			t.Fatalf("%s: %s, %q", tt.name, next.Phase, next.Why)
		}
		got := next.Past[0]
		if got.Predicted != 200_000 || got.Realised != tt.unit || got.RealisedRate != tt.rate {
			t.Errorf("%s: predicted %d, realised %d at %v; want %d at %v", tt.name, got.Predicted, got.Realised, got.RealisedRate, tt.unit, tt.rate)
		}
		if words := next.Kept(); !strings.HasSuffix(words, "$0.0004 -> predicted $0.0002, "+tt.words) {
			t.Errorf("%s: says %q", tt.name, words)
		}
	}
}

// TestRealisedOfOlderRecords: they have no rate of their own, and are at that of before.
func TestRealisedOfOlderRecords(t *testing.T) {
	const text = `{"from":{"batch":1},"to":{"batch":8},"before":{"requests":2000,"rate":100},"after":{"requests":1000,"rate":50},"unit":400000,"predicted":200000,"realised":200000,"kept":true}`
	var st Step
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		t.Fatal(err)
	}
	if got, want := st.words(goal()), "$0.0004 -> predicted $0.0002, realised $0.0002 per 1,000 requests within the SLO (predicted at 100 a second, realised at 100): kept"; !strings.HasSuffix(got, want) {
		t.Errorf("says %q", got)
	}
	st.Realised, st.After = 0, Measure{}
	if got, want := st.measured(goal()), "$0.0004 -> predicted $0.0002 per 1,000 requests within the SLO (at 100 a second)"; !strings.HasSuffix(got, want) {
		t.Errorf("of a step that was not judged: %q", got)
	}
}
