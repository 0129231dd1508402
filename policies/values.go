package policies

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// span is what a number may be. Where above is set, low itself is not allowed.
type span struct {
	low, high float64
	above     bool
	example   string // what a fault suggests
}

func (s span) check(w *walk, p place, v float64, shown string) bool {
	switch {
	case s.above && v == s.low:
		w.fault(p, "%s is too small, it must be above %v; write %s", shown, s.low, s.example)
	case !(v >= s.low && v <= s.high): // so that NaN fails
		w.fault(p, "%s is not between %v and %v; write %s", shown, s.low, s.high, s.example)
	default:
		return true
	}
	return false
}

// toggle is a field that is true or false.
func toggle[T any](name, meaning string, at func(*T) *bool) field[T] {
	return field[T]{
		name: name, typ: "true or false", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			v, tag, ok := w.scalar(p, "true or false")
			if ok && tag != "!!bool" {
				w.fault(p, "%q is neither true nor false", v)
				return
			}
			if ok {
				*at(into) = strings.EqualFold(v, "true")
			}
		},
		show: func(of *T) string { return strconv.FormatBool(*at(of)) },
	}
}

// number is a field that is a decimal number within s.
func number[T any](name, typ, meaning string, s span, at func(*T) *float64) field[T] {
	return field[T]{
		name: name, typ: typ, meaning: meaning,
		set: func(w *walk, p place, into *T) {
			text, tag, ok := w.scalar(p, s.example)
			if !ok {
				return
			}
			v, err := strconv.ParseFloat(text, 64)
			switch {
			case tag != "!!int" && tag != "!!float":
				w.fault(p, "%q is not a number; write %s, without quotes or %%", text, s.example)
			case strings.HasSuffix(strings.ToLower(text), ".nan"), strings.HasSuffix(strings.ToLower(text), ".inf"):
				w.fault(p, "%s is not a finite number; write %s", text, s.example)
			case err != nil || octal(text):
				w.fault(p, "%s is not a decimal number; write %s", text, s.example)
			case s.check(w, p, v, text):
				*at(into) = v
			}
		},
		show: func(of *T) string {
			if s.low > 0 && *at(of) == 0 {
				return "" // no default
			}
			return strconv.FormatFloat(*at(of), 'f', -1, 64)
		},
	}
}

// octal tells whether YAML and people may read text as different numbers: 010 is 8 to YAML.
func octal(text string) bool {
	return len(text) > 1 && text[0] == '0' && text[1] != '.'
}

// count is a field that is a whole number within s.
func count[T any, N int | int32](name, meaning string, s span, at func(*T) *N) field[T] {
	return field[T]{
		name: name, typ: "whole number", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			if v, ok := w.whole(p, s); ok {
				*at(into) = N(v)
			}
		},
		show: func(of *T) string {
			if s.low > 0 && *at(of) == 0 {
				return "" // no default
			}
			return strconv.FormatInt(int64(*at(of)), 10)
		},
	}
}

// counts is a list of whole numbers within s, each above the one before it.
func counts[T any](name, meaning string, s span, at func(*T) *[]int) field[T] {
	return field[T]{
		name: name, typ: "list of whole numbers", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			var all []int
			for _, e := range w.items(p, "a list such as [1, 8, 32]") {
				v, ok := w.whole(e, s)
				if ok && len(all) > 0 && int(v) <= all[len(all)-1] {
					w.fault(e, "%d is not above %d before it; write each number once, the smallest first", v, all[len(all)-1])
					ok = false
				}
				if ok {
					all = append(all, int(v))
				}
			}
			*at(into) = all
		},
		show: func(of *T) string {
			if len(*at(of)) == 0 {
				return ""
			}
			return strings.ReplaceAll(fmt.Sprint(*at(of)), " ", ", ")
		},
	}
}

// whole gives a whole number within s.
func (w *walk) whole(p place, s span) (int64, bool) {
	text, _, ok := w.scalar(p, s.example)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(text, 10, 32)
	switch {
	case err != nil || strconv.FormatInt(v, 10) != text:
		w.fault(p, "%q is not a plain whole number in range; write %s", text, s.example)
	case p.node.ShortTag() != "!!int":
		w.fault(p, "%q is text, not a number; remove the quotes", text)
	case s.check(w, p, float64(v), text):
		return v, true
	}
	return 0, false
}

// duration is a field that is a time span as Go writes it, from low to high.
func duration[T any](name, meaning string, low, high time.Duration, at func(*T) *time.Duration) field[T] {
	return field[T]{
		name: name, typ: "duration", meaning: meaning,
		set: func(w *walk, p place, into *T) {
			text, _, ok := w.scalar(p, "a duration such as 24h")
			if !ok {
				return
			}
			v, err := time.ParseDuration(text)
			switch {
			case err != nil || text == "0":
				w.fault(p, "%q is not a duration; write %s", text, meant(text, low, high))
			case v < low || v > high:
				w.fault(p, "%s is not between %s and %s", text, short(low), short(high))
			default:
				*at(into) = v
			}
		},
		show: func(of *T) string {
			if low > 0 && *at(of) == 0 {
				return "" // no default
			}
			return short(*at(of))
		},
	}
}

// meant suggests what somebody meant who wrote days, weeks or no unit, as far as it lies from low to high;
// else the range.
func meant(text string, low, high time.Duration) string {
	samples, units := []string{"24h", "1h30m", "10m"}, []string{"s", "m", "h"}
	if high < time.Hour {
		samples, units = []string{"50ms", "2s", "1m"}, []string{"ms", "s", "m"}
	}
	if fits := within(low, high, readings(text, units)); len(fits) > 0 {
		how := "it with its unit: "
		if strings.TrimRight(text, "dwDW") != text {
			how = ""
		}
		return how + either(fits)
	}
	between := fmt.Sprintf("one between %s and %s", short(low), short(high))
	if fits := within(low, high, samples); len(fits) > 0 {
		return between + ", such as " + either(fits)
	}
	return between
}

// readings is what a number may mean as Go writes it: days and weeks are hours, without a unit it may be any of units.
func readings(text string, units []string) []string {
	number := strings.TrimRight(text, "dwDW")
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n <= 0 {
		return nil
	}
	switch strings.ToLower(strings.TrimPrefix(text, number)) {
	case "d":
		return []string{fmt.Sprintf("%dh", 24*n)}
	case "w":
		return []string{fmt.Sprintf("%dh", 7*24*n)}
	case "":
		var all []string
		for _, u := range units {
			all = append(all, fmt.Sprint(n, u))
		}
		return all
	}
	return nil
}

// within is those durations that lie from low to high.
func within(low, high time.Duration, durations []string) []string {
	var fits []string
	for _, text := range durations {
		if d, err := time.ParseDuration(text); err == nil && d >= low && d <= high {
			fits = append(fits, text)
		}
	}
	return fits
}

// short writes a duration without its zero parts: "168h", "5m", "1h30m".
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// choice is a field that is one of a few words.
func choice[T any, V ~string](name, meaning string, at func(*T) *V, words ...V) field[T] {
	known := make([]string, 0, len(words))
	for _, v := range words {
		known = append(known, string(v))
	}
	typ := strings.Join(known, " or ")
	return field[T]{
		name: name, typ: typ, meaning: meaning,
		set: func(w *walk, p place, into *T) {
			text, _, ok := w.scalar(p, typ)
			if !ok {
				return
			}
			if slices.Contains(known, text) && p.node.ShortTag() == "!!str" {
				*at(into) = V(text)
				return
			}
			if near, ok := nearest(text, known); ok {
				w.fault(p, "%q is not known; did you mean %s?", text, near)
				return
			}
			w.fault(p, "%q is not known; write %s", text, typ)
		},
		show: func(of *T) string { return string(*at(of)) },
	}
}

// amount is what a quantity may be, and how it becomes a whole number of its unit.
type amount struct {
	typ       string
	low, high int64
	example   string
	units     func(resource.Quantity) int64
	exact     func(int64) *resource.Quantity // the opposite of units
}

func cpu(low, high int64) amount {
	return amount{
		typ: "CPU quantity", low: low, high: high, example: "10m or 0.5",
		units: func(q resource.Quantity) int64 { return q.MilliValue() },
		exact: func(n int64) *resource.Quantity { return resource.NewMilliQuantity(n, resource.DecimalSI) },
	}
}

func memory(low, high int64) amount {
	return amount{
		typ: "memory quantity", low: low, high: high, example: "32Mi or 1Gi",
		units: func(q resource.Quantity) int64 { return q.Value() },
		exact: func(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.BinarySI) },
	}
}

// quantity is a field that is CPU or memory as Kubernetes writes it.
func quantity[T any](name, meaning string, a amount, at func(*T) *int64) field[T] {
	return field[T]{
		name: name, typ: a.typ, meaning: meaning,
		set: func(w *walk, p place, into *T) {
			text, _, ok := w.scalar(p, a.example)
			if !ok {
				return
			}
			q, ok := kubernetes(text)
			switch {
			case !ok:
				w.fault(p, "%q is not a quantity; write one as Kubernetes does, such as %s", text, a.example)
			case q.Cmp(*a.exact(a.low)) < 0 || q.Cmp(*a.exact(a.high)) > 0:
				w.fault(p, "%s is not between %s and %s; write %s", text, a.exact(a.low), a.exact(a.high), a.example)
			case q.Cmp(*a.exact(a.units(q))) != 0:
				w.fault(p, "%s is finer than Kubernetes counts; write %s", text, a.example)
			default:
				*at(into) = a.units(q)
			}
		},
		show: func(of *T) string {
			if a.low > 0 && *at(of) == 0 {
				return "" // no default
			}
			return a.exact(*at(of)).String()
		},
	}
}

// kubernetes reads a quantity. Powers of ten (1e3) are refused: nobody writes them, and a huge one is
// slow to work with.
func kubernetes(text string) (resource.Quantity, bool) {
	if i := strings.IndexAny(text, "eE"); len(text) > 32 || i >= 0 && i < len(strings.TrimSuffix(text, "i"))-1 {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}
