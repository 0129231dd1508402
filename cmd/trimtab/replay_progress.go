package main

import "time"

// tellEvery is how long a person waits for a word of a replay.
const tellEvery = 10 * time.Second

// replayProgress tells how far a replay is, where it takes long. How much longer it does not say: rules differ by far.
type replayProgress struct {
	say      func(format string, args ...any)
	now      func() time.Time
	of, done int // lines of requests: one for each rule and series
	told     time.Time
}

// one counts a line that a rule has drawn.
func (p *replayProgress) one(rule string) {
	now := p.now()
	if p.done == 0 {
		p.told = now
	}
	if p.done++; now.Sub(p.told) >= tellEvery {
		p.told = now
		p.say("replayed %d of %d (a series by a rule, now %s)", p.done, p.of, rule)
	}
}
