package router

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *reading) needed(p place, key, value string) {
	if value != "" {
		return
	}
	for _, f := range p.n.fields {
		if f.key == key {
			return // its own fault is told already
		}
	}
	r.fault(p, "there is no %s", key)
}

func (r *reading) text(p place) string {
	if p.n.kind != text || p.n.word == "" {
		r.fault(p, `%s is not a text in quotes, like "v2"`, p.n)
		return ""
	}
	return p.n.word
}

func (r *reading) truth(p place) bool {
	if p.n.kind != truth {
		r.fault(p, "%s is not true or false", p.n)
	}
	return p.n.word == "true"
}

func (r *reading) oneOf(p place, words ...string) string {
	if p.n.kind != text || !slices.Contains(words, p.n.word) {
		r.fault(p, "%s is none of %s", p.n, strings.Join(words, ", "))
	}
	return p.n.word
}

// texts reads an object whose values are texts.
func (r *reading) texts(p place) map[string]string {
	if p.n.kind != object {
		r.fault(p, "%s is not an object", p.n)
		return map[string]string{}
	}
	out := map[string]string{}
	for _, f := range p.n.fields {
		if _, twice := out[f.key]; twice {
			r.fault(p.key(f), "the key is there twice")
		}
		out[f.key] = r.text(p.key(f))
	}
	return out
}

func (r *reading) span(p place) time.Duration {
	d, err := time.ParseDuration(p.n.word)
	if p.n.kind != text || err != nil || d < 0 {
		r.fault(p, `%s is not a duration in quotes, like "5ms"`, p.n)
		return 0
	}
	return d
}

// weight reads 0 to 1000, with up to four digits after the point.
func (r *reading) weight(p place) int64 {
	f, err := strconv.ParseFloat(p.n.word, 64)
	parts := math.Round(f * weightParts)
	if p.n.kind != number || err != nil || !(f >= 0 && f <= mostWeight) || math.Abs(parts-f*weightParts) > 1e-6 {
		r.fault(p, "%s is not a weight from 0 to %d, with up to four digits after the point", p.n, mostWeight)
		return 0
	}
	return int64(parts)
}

// whole reads a whole number from low to high of what unit says.
func whole[T int | int64](r *reading, p place, low, high T, unit string) T {
	n, err := strconv.ParseInt(p.n.word, 10, 64)
	switch {
	case p.n.kind != number || err != nil:
		r.fault(p, "%s is not a whole number%s", p.n, unit)
		return low
	case n < int64(low) || n > int64(high):
		r.fault(p, "%s is not a whole number%s from %d to %d", p.n, unit, low, high)
		return low
	}
	return T(n)
}
