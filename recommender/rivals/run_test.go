package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// put writes a file of a test's folder and gives its name.
func put(t *testing.T, folder, name, text string) string {
	t.Helper()
	name = filepath.Join(folder, name)
	var b bytes.Buffer
	b.WriteString(text)
	if strings.HasSuffix(name, ".gz") {
		b.Reset()
		z := gzip.NewWriter(&b)
		io.WriteString(z, text)
		z.Close()
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// hours is a week of two columns, a sample an hour.
func hours() string {
	var b strings.Builder
	b.WriteString("t,cpu_mcores,mem_mib\n")
	for i := range 10 * 24 {
		fmt.Fprintf(&b, "%d,%d,%d\n", start+3600*i, 400+i%7, 500+i%5)
	}
	return b.String()
}

func TestTables(t *testing.T) {
	folder := t.TempDir()
	put(t, folder, "a.csv.gz", hours())
	put(t, folder, "index.csv", "id,kind,path,cls,cpu_prov_mcores,mem_prov_mib,mem_valid\na,cpu_mem,a.csv.gz,steady,1000,1024,1\n"+
		"b,requests,absent.csv,other,,,\n")
	var out bytes.Buffer
	if err := run([]string{"--traces", folder}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CPU: 1 series", "Memory: 1 series", " vpa ", " genuine-vpa ", " genuine-vpa-recreate ", " genuine-vpa-kills "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables lack %q:\n%s", want, &out)
		}
	}
	var one bytes.Buffer
	if err := run([]string{filepath.Join(folder, "a.csv.gz")}, &one, io.Discard); err != nil {
		t.Error(err)
	}
}

// Bad input is told at once and whole, and nothing is printed.
func TestRefuses(t *testing.T) {
	folder := t.TempDir()
	bad, worse := put(t, folder, "bad.csv", "t,cpu_mcores\n1,x\n2,-3\n"), put(t, folder, "worse.csv.gz", "u,v\n")
	packed := put(t, folder, "plain.gz.csv", "") // neither packed nor a table
	os.Rename(packed, filepath.Join(folder, "plain.csv.gz"))
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"no series"}},
		{[]string{bad, worse}, []string{"bad.csv:2", "bad.csv:3", "worse.csv.gz:1"}},
		{[]string{filepath.Join(folder, "plain.csv.gz")}, []string{"plain.csv.gz: is empty"}},
		{[]string{"--traces", folder, "absent.csv"}, []string{"bad.csv:2", "absent.csv: cannot be read: no such file"}},
		{[]string{"--bench", bad}, []string{"leave out"}},
		{[]string{"--nothing"}, []string{"nothing"}},
	} {
		var out bytes.Buffer
		err := run(c.args, &out, io.Discard)
		if err == nil || out.Len() > 0 {
			t.Errorf("%v: error %v, printed %q", c.args, err, &out)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: the error lacks %q: %v", c.args, want, err)
			}
		}
	}
}

// A measurement is one JSON object a line, with the keys that the main module's
// bench reads.
func TestBenchLines(t *testing.T) {
	var out bytes.Buffer
	if err := bench(&out, subjects(shared), effort{containers: 150, adds: 1000, recommendations: 200, rounds: 3}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(subjects(shared)) {
		t.Fatalf("%d lines for %d subjects", len(lines), len(subjects(shared)))
	}
	for _, line := range lines {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m["name"].(string), "vpa "+vpaVersion) {
			t.Errorf("name %q", m["name"])
		}
		for _, key := range []string{"addNs", "addPassNs", "scrapeNs", "recommendUs", "heapKB", "containers"} {
			if v, ok := m[key].(float64); !ok || v <= 0 {
				t.Errorf("%s of %s is %v", key, m["name"], m[key])
			}
		}
	}
}
