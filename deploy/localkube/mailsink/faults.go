package main

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/emersion/go-smtp"
)

// faults are the answers that a test has asked for.
type faults struct {
	mu   sync.Mutex
	code int
	left map[string]int // times, by command
}

// ask answers the next times commands of a kind, mail, rcpt or data, with code.
func (f *faults) ask(code, times, at string) error {
	c, err := strconv.Atoi(code)
	if err != nil || c < 400 || c > 599 {
		return fmt.Errorf("code %q; give a reply code from 400 to 599", code)
	}
	n, err := strconv.Atoi(times)
	if err != nil || n < 0 {
		return fmt.Errorf("times %q; give a number, 0 to stop failing", times)
	}
	if !slices.Contains([]string{"mail", "rcpt", "data"}, at) {
		return fmt.Errorf("at %q; give mail, rcpt or data", at)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code, f.left = c, map[string]int{at: n}
	return nil
}

// next is the answer that a command gets; nil: nobody asked for a failure.
func (f *faults) next(at string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left[at] == 0 {
		return nil
	}
	f.left[at]--
	return &smtp.SMTPError{Code: f.code, EnhancedCode: smtp.EnhancedCode{f.code / 100, 0, 0}, Message: "a test asked for this answer"}
}
