package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"0 8 * * 1": "", "*/5 9-17 1,15 jan-jun mon": "", "0 0 29 2 *": "", // a leap day comes
		"61 8 * * 1": "above maximum", "0 8 * * 8": "above maximum", "x 8 * * 1": `"x" is neither a number`,
		"0 0 30 2 *": "no date ever matches it", "0 0 31 4,6,9,11 *": "no date ever matches it",
		"0 9 * * MONDAY":               `"MONDAY" is neither a number nor three letters of a day or month`,
		"99999999999999999999 8 * * *": "value out of range", // it is a number
		"TZ=0":                         "cannot be read",     // the parser panics on it
	} {
		err := checkSchedule(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Zones come with the program: the image has no files for them.
func TestCheckTimeZone(t *testing.T) {
	t.Setenv("ZONEINFO", filepath.Join(t.TempDir(), "none"))
	for name, ok := range map[string]bool{"UTC": true, "Europe/Berlin": true, "America/Argentina/Ushuaia": true, "Europe/Berlinn": false, "CEST": false} {
		if err := checkTimeZone(name); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What only calendars and zone files tell is a fault of the file with its line, and exit code 2.
func TestValidateTimes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.yaml")
	doc := "apiVersion: trimtab.dev/v1alpha1\nkind: Report\nmetadata: {name: r}\nspec:\n  schedule: \"0 25 * * 1\"\n  timeZone: Europe/Berlinn\n" +
		"  recipients: [a@example.com]\n  from: a@example.com\n  smtp: {host: h, port: 25}\n"
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	_, fault, code := run("validate", file)
	for _, want := range []string{`report.yaml:5: spec.schedule: "0 25 * * 1" is not a schedule: end of range (25) above maximum (23)`, `report.yaml:6: spec.timeZone: "Europe/Berlinn" is not a time zone: unknown`} {
		if code != 2 || !strings.Contains(fault, want) {
			t.Errorf("code %d, %s\nwant %s", code, fault, want)
		}
	}
}

// TestDemoGovernance: what the demo applies is a valid document that enforces.
func TestDemoGovernance(t *testing.T) {
	text, err := os.ReadFile("../../deploy/demo/governance.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, document, ok := strings.Cut(string(text), "ml-research.yaml: |\n")
	if !ok || !strings.Contains(document, "mode: enforce") {
		t.Fatal("the ConfigMap has no key ml-research.yaml that enforces")
	}
	file := filepath.Join(t.TempDir(), "governance.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll("\n"+document, "\n    ", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, fault, code := run("validate", file); code != 0 || !strings.Contains(out, "1 governance,") {
		t.Error(out, fault)
	}
}
