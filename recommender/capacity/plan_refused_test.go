package capacity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// pods is a namespace that lets so many pods through, and says so. It counts how often it is asked.
func pods(least, most int, asked *int) func(Setting) []string {
	return func(at Setting) []string {
		*asked++
		if at.Batch != 0 || at.Delay != 0 {
			return []string{"it was asked how pods batch"}
		}
		if at.Replicas > most {
			return []string{"ResourceQuota team: too many pods"}
		}
		if at.Replicas < least {
			return []string{"too few pods"}
		}
		return nil
	}
}

// TestRefused: a plan keeps to what the namespace lets through, asks once for each request, and says what stands in the
// way of a setting. Quota says nothing then.
func TestRefused(t *testing.T) {
	free := best(question(), onPaper()).Best.Setting
	if free.Replicas != 2 {
		t.Fatalf("%+v is best without any rule", free)
	}
	asked := 0
	q := question()
	q.Room.Quota.MilliCPU = 1
	q.Room.Refused = pods(3, 6, &asked)
	plan := best(q, onPaper())
	if plan.Held != "" || plan.Best.Setting.Replicas != 3 || slices.ContainsFunc(plan.Alternatives, func(c Candidate) bool { return c.Setting.Replicas < 3 }) {
		t.Errorf("%q, %+v", plan.Held, plan.Best.Setting)
	}
	if asked > 500 {
		t.Errorf("asked %d times", asked)
	}
	q.Room.Refused = pods(1, 1, &asked)
	if plan := best(q, onPaper()); plan.Best.Meets || !strings.Contains(plan.Held, "ResourceQuota team: too many pods; widen that bound") {
		t.Errorf("one pod where one may be lost: %q, %+v", plan.Held, plan.Best)
	}
	if c := newPlanner(q, onPaper()).try(free); c.Meets || !strings.Contains(c.Why, "ResourceQuota team: too many pods") {
		t.Errorf("what if: %v, %q", c.Meets, c.Why)
	}
	if ours().fits(q, free) || !ours().fits(question(), free) {
		t.Error("a step is not asked about")
	}
}

// TestRefusedByEvidence: what a window's namespace says is asked with the plan, raises the least request where that
// leaves a choice, and is not remembered.
func TestRefusedByEvidence(t *testing.T) {
	asked := 0
	e := seen(noon, plant{rate: 200, slow: 1}.window(start))
	e.Refused = pods(1, 4, &asked)
	s := Begin(goal(), noon)
	for _, tt := range []struct {
		least fleet.Resources
		want  [2]int64
	}{
		{fleet.Resources{}, [2]int64{50, 1000}},
		{fleet.Resources{MilliCPU: 40, Memory: 1 << 30}, [2]int64{50, 1000}},
		{fleet.Resources{MilliCPU: 300}, [2]int64{300, 1000}},
		{fleet.Resources{MilliCPU: 1001}, [2]int64{50, 1000}},
	} {
		e.Least = tt.least
		if room := s.question(e).Room; room.CPU != tt.want || room.Memory != [2]int64{} || room.Refused == nil {
			t.Errorf("at least %+v: %+v", tt.least, room)
		}
	}
	e.Least = fleet.Resources{MilliCPU: 300}
	next, _ := s.judgedBy(e, plant{slow: 1}.advice())
	if next.Phase != Changing || next.Question.Room.Refused != nil {
		t.Errorf("%s, remembered %v", next.Phase, next.Question.Room.Refused != nil)
	}
	next.Question.Room.Refused = e.Refused // and could not be written
	if _, err := json.Marshal(next); err != nil {
		t.Error(err)
	}
}
