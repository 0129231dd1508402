package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// faults are all that is wrong with a command line, a line each.
type faults []string

func (f faults) Error() string { return strings.Join(f, "\n") }

// settings are the flags of one verb. Package flag stops at the first fault; this tells them all.
type settings struct {
	verb string
	list []setting
}

type setting struct {
	flag, env, hint string
	alone           bool // a switch: it takes no value
	standing        string
	set             func(string) error
}

// add makes a flag, with the environment variable that stands in for it (may be empty). It sets it
// to what holds without both.
func (s *settings) add(flag, env, standing, hint string, set func(string) error) {
	s.list = append(s.list, setting{flag: flag, env: env, standing: standing, hint: hint, set: set})
	if standing == "" {
		return
	}
	if err := set(standing); err != nil {
		panic(err) // unreachable unless bug: standing is a constant
	}
}

// toggle makes a flag without a value.
func (s *settings) toggle(flag, hint string, to *bool) {
	s.list = append(s.list, setting{flag: flag, hint: hint, alone: true, set: func(v string) (err error) {
		*to, err = strconv.ParseBool(v)
		return err
	}})
}

// parse sets what args and the environment give, args first, and returns every fault.
func (s *settings) parse(args []string, env func(string) string) faults {
	given, bad := s.split(args)
	for _, one := range s.list {
		from, values := "--"+one.flag, given[one.flag]
		if len(values) == 0 && one.env != "" && env(one.env) != "" {
			from, values = one.env, []string{env(one.env)}
		}
		for _, v := range values {
			if err := one.set(v); err != nil {
				bad = append(bad, fmt.Sprintf("%s: %.80q %s", from, v, err))
			}
		}
	}
	return bad
}

// split sorts args by flag; a flag may be given several times, as --flag value or --flag=value.
func (s *settings) split(args []string) (given map[string][]string, bad faults) {
	given = map[string][]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		one, known := s.find(name)
		switch {
		case !strings.HasPrefix(arg, "-"):
			bad = append(bad, fmt.Sprintf("%.80q is not a flag", arg))
			continue
		case !known:
			bad = append(bad, fmt.Sprintf("--%.80s is not a flag of %s; try modelserver help %s", name, s.verb, s.verb))
		}
		switch next := len(args) > 0 && !strings.HasPrefix(args[0], "--"); {
		case has:
		case one.alone:
			value = "true"
		case next:
			value, args = args[0], args[1:]
		case known:
			bad = append(bad, fmt.Sprintf("--%s has no value", name))
			continue
		}
		given[name] = append(given[name], value)
	}
	return given, bad
}

func (s *settings) find(name string) (setting, bool) {
	for _, one := range s.list {
		if one.flag == name {
			return one, true
		}
	}
	return setting{}, false
}

// print lists the flags with their defaults.
func (s *settings) print(w io.Writer) {
	fmt.Fprintf(w, "flags of modelserver %s:\n", s.verb)
	for _, one := range s.list {
		note := ""
		if one.standing != "" {
			note = " (" + one.standing + ")"
		}
		if one.env != "" {
			note += " [" + one.env + "]"
		}
		fmt.Fprintf(w, "  --%-22s %s%s\n", one.flag, one.hint, note)
	}
}

func text(to *string) func(string) error {
	return func(v string) error { *to = v; return nil }
}

// oneOf takes only one of the words.
func oneOf(to *string, words ...string) func(string) error {
	return func(v string) error {
		for _, w := range words {
			if v == w {
				*to = v
				return nil
			}
		}
		return fmt.Errorf("is none of %s", strings.Join(words, ", "))
	}
}

// whole takes whole numbers from low to high.
func whole[T int | int64 | uint64](to *T, low, high T) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < int64(low) || n > int64(high) {
			return fmt.Errorf("is not a whole number from %d to %d", low, high)
		}
		*to = T(n)
		return nil
	}
}

// number takes numbers above 0 up to high.
func number(to *float64, high float64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || !(n > 0 && n <= high) {
			return fmt.Errorf("is not a number above 0, at most %g", high)
		}
		*to = n
		return nil
	}
}

// span takes durations of low or more.
func span(to *time.Duration, low time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < low {
			return fmt.Errorf("is not a duration of at least %s, like 5ms or 10s", low)
		}
		*to = d
		return nil
	}
}
