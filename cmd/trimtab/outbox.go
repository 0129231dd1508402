package main

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/reports"
	"trimtab.dev/trimtab/reports/mail"
)

// outbox is what is known of every mail, so that each recipient gets each period once, whoever leads.
// It is written before a mail is handed over and after. A daemon that dies in between leaves a mail
// begun: whether it arrived nobody knows, so it is handed over again with the same Message-ID, by which
// mail programs show it once. Never to send is the worse fault of the two.
type outbox struct {
	Version int       `json:"version"`
	Reports []watched `json:"reports,omitempty"` // sorted by name
	Letters []posted  `json:"letters,omitempty"` // oldest first
}

const outboxVersion = 1

// watched is a Report document and how far its schedule was dealt with.
type watched struct {
	Name     string    `json:"name"`
	Schedule string    `json:"schedule"` // and time zone: with another one it begins anew
	Last     time.Time `json:"last"`
}

// posted is one mail: of a report, a period and a recipient.
type posted struct {
	Report    string    `json:"report"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Zone      string    `json:"timeZone"`
	Recipient string    `json:"recipient"`
	Posted    time.Time `json:"posted"`
	State     state     `json:"state"`
	Tries     int       `json:"tries,omitempty"`
	Next      time.Time `json:"next,omitzero"` // not to be tried before
	Ended     time.Time `json:"ended,omitzero"`
	Fault     string    `json:"fault,omitempty"` // of the last try
}

// state is how far a mail has come.
type state string

const (
	waiting state = "waiting"
	begun   state = "begun" // handed over; how that ended is not known
	sent    state = "sent"
	failed  state = "failed" // for good
)

const (
	// sendWithin is longer than any hand-over takes: a mail that was begun so long ago has nobody at it.
	sendWithin = 2 * time.Minute
	firstRetry = time.Minute    // after a fault that may pass; then twice as long each time
	lastRetry  = time.Hour      // at most between two tries
	giveUp     = 24 * time.Hour // after it was due a mail is tried no more
	lettersFor = 7 * 24 * time.Hour
	mostPosted = 500 // at an end: far below what a ConfigMap holds
)

func (p posted) ended() bool { return p.State == sent || p.State == failed }

// id is the mail's Message-ID.
func (p posted) id(from string) string {
	return mail.ID(p.Report, p.period().Key, p.Recipient, from)
}

func (p posted) period() reports.Period {
	loc, err := time.LoadLocation(p.Zone)
	if err != nil {
		loc = time.UTC // unreachable unless bug: the zone was known when it was posted
	}
	return reports.Between(p.From, p.To, loc)
}

// post adds the mails that have become due and forgets what no document asks for any more. A report that
// is seen for the first time, or with another schedule, begins now: its first mail is at its next time.
func (o *outbox) post(documents []policies.Report, now time.Time) (changed bool, err error) {
	var faults []error
	var reports []watched
	for _, d := range documents {
		s, fault := newSchedule(d.Schedule, d.TimeZone)
		if fault != nil {
			faults = append(faults, fault)
			continue
		}
		w := watched{Name: d.Name, Schedule: d.Schedule + " " + d.TimeZone, Last: now.UTC().Truncate(time.Second)}
		if i := slices.IndexFunc(o.Reports, func(k watched) bool { return k.Name == w.Name && k.Schedule == w.Schedule }); i >= 0 {
			w = o.Reports[i]
		}
		if f, ok := s.due(w.Last, now); ok {
			w.Last = f.at.UTC()
			o.address(d, f, now)
		}
		reports = append(reports, w)
	}
	slices.SortFunc(reports, func(a, b watched) int { return cmp.Compare(a.Name, b.Name) })
	changed = !slices.Equal(o.Reports, reports)
	o.Reports = reports
	return o.tidy(documents, now) || changed, errors.Join(faults...)
}

// address posts a mail to every recipient, each once.
func (o *outbox) address(d policies.Report, f fire, now time.Time) {
	for _, to := range d.Recipients {
		p := posted{Report: d.Name, From: f.from.UTC(), To: f.at.UTC(), Zone: d.TimeZone, Recipient: to, State: waiting, Posted: now.UTC().Truncate(time.Second)}
		known := slices.ContainsFunc(o.Letters, func(k posted) bool {
			return k.Report == p.Report && k.To.Equal(p.To) && k.Recipient == p.Recipient
		})
		if !known {
			o.Letters = append(o.Letters, p)
		}
	}
}

// tidy forgets mails whose document is gone or no longer names the recipient, and those that are at an
// end for long.
func (o *outbox) tidy(documents []policies.Report, now time.Time) bool {
	before := len(o.Letters)
	o.Letters = slices.DeleteFunc(o.Letters, func(p posted) bool {
		if p.ended() {
			return now.Sub(p.Ended) > lettersFor
		}
		d, ok := document(documents, p.Report)
		return !ok || !slices.Contains(d.Recipients, p.Recipient)
	})
	if over := len(o.Letters) - mostPosted; over > 0 {
		o.Letters = slices.DeleteFunc(o.Letters, func(p posted) bool {
			if over == 0 || !p.ended() {
				return false
			}
			over--
			return true
		})
	}
	return len(o.Letters) != before
}

func document(documents []policies.Report, name string) (policies.Report, bool) {
	i := slices.IndexFunc(documents, func(d policies.Report) bool { return d.Name == name })
	if i < 0 {
		return policies.Report{}, false
	}
	return documents[i], true
}

// ready are the places of the mails to hand over now.
func (o *outbox) ready(now time.Time) []int {
	var out []int
	for i, p := range o.Letters {
		if !p.ended() && !now.Before(p.Next) {
			out = append(out, i)
		}
	}
	return out
}

// begin notes that the mail is about to be handed over.
func (p *posted) begin(now time.Time) {
	p.State, p.Next, p.Tries = begun, now.Add(sendWithin).UTC().Truncate(time.Second), p.Tries+1
}

// end notes how handing over the mail ended, and when it is tried again.
func (p *posted) end(err error, now time.Time) {
	now = now.UTC().Truncate(time.Second)
	p.Fault = ""
	if err == nil {
		p.State, p.Ended, p.Next = sent, now, time.Time{}
		return
	}
	p.Fault = err.Error()
	pause := min(lastRetry, firstRetry<<min(p.Tries-1, 10))
	p.State, p.Next = waiting, now.Add(pause)
	if errors.Is(err, mail.ErrRefused) || p.Next.Sub(p.Posted) > giveUp {
		p.State, p.Ended, p.Next = failed, now, time.Time{}
	}
}
