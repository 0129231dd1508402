package router

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
)

// Errors that callers tell apart.
var (
	ErrUnknownModel   = errors.New("no such model")
	ErrUnknownVersion = errors.New("no such version")
	ErrLoading        = errors.New("model is not loaded yet")
	ErrNoRule         = errors.New("no rule fits the request")
)

// Hint is what a request says that a rule or a weight may go by. The functions may be nil.
type Hint struct {
	Header func(name string) string
	Field  func(name string) (value string, ok bool) // of the body's object
	Key    string                                    // requests of one key get one version, as long as the weights stay; empty: no key
}

// table is all that requests are sent by. It never changes: another one takes its place.
type table struct {
	config   Config
	models   map[string]*family
	rules    map[string][]rule
	chains   map[string]*chain
	fallback string
	fields   []string
	entries  []*Entry // in the order of the configuration
}

// family is the versions of a model.
type family struct {
	entries []*Entry
	weights []int64
	sum     int64
	single  *Entry         // the only one with a weight, or nil
	turn    *atomic.Uint64 // requests shared out by weight; it goes on when the table changes
}

// newFamily shares out by the weights of entries.
func newFamily(entries []*Entry, turn *atomic.Uint64) *family {
	f := &family{entries: entries, turn: turn}
	var divisor int64
	shares := 0
	for _, e := range entries {
		f.weights = append(f.weights, e.Weight)
		f.sum += e.Weight
		divisor = gcd(divisor, e.Weight)
		if e.Weight > 0 {
			f.single = e
			shares++
		}
	}
	for i := range f.weights {
		f.weights[i] /= max(divisor, 1)
	}
	f.sum /= max(divisor, 1)
	if shares > 1 {
		f.single = nil
	}
	return f
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (f *family) version(version string) *Entry {
	for _, e := range f.entries {
		if e.Version == version {
			return e
		}
	}
	return nil
}

func (f *family) versions() (list []string) {
	for _, e := range f.entries {
		list = append(list, e.Version)
	}
	return list
}

// newest is the last entry that has a share.
func (f *family) newest() *Entry {
	for _, e := range slices.Backward(f.entries) {
		if e.Weight > 0 {
			return e
		}
	}
	return f.entries[len(f.entries)-1] // unreachable unless bug: a sum of weights is never 0
}

// next is the entry of a request that names no version.
func (f *family) next(key string) *Entry {
	switch {
	case f.single != nil:
		return f.single
	case key != "":
		return f.entries[keyed(hash(key), f.weights, f.sum)]
	}
	return f.entries[turned(f.turn.Add(1)-1, f.weights, f.sum)]
}

// turned is whose turn number n is. In every run of sum turns each has exactly its weight, spread evenly;
// no state is needed but the number. Each takes the turns at which its line (turn x weight / sum) passes a
// whole number, and those behind it share the turns that are left in the same way. With weights 2, 1, 1:
//
//	turn  0 1 2 3  4 5 6 7
//	      0 1 0 2  0 1 0 2
func turned(n uint64, weights []int64, sum int64) int {
	turn := int64(n % uint64(sum)) // below 2^30, as the weights are
	for i, w := range weights {
		before := ceil(turn*w, sum)
		if ceil((turn+1)*w, sum) > before {
			return i
		}
		turn -= before
		sum -= w
	}
	return len(weights) - 1 // unreachable unless bug
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// keyed is whose key h is: a fixed place between 0 and 1, which falls into one of the shares laid end to end.
// When the last share grows, only keys that it takes over move.
func keyed(h uint64, weights []int64, sum int64) int {
	at, _ := bits.Mul64(h, uint64(sum))
	for i, w := range weights {
		if at < uint64(w) {
			return i
		}
		at -= uint64(w)
	}
	return len(weights) - 1 // unreachable unless bug
}

// hash is FNV-1a, stirred so that the high bits are good too. Every server has the same.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// rule is a Route.
type rule struct {
	field, header string
	is            map[string]string
	otherwise     string
}

// target is where the request goes, false if another rule has to say.
func (r rule) target(h Hint) (name, version string, ok bool) {
	value, given := r.value(h)
	switch {
	case r.is == nil && given:
		name, _ = splitTarget(r.otherwise)
		return name, value, true
	case given:
		if to, ok := r.is[value]; ok {
			name, version = splitTarget(to)
			return name, version, true
		}
	}
	name, version = splitTarget(r.otherwise)
	return name, version, name != ""
}

func (r rule) value(h Hint) (string, bool) {
	switch {
	case r.header != "" && h.Header != nil:
		v := h.Header(r.header)
		return v, v != ""
	case r.field != "" && h.Field != nil:
		return h.Field(r.field)
	}
	return "", false
}

// find is the way from a name to its entry or its chain; one of the two is set. It takes the request's turn.
func (t *table) find(name, version string, h Hint) (*Entry, *chain, error) {
	f, e, c, err := t.resolve(name, version, h)
	if f != nil {
		return f.next(h.Key), nil, nil
	}
	return e, c, err
}

// resolve is find, up to the family of a request that is shared out by weight. It takes no turn.
func (t *table) resolve(name, version string, h Hint) (*family, *Entry, *chain, error) {
	if name == "" {
		name = t.fallback
	}
	asked := name
	if rules, ok := t.rules[name]; ok && (version == "" || t.models[name] == nil) {
		to, wants, err := ruled(rules, name, h)
		if err != nil {
			return nil, nil, nil, err
		}
		name = to
		if version == "" {
			version = wants
		}
	}
	if c := t.chains[name]; c != nil {
		if version != "" {
			return nil, nil, nil, fmt.Errorf("%w: %q is a chain and has none; asked for %.80q", ErrUnknownVersion, name, version)
		}
		return nil, nil, c, nil
	}
	f := t.models[name]
	if f == nil {
		return nil, nil, nil, fmt.Errorf("%w: %.80q", ErrUnknownModel, asked)
	}
	if version == "" {
		return f, nil, nil, nil
	}
	if e := f.version(version); e != nil {
		return nil, e, nil, nil
	}
	return nil, nil, nil, fmt.Errorf("%w: model %q has no version %.80q", ErrUnknownVersion, name, version)
}

// ruled is the target of the first rule that has one for the request.
func ruled(rules []rule, alias string, h Hint) (name, version string, err error) {
	for _, r := range rules {
		if name, version, ok := r.target(h); ok {
			return name, version, nil
		}
	}
	return "", "", fmt.Errorf("%w: %q goes by %s", ErrNoRule, alias, by(rules))
}

// by names what the rules look at, for people.
func by(rules []rule) string {
	text := ""
	for i, r := range rules {
		if i > 0 {
			text += ", "
		}
		if r.header != "" {
			text += "header " + r.header
			continue
		}
		text += "field " + r.field
	}
	return text
}

// newTable lays out entries, which are in the order of c's models and versions. turns are those of the
// table before.
func newTable(c Config, entries []*Entry, before *table) (*table, error) {
	t := &table{config: c, models: map[string]*family{}, rules: map[string][]rule{}, chains: map[string]*chain{}, fallback: c.fallback(), entries: entries}
	for _, m := range c.Models {
		turn := new(atomic.Uint64)
		if before != nil && before.models[m.Name] != nil {
			turn = before.models[m.Name].turn
		}
		t.models[m.Name] = newFamily(entries[:len(m.Versions):len(m.Versions)], turn)
		entries = entries[len(m.Versions):]
	}
	for _, r := range c.Routes {
		t.rules[r.Alias] = append(t.rules[r.Alias], rule{r.Field, r.Header, r.Is, r.Otherwise})
		if r.Field != "" && !slices.Contains(t.fields, r.Field) {
			t.fields = append(t.fields, r.Field)
		}
	}
	var faults []error
	for _, cc := range c.Chains {
		ch, err := t.newChain(cc)
		faults = append(faults, err)
		t.chains[cc.Name] = ch
	}
	return t, errors.Join(faults...)
}
