package managed

import (
	"encoding/json"
	"strings"
	"testing"
)

func treeFrom(t *testing.T, text string) tree {
	t.Helper()
	var out tree
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDifferences(t *testing.T) {
	for _, tt := range []struct{ name, want, live, says string }{
		{"the same", `{"a":{"b":[1,2],"c":"x"}}`, `{"a":{"b":[1,2],"c":"x"}}`, ""},
		{"more is there", `{"a":1}`, `{"a":1,"b":2,"status":{}}`, ""},
		{"a value", `{"a":{"b":1}}`, `{"a":{"b":2}}`, "a.b is 2, not 1"},
		{"nothing there", `{"a":{"b":1,"c":2}}`, `{}`, "a.b is not set, not 1; a.c is not set, not 2"},
		{"false is not nothing", `{"a":false}`, `{}`, "a is not set, not false"},
		{"zero is not nothing", `{"a":0}`, `{}`, "a is not set, not 0"},
		{"empty is nothing", `{"a":{},"b":[],"c":null,"d":""}`, `{}`, ""},
		{"nothing is empty", `{"a":{}}`, `{"a":{"b":1}}`, ""},
		{"another type", `{"a":{"b":1}}`, `{"a":"b"}`, `a is b, not {"b":1}`},
		{"plain lists are compared whole", `{"a":["x"]}`, `{"a":["x","y"]}`, `a is ["x","y"], not ["x"]`},
		{"lists of objects by name", `{"c":[{"name":"m","i":1}]}`, `{"c":[{"name":"other","i":2},{"name":"m","i":1,"j":3}]}`, ""},
		{"the item of that name differs", `{"c":[{"name":"m","i":1}]}`, `{"c":[{"name":"o","i":1},{"name":"m","i":3}]}`, "c[m].i is 3, not 1"},
		{"no item of that name", `{"c":[{"name":"m","i":1}]}`, `{"c":[{"name":"o","i":1}]}`, "c[m] is missing"},
		{"items without a name", `{"c":[{"i":1},{"i":2}]}`, `{"c":[{"i":2}]}`, "c[0] is missing"},
		{"no list", `{"c":[{"i":1}]}`, `{}`, `c is not set, not [{"i":1}]`},
		{"long values are cut", `{"a":"` + strings.Repeat("x", 70) + `"}`, `{"a":"y"}`, "a is y, not " + strings.Repeat("x", 57) + "..."},
		{"text is shown on one line", `{"a":"{\n  \"b\": 1\n}\n"}`, `{"a":"{}"}`, `a is {}, not { "b": 1 }`},
		{"many", `{"a":1,"b":2,"c":3,"d":4,"e":5}`, `{}`, "a is not set, not 1; b is not set, not 2; c is not set, not 3; and 2 more"},
	} {
		if got := summary(differences(treeFrom(t, tt.want), treeFrom(t, tt.live))); got != tt.says {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.says)
		}
	}
}

// TestEveryFieldCounts: each value of the Deployment that we ask for, changed on its own, is noticed; and
// so is each that is taken away, unless it is empty.
func TestEveryFieldCounts(t *testing.T) {
	want := treeOf(deployment(quotes(), nil, 1))
	if d := differences(want, want); len(d) > 0 {
		t.Errorf("it differs from itself: %q", d)
	}
	leaves := 0
	walk(want, func(change func(any) (undo func())) {
		leaves++
		for _, other := range []any{"something else", nil} {
			changed := treeFrom(t, string(text(want)))
			undo := change(other)
			if d := differences(changed, want); len(d) != 1 {
				t.Errorf("changed to %v: %q differs of %s", other, d, text(want))
			}
			undo()
		}
	})
	if leaves < 50 {
		t.Errorf("only %d values were tried", leaves)
	}
}

// walk hands every value of a tree that is not empty, and no object or list of objects, to do.
func walk(v any, do func(change func(any) (undo func()))) {
	switch v := v.(type) {
	case tree:
		for key, child := range v {
			leaf(child, do, func(to any) func() { v[key] = to; return func() { v[key] = child } })
		}
	case []any:
		for i, child := range v {
			leaf(child, do, func(to any) func() { v[i] = to; return func() { v[i] = child } })
		}
	}
}

func leaf(child any, do func(func(any) func()), change func(any) func()) {
	if l, ok := child.([]any); ok && !ofObjects(l) && len(l) > 0 {
		do(change)
		return
	}
	switch child.(type) {
	case tree, []any:
		walk(child, do)
	case nil:
	default:
		do(change)
	}
}
