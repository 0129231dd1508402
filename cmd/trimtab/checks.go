package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the image has no zone files

	"github.com/robfig/cron/v3"

	"trimtab.dev/trimtab/policies"
)

// checks judges what documents say of calendars and time zones, which package policies cannot know.
func checks() policies.Checks {
	return policies.Checks{Schedule: checkSchedule, TimeZone: checkTimeZone}
}

// checkSchedule also refuses a schedule that never comes, which the parser takes. The parser panics on
// some texts; a document must not end the daemon.
func checkSchedule(text string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it cannot be read: %v", r)
		}
	}()
	s, err := cron.ParseStandard(text)
	if word, ok := noNumber(err); ok {
		return fmt.Errorf("%q is neither a number nor three letters of a day or month", word)
	}
	if err != nil {
		return err
	}
	if s.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return errors.New("no date ever matches it")
	}
	return nil
}

// noNumber is the word that the parser took for a number, which it says in the words of a Go function.
func noNumber(err error) (word string, ok bool) {
	if err == nil {
		return "", false
	}
	_, after, ok := strings.Cut(err.Error(), "strconv.Atoi: parsing ")
	if !ok || !strings.HasSuffix(after, strconv.ErrSyntax.Error()) { // too large a number is one; the parser wraps no error
		return "", false
	}
	quoted, err := strconv.QuotedPrefix(after)
	if err != nil {
		return "", false
	}
	word, err = strconv.Unquote(quoted)
	return word, err == nil
}

// zoneOf reads a verb's --zone. This machine's own zone is refused: the same command would say something else elsewhere.
func zoneOf(verb, name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, badInput("trimtab %s: --zone %q: write an IANA name such as Europe/Berlin", verb, name)
	}
	return zone, nil
}

func checkTimeZone(name string) error {
	_, err := time.LoadLocation(name)
	return err
}
