package kube

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"trimtab.dev/trimtab/optimizer"
)

// The keys of the orders ConfigMap: an order is VERB.ID, its answer answer.VERB.ID.
const (
	answerPrefix = "answer."
	maxKey       = 253 // bytes, of any ConfigMap's key
)

// The most that is taken of a name and given of an answer, in bytes.
const (
	maxBy     = 128
	maxAnswer = 4 << 10
)

// OrderKey is the key of the order that asks for verb with id.
func OrderKey(verb optimizer.Verb, id string) string { return string(verb) + "." + id }

func isAnswer(key string) bool { return strings.HasPrefix(key, answerPrefix) }

func answerKey(key string) string {
	key = answerPrefix + key
	return key[:min(len(key), maxKey)]
}

// readOrder reads one key. Beside an error the order has its key.
func readOrder(key, text string) (optimizer.Order, error) {
	verb, id, _ := strings.Cut(key, ".")
	none := optimizer.Order{Key: key}
	switch optimizer.Verb(verb) {
	case optimizer.Approve, optimizer.Revert, optimizer.Send:
	default:
		return none, fmt.Errorf("%s is no order; their keys are apply.ID, revert.ID and send.NAME", key)
	}
	var o optimizer.Order
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return none, fmt.Errorf("it cannot be read: %w; are the daemon and your program of one version?", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return none, errors.New("it cannot be read: something follows the order")
	}
	if id == "" || o.Verb != optimizer.Verb(verb) || o.ID != id || o.Key != key {
		return none, fmt.Errorf("the key is %s, the order in it is for %s (%s %s)", key, o.Key, o.Verb, o.ID)
	}
	if o.At.IsZero() {
		return none, errors.New("it does not say when it was given")
	}
	o.By = cmp.Or(printable(o.By, maxBy), "unknown")
	return o, nil
}

// answerText is an answer as it is written.
type answerText struct {
	At      time.Time `json:"at"`
	Ordered time.Time `json:"ordered,omitzero"` // when the order that it answers was given
	Text    string    `json:"text"`
}

func (a answerText) String() string {
	a.At, a.Text = a.At.UTC().Truncate(time.Second), printable(a.Text, maxAnswer)
	text, err := json.Marshal(a)
	if err != nil {
		return "{}" // unreachable unless bug: two times of this millennium and a string
	}
	return string(text)
}

func readAnswer(text string) (answerText, bool) {
	var a answerText
	err := json.Unmarshal([]byte(text), &a)
	return a, err == nil && !a.At.IsZero()
}

// printable is s for a line on a terminal, at most that many bytes of it.
func printable(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	const more = "..."
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len(more)], "") + more
}
