package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trimtab.dev/trimtab/cmd/simulate/show"
)

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("kind: Fleet\nweeks: 99\nfleet: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"help", []string{"--help"}, 0, []string{"-fleet file"}},
		{"unknown flag", []string{"--flet", "x"}, 2, []string{"flet"}},
		{"argument", []string{"x"}, 2, []string{"give flags only"}},
		{"format", []string{"-o", "xml"}, 2, []string{"text or json"}},
		{"bad file", []string{"--fleet", bad}, 2, []string{bad + ": line 1: ", bad + ": line 2: weeks is 1 to 12", `line 3: unknown field "fleet"`}},
		{"weeks", []string{"--weeks", "53"}, 2, []string{"--weeks 53: give 1 to 12, or leave it out"}},
		{"no file", []string{"--fleet", filepath.Join(dir, "none")}, 2, []string{"none: cannot be read: no such file"}},
		{"no folder", []string{"--weeks", "1", "--html", filepath.Join(dir, "none", "page.html")}, 1, []string{"page.html"}},
	} {
		var out, diag bytes.Buffer
		code := exit(show.Run(t.Context(), c.args, &out, &diag), &diag)
		if code != c.code || out.Len() > 0 {
			t.Errorf("%s: exit %d, want %d; printed %q", c.name, code, c.code, out.String())
		}
		for _, want := range c.want {
			if !strings.Contains(diag.String(), want) {
				t.Errorf("%s: %q does not say %q", c.name, diag.String(), want)
			}
		}
	}
}

func TestTextAndPage(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	var out, diag bytes.Buffer
	if code := exit(show.Run(t.Context(), []string{"--weeks", "1", "--html", page}, &out, &diag), &diag); code != 0 {
		t.Fatalf("exit %d: %s", code, diag.String())
	}
	for _, want := range []string{"SIMULATED", "a week", "\n1. ", "\n3. ", "\nGPU ", "\nheld ", "\ncheck ", page, "make demo", "level 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, out.String())
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("SIMULATED")) {
		t.Errorf("the page: %v", err)
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := show.Run(t.Context(), []string{"--weeks", "1", "-o", "json"}, &out, os.Stderr); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Simulated  bool
		Models     int
		Now, After struct{ Amount int64 }
		Lines      []struct{ Now, After struct{ Amount int64 } }
		Plan       struct{ Assessments []any }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var now, after int64
	for _, l := range got.Lines {
		now, after = now+l.Now.Amount, after+l.After.Amount
	}
	if !got.Simulated || got.Models != 12 || len(got.Plan.Assessments) != 12 || now != got.Now.Amount || after != got.After.Amount || after >= now {
		t.Errorf("%+v: lines add up to %d and %d", got, now, after)
	}
}
