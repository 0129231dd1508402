package managed

import (
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// TestLook: a server that its document only recommends for is measured and planned for, and nothing of it is
// written; a paused one is not even looked at.
func TestLook(t *testing.T) {
	r, _ := inService(t)
	r.set.Servers[0].Mode = policies.Recommend
	for range 8 {
		r.now = r.now.Add(5 * time.Second)
		for _, p := range r.pods {
			p.serve(2000)
		}
		if _, written := r.keep(); len(written) > 0 {
			t.Fatalf("written %q", written)
		}
	}
	s, ok := r.keeper.Standing("a", "quotes")
	if !ok || !s.Known || s.Plan.Best.Setting.Batch <= 1 || s.Question.Now.Batch != 1 || s.Mode != "recommend" {
		t.Errorf("standing %+v", s)
	}
	if got := r.state(); got.Phase != capacity.Observing || !got.Planned.IsZero() {
		t.Errorf("something was written down: %+v", got)
	}
	if text := s.Text(nil); !strings.Contains(text, "PLAN ") || !strings.Contains(text, "batch 1 -> ") {
		t.Errorf("the page says\n%s", text)
	}
	still := newRig(t, quotes())
	still.set.Servers[0].Mode, still.set.Servers[0].Paused = policies.Recommend, true
	still.keep()
	if s, _ := still.keeper.Standing("a", "quotes"); s.Known {
		t.Errorf("a paused server was planned for: %+v", s)
	}
}

// TestRecommendMidway: a document that stops enforcing while a step is tried leaves no entry open.
func TestRecommendMidway(t *testing.T) {
	r, _ := inService(t)
	r.until(capacity.Comparing)
	r.set.Servers[0].Mode = policies.Recommend
	r.pass(5*time.Second, 2000)
	if all := r.entries(); len(all) != 1 || all[0].Outcome == "" || !strings.Contains(all[0].Detail, "only recommends now") {
		t.Errorf("entries %+v", all)
	}
}

// TestNeverWarm: a server whose settings are never in force for long enough does not keep a step open for ever.
func TestNeverWarm(t *testing.T) {
	r, p := inService(t)
	r.until(capacity.Changing)
	p.cold = true
	for range 150 {
		if r.pass(5*time.Second, 2000); r.state().Phase != capacity.Changing {
			break
		}
	}
	if s := r.state(); s.Phase == capacity.Changing {
		t.Errorf("after 12 minutes: %s since %s", s.Phase, s.Since)
	}
}

// TestTogether: counts are added up; memory is that of the pod that holds the most, for each of them.
func TestTogether(t *testing.T) {
	var small, large shown
	small.Memory, large.Memory = 64<<20, 96<<20
	small.Came, large.Came = 3, 4
	got, err := together([]shown{large, small}, []pod{{life: "a"}, {life: "b"}}, noon)
	if err != nil || got.Memory != 2*96<<20 || got.Came != 7 || got.Replicas != 2 {
		t.Errorf("%+v, %v", got.Reading, err)
	}
}
