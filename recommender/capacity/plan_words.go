package capacity

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// why explains a choice in money.
func (s *planSearch) why(chosen judged) []string {
	var out []string
	add := func(line string) {
		if line != "" {
			out = append(out, line)
		}
	}
	add(s.proxy)
	add(s.verdict(chosen))
	if chosen.Meets {
		for _, line := range s.knee(chosen) {
			add(line)
		}
		add(s.binds(chosen))
	}
	add(s.reading())
	add(s.capacity(chosen))
	add(s.looked())
	return out
}

// verdict is the choice and what it changes.
func (s *planSearch) verdict(chosen judged) string {
	now := s.pool[0]
	line := s.words(chosen)
	switch {
	case chosen.Setting == now.Setting && chosen.Meets:
		return "nothing is better than what is in force: " + line
	case chosen.Setting == now.Setting:
		return "what is in force comes closest: " + line
	case !chosen.Meets:
		return "this comes closest: " + line
	case now.Month > 0:
		line += ", " + versus(chosen.Month, now.Month) + " now"
	}
	if !now.Meets {
		line += "; what is in force does not do: " + now.Why
	}
	return line
}

// words is a candidate with what it costs and does.
func (s *planSearch) words(j judged) string {
	line := fmt.Sprintf("%s: %s a month, %s %s", settingWords(j.Setting), j.Month, s.percent(), span(j.Prediction.Tail.Value))
	if s.Room.Redundancy > 0 {
		line += fmt.Sprintf(" (%s with %s lost)", span(j.slowest()), fleet.Count(s.Room.Redundancy, "replica"))
	}
	return line + fmt.Sprintf(", within the SLO of %s with a probability of %s", span(s.SLO.Latency), chanceText(j.Chance))
}

// knee is what the batch limits and numbers of replicas next to the chosen ones would change.
func (s *planSearch) knee(chosen judged) []string {
	at := chosen.Setting
	out := []string{s.bought(chosen)}
	for _, batch := range beside(s.batches(), at.Batch) {
		name := fmt.Sprintf("batch %d", batch)
		other, ok := s.least(s.group(batch, at.Replicas))
		if batch < at.Batch {
			out = append(out, s.rather(fmt.Sprintf("batch %d", at.Batch), name, chosen, other, s.none(s.group(batch, at.Replicas), ok)))
			continue
		}
		out = append(out, s.would(name, chosen, other, s.none(s.group(batch, at.Replicas), ok)))
	}
	for _, replicas := range beside(s.counts(), at.Replicas) {
		other, ok := s.least(s.group(0, replicas))
		out = append(out, s.would(fleet.Count(replicas, "replica"), chosen, other, s.none(s.group(0, replicas), ok)))
	}
	return out
}

// none says that no setting of some was found to keep the SLO within the bounds, by how many that were predicted; empty: one was.
func (s *planSearch) none(of aim, found bool) string {
	if found {
		return ""
	}
	n := 0
	for _, j := range s.pool {
		if of.only == nil || of.only(j.Setting) {
			n++
		}
	}
	switch n {
	case 0:
		return "no setting was predicted"
	case 1:
		return "the one setting that was predicted does not keep the SLO within the bounds"
	}
	return fmt.Sprintf("none of the %d settings that were predicted keeps the SLO within the bounds", n)
}

// bought is what waiting for others saves: latency within the SLO for cores.
func (s *planSearch) bought(chosen judged) string {
	other, ok := s.least(s.undelayed(chosen.Setting.Replicas))
	if chosen.Setting.Delay == 0 || !ok || other.Month <= chosen.Month || other.slowest() >= chosen.slowest() {
		return ""
	}
	return fmt.Sprintf("waiting up to %s for others saves %s a month (%s) at %s: that is what the slack within the SLO buys",
		chosen.Setting.Delay, other.Month-chosen.Month, percentOf(other.Month-chosen.Month, other.Month), s.slower(other, chosen))
}

// rather is what the choice gains over the one before it.
//
//	batch 16 instead of 8 saves $3.10 a month (12 %) at +9 ms p99
func (s *planSearch) rather(name, before string, chosen, other judged, none string) string {
	before = strings.TrimPrefix(before, "batch ")
	if none != "" {
		return fmt.Sprintf("%s instead of %s: with %s %s", name, before, before, none)
	}
	if chosen.Month >= other.Month {
		return fmt.Sprintf("%s instead of %s saves nothing%s", name, before, s.dearer(chosen.Month-other.Month, other, chosen))
	}
	return fmt.Sprintf("%s instead of %s saves %s a month (%s) at %s", name, before, other.Month-chosen.Month,
		percentOf(other.Month-chosen.Month, other.Month), s.slower(other, chosen))
}

func (s *planSearch) dearer(by cost.Money, other, chosen judged) string {
	if by == 0 {
		return ": both cost the same, at " + s.slower(other, chosen)
	}
	return fmt.Sprintf(" (it costs %s a month more, which counts as the same) at %s", by, s.slower(other, chosen))
}

// would is what another group would change: "batch 32 would save $0.40 more at +2 ms p99", "3 replicas would cost $4.20 more".
func (s *planSearch) would(name string, chosen, other judged, none string) string {
	switch by := other.Month - chosen.Month; {
	case none != "":
		return name + ": " + none
	case by > 0:
		return fmt.Sprintf("%s would cost %s a month more (%s) at %s", name, by, percentOf(by, chosen.Month), s.slower(chosen, other))
	case by < 0:
		return fmt.Sprintf("%s would save %s a month more, too little to change for, at %s", name, -by, s.slower(chosen, other))
	}
	return fmt.Sprintf("%s would cost the same at %s", name, s.slower(chosen, other))
}

// slower is the latency between two candidates: "+9 ms p99".
func (s *planSearch) slower(from, to judged) string {
	by, sign := to.slowest()-from.slowest(), "+"
	if by < 0 {
		by, sign = -by, "-"
	}
	return sign + span(by) + " " + s.percent()
}

// binds is what keeps a cheaper setting out: of those that were predicted, the one with the fewest things against it.
func (s *planSearch) binds(chosen judged) string {
	cheaper := slices.DeleteFunc(slices.Clone(s.pool), func(j judged) bool { return j.Meets || j.Month >= chosen.Month })
	if len(cheaper) == 0 {
		return "of the settings that were predicted none is cheaper: what binds is what may be chosen, not the SLO"
	}
	against := func(j judged) int { return len(j.bounds) + len(j.misses) }
	next := slices.MinFunc(cheaper, func(a, b judged) int {
		return cmp.Or(cmp.Compare(against(a), against(b)), cmp.Compare(b.Chance, a.Chance), cmp.Compare(a.Month, b.Month), preferred(a, b))
	})
	return fmt.Sprintf("cheaper would be %s at %s a month, but %s", settingWords(next.Setting), next.Month, next.Why)
}

const (
	readAt    = 64  // rows at which a curve is read
	nextToOne = 1.2 // gain there below which batches save next to nothing
)

// gain is how much less CPU a row takes in a large batch than alone, and how large that batch is.
func (p *planner) gain() (float64, int) {
	rows := readAt
	if most := p.Service.MaxBatch; most > 0 {
		rows = min(rows, most)
	}
	return p.Service.Curve.Gain(rows), rows
}

// flat tells whether batches save next to nothing.
func (p *planner) flat() bool {
	gain, _ := p.gain()
	return gain < nextToOne
}

// reading is the curve in words.
func (s *planSearch) reading() string {
	gain, rows := s.gain()
	switch {
	case s.Service.MaxBatch == 1:
		return "the model takes one row at a time: nothing is batched, and only replicas and requests are chosen"
	case s.flat():
		return fmt.Sprintf("a row in a batch of %d takes %s of the CPU of a row alone: batches save next to nothing here, so small batches and as many replicas as the SLO needs", rows, percentText(1/gain))
	}
	return fmt.Sprintf("a row in a batch of %d takes 1/%s of the CPU of a row alone: fewer replicas, each with more requests to batch, are cheaper", rows, figure(gain))
}

// capacity says what was thought about capacity that may be taken away.
func (s *planSearch) capacity(chosen judged) string {
	switch {
	case s.Question.Spot == nil:
		return ""
	case s.Room.Redundancy < 1:
		return "spot capacity was left out: without redundancy one lost node would break the SLO; set tune.redundancy to 1 or more"
	case chosen.Setting.Spot:
		other := chosen.Setting
		other.Spot = false
		return fmt.Sprintf("on spot capacity it costs %s a month, %s on demand; %s may be lost without breaking the SLO",
			chosen.Month, versus(chosen.Month, s.month(other)), fleet.Count(s.Room.Redundancy, "replica"))
	}
	return "spot capacity is not cheaper here"
}

// looked says how thorough the search was.
func (s *planSearch) looked() string {
	n := 0
	for _, p := range s.points {
		if p.done {
			n++
		}
	}
	return fmt.Sprintf("%s of %s settings were predicted; the others look dearer or slower by formula", thousands(int64(n)), thousands(int64(len(s.points))))
}

// settingWords is a setting in one phrase: "batch 16, delay 8 ms, 2 replicas of 430m and 74Mi".
func settingWords(at Setting) string {
	wait := "no delay"
	if at.Delay > 0 {
		wait = "delay " + at.Delay.String()
	}
	line := fmt.Sprintf("batch %d, %s, %s of %s", at.Batch, wait, fleet.Count(at.Replicas, "replica"), fleet.FormatCPU(at.CPU))
	if at.Memory > 0 {
		line += " and " + fleet.FormatMemory(at.Memory)
	}
	if at.Spot {
		line += " on spot"
	}
	return line
}

// versus is an amount against another: "$3.10 (12 %) less than", "$1.00 (4 %) more than", "the same as".
func versus(amount, other cost.Money) string {
	switch by := amount - other; {
	case by < 0:
		return fmt.Sprintf("%s (%s) less than", -by, percentOf(-by, other))
	case by > 0:
		return fmt.Sprintf("%s (%s) more than", by, percentOf(by, other))
	}
	return "the same as"
}

// percentOf is a part of an amount in whole percent.
func percentOf(part, of cost.Money) string {
	if of == 0 {
		return "from nothing"
	}
	return percentText(float64(part) / float64(of))
}

// percentText is a share in whole percent; a little is not nothing.
func percentText(share float64) string {
	if share > 0 && share < 0.005 {
		return "under 1 %"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + " %"
}

// chanceText is a probability in whole percent; none is certain.
func chanceText(p float64) string {
	if p > 0.99 {
		return "over 99 %"
	}
	return percentText(p)
}

// figure is a number with three digits that count.
func figure(x float64) string {
	if x >= 1000 {
		return thousands(int64(x + 0.5))
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}
