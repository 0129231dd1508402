package reports_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/reports"
)

// A workload that costs its milli CPU in dollars plus 100 for each replica, so that savings of different
// fields add up exactly.
func priced(w fleet.Workload) float64 {
	return float64(w.Current().Containers[0].Requests.MilliCPU) + 100*float64(w.Replicas)
}

// chain is entries of one workload, an hour apart from the beginning of the week before the sample's.
type chain struct {
	now     fleet.Workload
	entries []optimizer.Entry
}

func (c *chain) do(t fleet.Target) string {
	to := c.now.With(t)
	return c.finish(optimizer.Change{Ref: c.now.Ref, From: c.now, To: to, Saving: dollars(priced(c.now) - priced(to))})
}

// revert is a change that undoes entry i, with its saving turned round, as the optimizer makes it.
func (c *chain) revert(i int, t fleet.Target) {
	was := c.entries[i]
	c.finish(optimizer.Change{Ref: c.now.Ref, From: c.now, To: c.now.With(t), Reverts: was.ID, Saving: cost.Line{Amount: -was.Change.Saving.Amount}})
}

func (c *chain) finish(ch optimizer.Change) string {
	at := monday.AddDate(0, 0, -7).Add(time.Duration(len(c.entries)) * time.Hour)
	id := fmt.Sprint("e-", len(c.entries))
	c.entries = append(c.entries, optimizer.Entry{ID: id, Change: ch, Begun: at, Ended: at, Outcome: optimizer.Done})
	c.now = ch.To
	return id
}

// outside is somebody else's hand: no entry tells of it.
func (c *chain) outside(t fleet.Target) { c.now = c.now.With(t) }

func (c *chain) input(d *cost.Diary) reports.Input {
	a := optimizer.Assessment{Ref: c.now.Ref, Workload: c.now, Now: dollars(priced(c.now))}
	return reports.Input{Period: reports.Between(monday.AddDate(0, 0, -7), monday, berlin), At: monday, Entries: c.entries, Diary: d,
		Plan: optimizer.Plan{Assessments: []optimizer.Assessment{a}}}
}

func cpu(milli int64) fleet.Target { return requests(milli, 1<<30) }
func copies(n int32) fleet.Target  { return fleet.Target{Replicas: n} }
func start() *chain                { return &chain{now: ml("m", 5, 500, 1<<30)} } // costs 1,000
func statuses(r reports.Report) (out []string) {
	for _, d := range r.Deeds {
		out = append(out, d.Status)
	}
	return out
}

func TestAppliedSavings(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(c *chain)
		want  string
		deeds string
	}{
		{"two fields", func(c *chain) { c.do(cpu(100)); c.do(copies(4)) }, "$500.00", "[done done]"}, // 400 + 100
		{"one field in two steps", func(c *chain) { c.do(copies(4)); c.do(copies(3)) }, "$200.00", "[done done]"},
		{"there and back by ourselves", func(c *chain) { c.do(cpu(100)); c.do(cpu(300)) }, "$200.00", "[done done]"}, // 400 - 200
		{"taken back", func(c *chain) { c.do(cpu(100)); c.revert(0, cpu(500)) }, "$0.00", "[taken back done]"},
		{"taken back under another", func(c *chain) { c.do(cpu(100)); c.do(copies(4)); c.revert(0, cpu(500)) }, "$100.00", "[taken back done done]"},
		{"made again after somebody reset it", func(c *chain) { c.do(cpu(100)); c.outside(cpu(500)); c.do(cpu(100)) }, "$400.00", "[no longer there done]"},
		{"reset and left so", func(c *chain) { c.do(cpu(100)); c.outside(cpu(500)) }, "$0.00", "[no longer there]"},
		{"one field reset, the other not", func(c *chain) { c.do(cpu(100)); c.do(copies(4)); c.outside(copies(5)) }, "$400.00", "[done no longer there]"},
		{"dearer", func(c *chain) { c.do(cpu(600)) }, "-$100.00", "[done]"},
	} {
		ch := start()
		c.do(ch)
		r := reports.Build(ch.input(nil))
		if got, deeds := r.Savings.Applied.String(), fmt.Sprint(statuses(r)); got != c.want || r.Savings.Standing.String() != c.want || deeds != c.deeds {
			t.Errorf("%s: applied %s, standing %s, %s; want %s, %s", c.name, got, r.Savings.Standing, deeds, c.want, c.deeds)
		}
	}
}

// TestAppliedIsOfThePeriod: what was done before it counts only as standing, and what was done before
// and taken back in it is subtracted.
func TestAppliedIsOfThePeriod(t *testing.T) {
	c := start()
	c.do(cpu(100)) // 400, then 100 by replicas, then the first is taken back
	c.do(copies(4))
	c.revert(0, cpu(500))
	in := c.input(nil)
	in.Period = reports.Between(c.entries[1].Ended, monday, berlin)
	if s := reports.Build(in).Savings; s.Applied.String() != "-$300.00" || s.Standing.String() != "$100.00" {
		t.Errorf("applied %s, standing %s", s.Applied, s.Standing)
	}
	in.Period = reports.Between(c.entries[0].Ended, c.entries[2].Ended, berlin)
	r := reports.Build(in)
	if s := r.Savings; s.Applied.String() != "$100.00" || len(r.Deeds) != 2 {
		t.Errorf("applied %s of %d deeds", s.Applied, len(r.Deeds))
	}
	gone := c.input(nil)
	gone.Plan.Assessments = nil
	if s := reports.Build(gone).Savings; s.Standing.Amount != 0 {
		t.Errorf("a workload that is gone saves %s", s.Standing)
	}
}

// TestAppliedIsNeverAboveTheBill: prices fell since; the diary knows that the workload cost 250 before.
func TestAppliedIsNeverAboveTheBill(t *testing.T) {
	c := start()
	c.do(cpu(100))
	d := &cost.Diary{}
	d.Add(c.entries[0].Begun.Add(-2*time.Hour), time.Hour, nil)
	d.Add(c.entries[0].Begun.Add(-time.Hour), time.Hour, []cost.Rate{{Ref: c.now.Ref, Monthly: dollars(250)}})
	d.Add(c.entries[0].Begun.Add(time.Hour), 3*time.Hour, []cost.Rate{{Ref: c.now.Ref, Monthly: dollars(30)}})
	if s := reports.Build(c.input(d)).Savings; s.Applied.String() != "$250.00" || s.Standing.String() != "$250.00" {
		t.Errorf("applied %s, standing %s of a bill of $250", s.Applied, s.Standing)
	}
}

// TestSavingsTelescope: whatever is changed, taken back and set otherwise by others, what stands is never
// above what the workload cost at first; and where nobody else had a hand in it, it is exactly what it
// cost at first less what it costs now.
func TestSavingsTelescope(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		c := start()
		alone := true
		first := priced(c.now)
		highest := first
		var open []int // replica changes and CPU changes that could be reverted
		for range 1 + r.IntN(8) {
			switch {
			case r.IntN(6) == 0 && seed%2 == 0:
				c.outside(cpu(100 * (1 + r.Int64N(9))))
				alone = false
			case r.IntN(3) == 0 && len(open) > 0:
				i := open[len(open)-1] // the newest first, as undoing is exact then
				open = open[:len(open)-1]
				was := c.entries[i].Change
				back := cpu(was.From.Current().Containers[0].Requests.MilliCPU)
				if was.Target().Replicas != 0 {
					back = copies(was.From.Replicas)
				}
				c.revert(i, back)
			case r.IntN(2) == 0:
				c.do(cpu(100 * (1 + r.Int64N(9))))
				open = append(open, len(c.entries)-1)
			default:
				c.do(copies(1 + r.Int32N(9)))
				open = append(open, len(c.entries)-1)
			}
			highest = max(highest, priced(c.now))
		}
		got := float64(reports.Build(c.input(nil)).Savings.Standing.Amount) / float64(cost.Dollar)
		if got > highest {
			t.Errorf("seed %d: $%.0f stands of a bill that was never above $%.0f", seed, got, highest)
		}
		if want := first - priced(c.now); alone && got != want {
			t.Errorf("seed %d: $%.0f stands, it cost $%.0f and costs $%.0f", seed, got, first, priced(c.now))
		}
	}
}
