package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/router"
)

// keysTable is README's table of the configuration's keys.
func keysTable() string {
	var b strings.Builder
	b.WriteString("| key | flag | environment | default | meaning |\n|---|---|---|---|---|\n")
	code := func(s string) string {
		if s == "" {
			return "-"
		}
		return "`" + s + "`"
	}
	for _, k := range router.Keys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, code(k.Flag), code(k.Env), strings.ReplaceAll(k.Default, "|", ""), k.Meaning)
	}
	return b.String()
}

// TestKeysAreInTheReadme holds README's table to the code.
func TestKeysAreInTheReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := keysTable(); !strings.Contains(string(text), want) {
		t.Errorf("README.md has no such table:\n%s", want)
	}
}

// TestKeysAreFlags: every flag and variable that the table names is one of serve, with the same default.
func TestKeysAreFlags(t *testing.T) {
	flags := new(serveOptions).settings()
	for _, k := range router.Keys() {
		one, known := flags.find(strings.TrimPrefix(k.Flag, "--"))
		if k.Flag != "" && (!known || one.env != k.Env && k.Env != "") {
			t.Errorf("%s: serve has no flag %s with %s", k.Name, k.Flag, k.Env)
		}
		if one.standing != "" && k.Env != "" && !strings.HasPrefix(k.Default, one.standing) {
			t.Errorf("%s: default %q in the table, %q of the flag", k.Name, k.Default, one.standing)
		}
	}
}

// TestManifestsConfig: the configuration in deploy/modelserver.yaml is one, and its models load.
func TestManifestsConfig(t *testing.T) {
	text, err := os.ReadFile("../../deploy/modelserver.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "model_config.json: |\n")
	config, _, _ := strings.Cut(rest, "\n---")
	var o serveOptions
	if bad := o.parse(nil, func(string) string { return "" }); len(bad) > 0 {
		t.Fatal(bad)
	}
	c, ignored, err := router.ParseConfig([]byte(config), o.standing)
	if err != nil || len(ignored) > 0 || len(c.Models) != 3 {
		t.Fatalf("%d models, ignored %v, %v", len(c.Models), ignored, err)
	}
	for _, m := range c.Models {
		for _, v := range m.Versions {
			if !named(v.File) || v.Limits.SLO != 100*time.Millisecond {
				t.Errorf("%s %s: file %s, limits %+v", m.Name, v.Version, v.File, v.Limits)
			}
		}
	}
}
