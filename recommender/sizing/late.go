package sizing

const (
	awaited  = 6 * 3600 // seconds for which a peak that did not come is waited for
	halfADay = 12       // slots: a peak in so many before is the one that was expected
)

// await keeps what is reserved for a peak that is late: nothing falls until it comes, or six hours have passed. Only
// the calendar can tell that one is late: this hour took more than half of the request on other days and in other
// weeks, as any hour does not.
func (p *Planner) await(t view, slot int64) {
	peak, half, end := t.peak(slot), worth[t.level]/2, (slot+1)*slotSeconds
	switch {
	case p.o.Flat || peak == 0:
	case worth[peak] >= half:
		t.held = min(t.held, end+holdAfter)
	case t.promised(half) && !t.reached(half, slot):
		t.held = max(t.held, end+awaited)
	}
}

// promised tells whether the calendar alone chose more than half for the newest slot.
func (t view) promised(half float64) bool {
	return worth[t.choice[daily]] > half && worth[t.choice[weekly]] > half && worth[t.choice[flat]] <= half
}

// reached tells whether use came to half lately before a slot.
func (t view) reached(half float64, slot int64) bool {
	for age := int64(1); age < halfADay; age++ {
		if worth[t.peak(slot-age)] >= half {
			return true
		}
	}
	return false
}
