package router

import (
	"strings"
	"testing"
)

// TestAlike: versions that share requests, and what takes the place of a version, take and give the same; a
// version without a share may be another.
func TestAlike(t *testing.T) {
	const (
		two   = `{"Mul": 2}`
		three = `{"Mul": 3, "In": [{"Name": "z", "Type": 12, "Shape": [3]}]}`
	)
	models := func(first, second, weights string) string {
		return `{"models": [{"name": "m", "versions": [{"version": "v1", "file": "toy:` + quoted(first) + `"` + weights +
			`}, {"version": "v2", "file": "toy:` + quoted(second) + `"` + weights + `}]}]}`
	}
	for _, tt := range []struct{ name, before, config, fault string }{
		{"a share each", "", models(two, three, `, "weight": 1`), "m v2 takes z FP32[3] and gives y FP32[1]; v1, which takes x FP32[2]"},
		{"the last has all", "", models(two, three, ""), ""},
		{"alike", "", models(two, `{"Mul": 4}`, `, "weight": 1`), ""},
		{"in the place of a version", models(two, two, ""), models(three, two, ""), "m v1 takes z FP32[3]"},
		{"the same in its place", models(two, two, ""), models(`{"Mul": 5}`, two, ""), ""},
	} {
		r := newRig(t, nil)
		for _, text := range []string{tt.before, tt.config} {
			if text == "" {
				continue
			}
			c, _, err := ParseConfig([]byte(text), flags())
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			err = r.Apply(t.Context(), c)
			if text == tt.config && (tt.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
			}
		}
	}
}

func quoted(s string) string { return strings.ReplaceAll(s, `"`, `\"`) }
