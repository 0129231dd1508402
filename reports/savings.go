package reports

import (
	"cmp"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// Savings are amounts a month, kept apart: what was only claimed never counts as applied.
type Savings struct {
	Claimed  cost.Line `json:"claimed"`  // of every change that the plan proposes now
	Applied  cost.Line `json:"applied"`  // of what was done in the period and still stands, less what was taken back in it
	Standing cost.Line `json:"standing"` // of everything in the ledger that still stands
}

// fate is what became of a done change.
type fate string

const (
	stands    fate = "stands"
	takenBack fate = "taken back"      // by a revert
	undone    fate = "no longer there" // somebody or something else set it otherwise
)

// book is what the ledger's changes came to, for each workload on its own.
type book struct {
	fates map[string]fate // of done entries, by ID
	sums  map[fleet.Ref]cost.Line
	month map[fleet.Ref]cost.Line // of the period
}

// keepBook follows each workload's done changes in the order in which they ended. A change whose
// values were replaced by something other than a later change of ours stands no more, so that making
// it a second time is not counted twice; nor does one whose workload is gone or is otherwise now. What
// is left telescopes: it is the cost before the first change less the cost after the last. The
// diary's price of before the first one is its upper bound all the same, for prices move.
func keepBook(in Input) book {
	b := book{fates: map[string]fate{}, sums: map[fleet.Ref]cost.Line{}, month: map[fleet.Ref]cost.Line{}}
	for ref, done := range doneOf(in.Entries) {
		now := assessment(in.Plan, ref)
		chain := b.follow(done, now.Workload)
		sum := sumOf(chain)
		part := sumOf(within(chain, in.Period))
		for _, e := range done {
			if r, ok := b.revertedIn(e, done, in.Period); ok {
				part = part.Sub(r.Change.Saving)
			}
		}
		if bill, ok := billBefore(in.Diary, chain); ok {
			sum.Amount, part.Amount = min(sum.Amount, bill), min(part.Amount, bill)
		}
		b.sums[ref], b.month[ref] = sum.Cents(), part.Cents()
	}
	return b
}

// doneOf is the done entries of each workload in the order in which they ended.
func doneOf(entries []optimizer.Entry) map[fleet.Ref][]optimizer.Entry {
	out := map[fleet.Ref][]optimizer.Entry{}
	for _, e := range entries {
		if e.Outcome == optimizer.Done {
			out[e.Change.Ref] = append(out[e.Change.Ref], e)
		}
	}
	for _, done := range out {
		slices.SortStableFunc(done, func(a, b optimizer.Entry) int { return a.Ended.Compare(b.Ended) })
	}
	return out
}

// follow gives the changes of one workload that stand, and notes what became of all.
func (b book) follow(done []optimizer.Entry, now fleet.Workload) []optimizer.Entry {
	var chain []optimizer.Entry
	for _, e := range done {
		chain = b.shown(chain, e.Change.From)
		b.fates[e.ID] = stands
		if e.Change.Reverts == "" {
			chain = append(chain, e)
			continue
		}
		chain = slices.DeleteFunc(chain, func(p optimizer.Entry) bool {
			back := p.ID == e.Change.Reverts
			if back {
				b.fates[p.ID] = takenBack
			}
			return back
		})
	}
	return b.shown(chain, now)
}

// shown is the part of chain that w still shows. What a later change that is shown set is not looked
// for in the earlier ones.
func (b book) shown(chain []optimizer.Entry, w fleet.Workload) []optimizer.Entry {
	var out []optimizer.Entry
	var later []fields
	for _, e := range slices.Backward(chain) {
		own := fieldsOf(e.Change)
		look := own
		for _, l := range later {
			look = look.less(l)
		}
		if !shows(w, look) {
			b.fates[e.ID] = undone
			continue
		}
		out, later = append(out, e), append(later, own)
	}
	slices.Reverse(out)
	return out
}

// revertedIn finds what e took back in the period, of a change that was done before it.
func (b book) revertedIn(e optimizer.Entry, done []optimizer.Entry, p Period) (optimizer.Entry, bool) {
	if e.Change.Reverts == "" || !p.has(e.Ended) {
		return optimizer.Entry{}, false
	}
	i := slices.IndexFunc(done, func(o optimizer.Entry) bool { return o.ID == e.Change.Reverts })
	if i < 0 || b.fates[done[i].ID] != takenBack || p.has(done[i].Ended) {
		return optimizer.Entry{}, false
	}
	return done[i], true
}

func (p Period) has(t time.Time) bool { return !t.Before(p.From) && t.Before(p.To) }

func within(chain []optimizer.Entry, p Period) []optimizer.Entry {
	var out []optimizer.Entry
	for _, e := range chain {
		if p.has(e.Ended) {
			out = append(out, e)
		}
	}
	return out
}

func sumOf(chain []optimizer.Entry) cost.Line {
	var sum cost.Line
	for _, e := range chain {
		sum = sum.Add(e.Change.Saving)
	}
	return sum
}

// billBefore is the most that the workload cost a month in the two days before the first of its changes
// that stand: the diary joins older days, so the day of the change alone would be a mean of before and after.
func billBefore(d *cost.Diary, chain []optimizer.Entry) (cost.Money, bool) {
	if d == nil || len(chain) == 0 {
		return 0, false
	}
	first := chain[0]
	l, ok := d.Dearest(first.Change.Ref, first.Begun.Add(-48*time.Hour), first.Begun)
	return l.Amount, ok && len(l.Unpriced) == 0
}

// fields is what a change sets: a target and the batch size of a server that Trimtab owns.
type fields struct {
	fleet.Target
	batch int
}

func fieldsOf(c optimizer.Change) fields {
	f := fields{Target: c.Target()}
	if c.To.BatchSize != c.From.BatchSize {
		f.batch = c.To.BatchSize
	}
	return f
}

// less is f without what o sets.
func (f fields) less(o fields) fields {
	f.Requests = slices.DeleteFunc(slices.Clone(f.Requests), func(r fleet.ContainerRequests) bool {
		return slices.ContainsFunc(o.Requests, func(s fleet.ContainerRequests) bool { return s.Container == r.Container })
	})
	if o.Replicas != 0 {
		f.Replicas = 0
	}
	if o.Capacity != "" {
		f.Capacity = ""
	}
	if o.batch != 0 {
		f.batch = 0
	}
	return f
}

// shows tells whether w is as f says. One pod with the requests is enough, for a newer one gets them
// in the next pass.
func shows(w fleet.Workload, f fields) bool {
	if w.Ref == (fleet.Ref{}) { // it is not there any more
		return false
	}
	if f.Replicas != 0 && f.Replicas != w.Replicas || f.Capacity != "" && f.Capacity != w.Capacity || f.batch != 0 && w.BatchSize != 0 && f.batch != w.BatchSize {
		return false
	}
	shapes := []fleet.PodShape{}
	for _, p := range w.Pods {
		shapes = append(shapes, p.Shape)
	}
	if len(shapes) == 0 {
		shapes = append(shapes, w.Template)
	}
	return slices.ContainsFunc(shapes, func(s fleet.PodShape) bool {
		return fleet.Workload{Template: s}.Has(fleet.Target{Requests: f.Requests})
	})
}

// applied is what a period's and what all changes save a month, in whole cents.
func (b book) applied() (month, standing cost.Line) {
	for _, ref := range sortedRefs(b.sums) {
		month, standing = month.Add(b.month[ref]), standing.Add(b.sums[ref])
	}
	return month, standing
}

func sortedRefs(m map[fleet.Ref]cost.Line) []fleet.Ref {
	refs := make([]fleet.Ref, 0, len(m))
	for ref := range m {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, fleet.Ref.Compare)
	return refs
}

func assessment(p optimizer.Plan, ref fleet.Ref) optimizer.Assessment {
	i := slices.IndexFunc(p.Assessments, func(a optimizer.Assessment) bool { return a.Ref == ref })
	if i < 0 {
		return optimizer.Assessment{}
	}
	return p.Assessments[i]
}

// claimed is every proposal of a plan, the largest saving first, and their sum in whole cents.
func claimed(p optimizer.Plan) ([]optimizer.Change, cost.Line) {
	all := slices.Clone(p.Changes)
	slices.SortStableFunc(all, func(a, b optimizer.Change) int {
		return cmp.Or(cmp.Compare(b.Saving.Amount, a.Saving.Amount), a.Ref.Compare(b.Ref))
	})
	var sum cost.Line
	for _, c := range all {
		sum = sum.Add(c.Saving.Cents())
	}
	return all, sum
}
