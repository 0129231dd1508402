package cost

import (
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Diary is what workloads cost over time. Each pass adds what they cost a month as they are; that rate
// holds for the time since the pass before. Time in which nobody looked is not covered: it is neither
// counted as free nor guessed. A workload that is not among a pass's rates cost nothing known then.
//
// It keeps spells of one rate, not a row a minute, so that a workload that is left alone costs a few
// bytes a month. Older spells are joined, with their mean rate, as unitAt says. The zero value is
// empty. It is for one goroutine.
type Diary struct {
	covered []stretch // ascending, apart from each other
	spells  map[fleet.Ref][]spell
	last    int64 // the newest pass, unix seconds; 0: none
}

// DiaryRetention is how long a Diary keeps anything, counted back from its newest pass.
const DiaryRetention = 35 * 24 * time.Hour

// Rate is what one workload costs a month as it is.
type Rate struct {
	Ref     fleet.Ref
	Monthly Line
}

// Spend is what workloads cost in a stretch of time.
type Spend struct {
	Covered time.Duration // of the time that was asked for: the rest is in no amount
	Lines   []Spent       // sorted by Ref
}

// Spent is what one workload cost.
type Spent struct {
	Ref  fleet.Ref
	Line Line
}

// stretch is [from, to) in unix seconds.
type stretch struct{ from, to int64 }

// spell is a stretch in which a workload cost the same, at rate a month.
type spell struct {
	stretch
	rate Line
}

// Add notes what every workload costs at a pass, for the time since the pass before. When that was
// longer ago than gap nobody knows what was in between, and that time stays uncovered. A pass that is not
// younger than the newest one known adds nothing.
func (d *Diary) Add(at time.Time, gap time.Duration, rates []Rate) {
	now, since := at.Unix(), d.last
	if now <= since {
		return
	}
	d.last = now
	if since > 0 && now-since <= int64(gap/time.Second) {
		d.write(stretch{since, now}, rates)
	}
	d.forget(now - int64(DiaryRetention/time.Second))
	d.compact()
}

func (d *Diary) write(s stretch, rates []Rate) {
	d.covered = appendStretch(d.covered, s)
	if d.spells == nil {
		d.spells = map[fleet.Ref][]spell{}
	}
	for _, r := range rates {
		d.spells[r.Ref] = appendSpell(d.spells[r.Ref], spell{s, r.Monthly})
	}
}

// Spend is what every workload cost in [from, to), to the second.
func (d *Diary) Spend(from, to time.Time) Spend {
	asked := stretch{from.Unix(), to.Unix()}
	var out Spend
	for _, c := range d.covered {
		out.Covered += time.Duration(c.within(asked).length()) * time.Second
	}
	for _, ref := range d.refs() {
		var sum Line
		known := false
		for _, s := range d.spells[ref] {
			if n := s.within(asked).length(); n > 0 {
				sum, known = sum.Add(s.over(n)), true
			}
		}
		if known {
			out.Lines = append(out.Lines, Spent{ref, sum})
		}
	}
	return out
}

// Dearest is the most that a workload cost a month at any time in [from, to); false where the diary
// does not know.
func (d *Diary) Dearest(ref fleet.Ref, from, to time.Time) (Line, bool) {
	asked := stretch{from.Unix(), to.Unix()}
	var most Line
	known := false
	for _, s := range d.spells[ref] {
		if s.within(asked).length() > 0 && (!known || s.rate.Amount > most.Amount) {
			most, known = s.rate, true
		}
	}
	return most, known
}

// over is what a spell costs for n seconds.
func (s spell) over(n int64) Line {
	return Line{Amount: s.rate.Amount.Times(n, MonthHours*3600), Unpriced: s.rate.Unpriced}
}

func (s stretch) length() int64 { return max(0, s.to-s.from) }

// within is the part of s that is in o; of no length where there is none.
func (s stretch) within(o stretch) stretch { return stretch{max(s.from, o.from), min(s.to, o.to)} }

func appendStretch(all []stretch, s stretch) []stretch {
	if n := len(all); n > 0 && all[n-1].to == s.from {
		all[n-1].to = s.to
		return all
	}
	return append(all, s)
}

func appendSpell(all []spell, s spell) []spell {
	if n := len(all); n > 0 && all[n-1].to == s.from && all[n-1].rate.same(s.rate) {
		all[n-1].to = s.to
		return all
	}
	return append(all, s)
}

func (l Line) same(o Line) bool { return l.Amount == o.Amount && slices.Equal(l.Unpriced, o.Unpriced) }

// forget drops what was before a time.
func (d *Diary) forget(before int64) {
	keep := stretch{before, d.last}
	d.covered = slices.DeleteFunc(d.covered, func(s stretch) bool { return s.to <= before })
	for i := range d.covered {
		d.covered[i] = d.covered[i].within(keep)
	}
	for ref, spells := range d.spells {
		spells = slices.DeleteFunc(spells, func(s spell) bool { return s.to <= before })
		for i := range spells {
			spells[i].stretch = spells[i].within(keep)
		}
		if d.spells[ref] = spells; len(spells) == 0 {
			delete(d.spells, ref)
		}
	}
}

// unitAt is how finely spells are told apart, in seconds, by how long ago they ended:
//
//	up to 3 h ago   as passes saw them   up to 15 days ago  hours
//	up to 2 days ago  10 minutes         up to 35 days ago  days (of UTC)
//
// So last week is exact to the hour in any time zone, and a workload whose price changes with every
// pass for 35 days has about 700 spells.
func unitAt(age int64) int64 {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	switch {
	case age <= 3*hour:
		return 1
	case age <= 2*day:
		return 10 * minute
	case age <= 15*day:
		return hour
	}
	return day
}

// compact joins neighbours that are in the same unit; they must touch, for a gap is not to be filled.
func (d *Diary) compact() {
	for ref, spells := range d.spells {
		out := spells[:1]
		for _, s := range spells[1:] {
			unit, last := unitAt(d.last-s.to), &out[len(out)-1]
			if last.to == s.from && last.from/unit == (s.to-1)/unit {
				*last = last.joined(s)
				continue
			}
			out = append(out, s)
		}
		clear(spells[len(out):])
		d.spells[ref] = out
	}
}

// joined is s and the spell that follows it as one, at their mean rate.
func (s spell) joined(o spell) spell {
	n, m := s.length(), o.length()
	rate := Line{Amount: s.rate.Amount.Times(n, n+m) + o.rate.Amount.Times(m, n+m), Unpriced: union(s.rate.Unpriced, o.rate.Unpriced)}
	return spell{stretch{s.from, o.to}, rate}
}

func (d *Diary) refs() []fleet.Ref {
	refs := make([]fleet.Ref, 0, len(d.spells))
	for ref := range d.spells {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, fleet.Ref.Compare)
	return refs
}
