package capacity

import (
	"testing"
	"time"
)

// TestDied: a process that ends takes back the step that is under way, or within a day one that left less memory if that ran
// out. A pod that the step made may stumble at first.
func TestDied(t *testing.T) {
	lean := start
	lean.Memory, lean.CPU = 64<<20, 900
	rich := start
	rich.Memory = 128 << 20
	begun := noon.Add(-time.Minute)
	under := func(p Phase) State {
		return State{Goal: goal(), Phase: p, Since: noon.Add(-20 * time.Second), Setting: lean, Step: &Step{From: rich, To: lean, Begun: begun}}
	}
	settled := under(Settled)
	settled.Past, settled.Step = []Step{{From: rich, To: lean, Begun: begun, Kept: true}}, nil
	slimmer := settled
	slimmer.Past = []Step{{From: start, To: lean, Begun: begun, Kept: true}} // which asked for no memory
	longAgo := settled
	longAgo.Past = []Step{{From: rich, To: lean, Begun: noon.Add(-25 * time.Hour), Kept: true}}
	old := noon.Add(-time.Hour)
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	for _, tt := range []struct {
		name string
		s    State
		d    Death
		want Phase
	}{
		{"it never did", under(Comparing), Death{}, Comparing},
		{"before the step", under(Comparing), Death{At: second(-61), Born: old}, Comparing},
		{"while it is compared", under(Comparing), Death{At: second(-10), Born: old}, TakingBack},
		{"while it is put in force", under(Changing), Death{At: second(-10), Born: old}, TakingBack},
		{"of a new pod, while it is put in force", under(Changing), Death{At: second(-10), Born: second(-30)}, Changing},
		{"of a new pod, before it was in force", under(Comparing), Death{At: second(-25), Born: second(-30)}, Comparing},
		{"of a new pod, while it is compared", under(Comparing), Death{At: second(-10), Born: second(-30)}, TakingBack},
		{"while it is taken back", under(TakingBack), Death{At: second(-10), Born: old}, TakingBack},
		{"of something else, later", settled, Death{At: second(-10), Born: old}, Settled},
		{"for want of memory, later", settled, Death{At: second(-10), Born: old, Starved: true}, TakingBack},
		{"for want of memory, before it", settled, Death{At: second(-90), Born: old, Starved: true}, Settled},
		{"for want of memory that no step took", slimmer, Death{At: second(-10), Born: old, Starved: true}, Settled},
		{"for want of memory, a day later", longAgo, Death{At: second(-10), Born: old, Starved: true}, Settled},
	} {
		tt.d.Why = "it ended"
		got := tt.s.Died(tt.d, noon)
		if got.Phase != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Phase, tt.want)
		}
		if back := got.Phase == TakingBack && tt.s.Phase != TakingBack; back && (got.Setting != rich || got.Why != "it ended" || !got.refutes(lean) || got.Step != nil) {
			t.Errorf("%s: back to %+v, %q, refuted %+v", tt.name, got.Setting, got.Why, got.Refuted)
		}
	}
	if len(settled.Past) != 1 || !settled.Past[0].Kept {
		t.Error("the state that was asked was changed")
	}
}
