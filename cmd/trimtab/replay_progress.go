package main

import "time"

// tellEvery is how long a person waits for a word of a replay.
const tellEvery = 10 * time.Second

// replayProgress tells how far a replay is, where it takes long.
type replayProgress struct {
	say      func(format string, args ...any)
	now      func() time.Time
	of, done int // lines of requests: one for each rule and series
	begun    time.Time
	told     time.Time
}

// one counts a line that a rule has drawn.
func (p *replayProgress) one(rule string) {
	now := p.now()
	if p.done == 0 {
		p.begun, p.told = now, now
	}
	p.done++
	if now.Sub(p.told) < tellEvery {
		return
	}
	p.told = now
	left := time.Duration(float64(now.Sub(p.begun)) / float64(p.done-1) * float64(p.of-p.done))
	p.say("replayed %d of %d (a series by a rule, now %s), about %s left", p.done, p.of, rule, left.Round(time.Second))
}
