package capacity

import (
	"testing"
	"time"
)

// TestDied: a process that ends takes back the step that is under way, or within a day one that left less memory if that ran
// out. A pod that the step made may stumble at first.
func TestDied(t *testing.T) {
	lean, rich, few := start, start, start
	lean.Memory, rich.Memory = 64<<20, 128<<20
	few = lean
	few.Replicas--
	begun := noon.Add(-time.Minute)
	under := func(p Phase, from, to Setting) State {
		return State{Goal: goal(), Phase: p, Since: noon.Add(-20 * time.Second), Setting: to, Step: &Step{From: from, To: to, Begun: begun}}
	}
	relief := under(Comparing, lean, rich)
	relief.Step.Relief = true
	later := func(p Phase, past ...Step) State {
		return State{Goal: goal(), Phase: p, Setting: past[len(past)-1].To, Past: past}
	}
	kept := func(from, to Setting, at time.Time) Step { return Step{From: from, To: to, Begun: at, Kept: true} }
	settled := later(Settled, kept(rich, lean, begun))
	hourAgo := noon.Add(-time.Hour)
	again := later(Settled, kept(rich, lean, hourAgo), Step{From: lean, To: few, Begun: begun}) // the last took less yet and was taken back
	again.Past[1].To.Memory, again.Setting = 32<<20, lean
	old := noon.Add(-time.Hour)
	second := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	for _, tt := range []struct {
		name string
		s    State
		d    Death
		want Phase
	}{
		{"it never did", under(Comparing, rich, lean), Death{}, Comparing},
		{"before the step", under(Comparing, rich, lean), Death{At: second(-61), Born: old}, Comparing},
		{"while it is compared", under(Comparing, rich, lean), Death{At: second(-10), Born: old}, TakingBack},
		{"while more is compared", under(Comparing, lean, rich), Death{At: second(-10), Born: old}, TakingBack},
		{"while it is put in force", under(Changing, rich, lean), Death{At: second(-10), Born: old}, TakingBack},
		{"while more is put in force", under(Changing, lean, rich), Death{At: second(-10), Born: old}, Changing},
		{"while what is to help is compared", relief, Death{At: second(-10), Born: old, Starved: true}, Comparing},
		{"of a new pod, while it is put in force", under(Changing, rich, lean), Death{At: second(-10), Born: second(-30)}, Changing},
		{"of a new pod, before it was in force", under(Comparing, rich, lean), Death{At: second(-25), Born: second(-30)}, Comparing},
		{"of a new pod, while it is compared", under(Comparing, rich, lean), Death{At: second(-10), Born: second(-30)}, TakingBack},
		{"while it is taken back", under(TakingBack, rich, lean), Death{At: second(-10), Born: old}, TakingBack},
		{"of something else, later", settled, Death{At: second(-10), Born: old}, Settled},
		{"for want of memory, later", settled, Death{At: second(-10), Born: old, Starved: true}, TakingBack},
		{"for want of memory, in a rest", later(Resting, kept(rich, lean, begun)), Death{At: second(-10), Born: old, Starved: true}, TakingBack},
		{"for want of memory, after another step", later(Settled, kept(rich, lean, hourAgo), kept(lean, few, begun)), Death{At: second(-10), Born: old, Starved: true}, TakingBack},
		{"for want of memory, before it", settled, Death{At: second(-90), Born: old, Starved: true}, Settled},
		{"for want of memory that no step took", later(Settled, kept(lean, few, begun)), Death{At: second(-10), Born: old, Starved: true}, Settled},
		{"for want of memory, a day later", later(Settled, kept(rich, lean, noon.Add(-25*time.Hour))), Death{At: second(-10), Born: old, Starved: true}, Settled},
		{"for want of memory that no kept step took", later(Settled, Step{From: rich, To: lean, Begun: begun}), Death{At: second(-10), Born: old, Starved: true}, Settled},
		{"for want of memory that was given back", again, Death{At: second(-10), Born: old, Starved: true}, Settled},
	} {
		tt.d.Why = "it ended"
		got := tt.s.Died(tt.d, noon)
		if got.Phase != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Phase, tt.want)
		}
		if got.Phase != TakingBack || tt.s.Phase == TakingBack {
			continue
		}
		want := tt.s.Setting // with the memory of before, and what else there was before the step under way
		if want.Memory = rich.Memory; tt.s.Step != nil {
			want = tt.s.Step.From
		}
		if last := got.Refuted[len(got.Refuted)-1]; got.Setting != want || got.Why != "it ended" || last.Setting != tt.s.Setting || last.Slow != tt.d.Starved || got.Step != nil {
			t.Errorf("%s: back to %+v, %q, refuted %+v", tt.name, got.Setting, got.Why, got.Refuted)
		}
		if next := got.rests(noon).Died(tt.d, noon); next.Phase != Resting {
			t.Errorf("%s: the same death counts again", tt.name)
		}
	}
	if len(settled.Past) != 1 || !settled.Past[0].Kept {
		t.Error("the state that was asked was changed")
	}
}
