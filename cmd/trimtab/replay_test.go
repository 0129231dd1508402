package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/recommender/replay"
)

// writeFile makes a file in a folder.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// aWeek is nine days of a container: half a core by day, a tenth by night, a sample every 5 minutes.
func aWeek() string {
	var b strings.Builder
	b.WriteString("t,cpu_mcores,mem_mib\n")
	for i := range 9 * 288 {
		cpu := 100
		if hour := i / 12 % 24; hour >= 8 && hour < 20 {
			cpu = 500
		}
		fmt.Fprintf(&b, "%d,%d,%d\n", 1_767_571_200+300*i, cpu, 400+i%7)
	}
	return b.String()
}

func TestReplay(t *testing.T) {
	dir := t.TempDir()
	file := writeFile(t, dir, "app.csv", aWeek())
	html, lines := filepath.Join(dir, "out.html"), filepath.Join(dir, "lines")
	out, fault, code := run("replay", file, "--granted", "2", "--html", html, "--emit", lines, "--rule", "krr,vpa")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, fault)
	}
	// p95 of use that is half a core for half of the time is half a core: a quarter of the grant, never exceeded.
	for _, want := range []string{"CPU: 1 series", "Memory: 1 series", "krr    0.00", "0.250", "wrote the page to " + html} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	page, err := os.ReadFile(html)
	if err != nil || !strings.Contains(string(page), "<svg") || !strings.Contains(string(page), "</html>") {
		t.Errorf("the page: %v %.200s", err, page)
	}
	text, err := os.ReadFile(filepath.Join(lines, "krr", "app.csv"))
	if rows := strings.Split(strings.TrimSpace(string(text)), "\n"); err != nil || rows[0] != "t,request" || len(rows) != 1+8*288 || rows[8*288] != "1768348500,0.5" {
		t.Errorf("the requests: %v, %d rows, the last %s", err, len(rows), rows[len(rows)-1])
	}
	if _, err := os.Stat(filepath.Join(lines, "vpa", "app.memory.csv")); err != nil {
		t.Error(err)
	}
}

func TestReplayJSON(t *testing.T) {
	file := writeFile(t, t.TempDir(), "app.csv", aWeek())
	out, fault, code := run("replay", file, "-o", "json", "--resource", "cpu")
	var got replayAnswer
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, fault, out)
	}
	if len(got.Compared) != 1 || len(got.Compared[0].Rows) != len(replay.Rules(replay.Cores, nil)) || got.Compared[0].Rows[0].Summary.Name != "trimtab" {
		t.Errorf("%s", out)
	}
}

// TestReplayZone: a peak at 9 in Berlin, three weeks before and one after its clocks go forward on 29 March 2026. That day a plan
// by the hours of Berlin is ready for it, and one by those of UTC waits for it an hour later.
func TestReplayZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("t,value\n")
	for at := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC); at.Before(time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC)); at = at.Add(5 * time.Minute) {
		used := 0.1
		if at.In(berlin).Hour() == 9 {
			used = 2
		}
		fmt.Fprintf(&b, "%d,%g\n", at.Unix(), used)
	}
	dir := t.TempDir()
	file := writeFile(t, dir, "app.csv", b.String())
	const surprised = "\n1774767600,0." // Sunday the 29th at 9 in Berlin: a request of less than a core
	for _, zone := range []string{"UTC", "Europe/Berlin"} {
		lines := filepath.Join(dir, zone)
		if _, fault, code := run("replay", file, "--rule", "trimtab", "--zone", zone, "--emit", lines); code != 0 {
			t.Fatalf("exit code %d: %s", code, fault)
		}
		text, err := os.ReadFile(filepath.Join(lines, "trimtab", "app.csv"))
		if small := strings.Contains(string(text), surprised); err != nil || small != (zone == "UTC") {
			t.Errorf("%s: too small at the peak: %v, %v", zone, small, err)
		}
	}
}

// TestReplayFolder: by its index, and without one; packed files too.
func TestReplayFolder(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "index.csv", "id,kind,path,cls,cpu_prov_mcores,mem_valid\none,cpu_mem,use/a.csv,calm,4000,0\ntwo,cpu_pct,use/b.csv.gz,calm,,\nthree,catalog,absent.csv,,,\n")
	writeFile(t, dir, "use/a.csv", aWeek())
	packed, err := os.Create(filepath.Join(dir, "use", "b.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(packed)
	if _, err := z.Write([]byte(strings.Replace(strings.ReplaceAll(aWeek(), ",mem_mib", ",idle"), "cpu_mcores", "cpu_pct", 1))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	packed.Close()
	for _, path := range []string{dir, filepath.Join(dir, "use")} {
		out, fault, code := run("replay", path, "--rule", "krr", "--resource", "cpu")
		if code != 0 || !strings.Contains(out, "CPU: 3 series") {
			t.Errorf("%s: exit code %d\n%s%s", path, code, out, fault)
		}
	}
	writeFile(t, filepath.Join(dir, "use"), "b.csv", aWeek())
	if _, fault, code := run("replay", filepath.Join(dir, "use")); code != 2 || !strings.Contains(fault, `two series are called "b" and "b"`) {
		t.Errorf("two of one name: exit code %d\n%s", code, fault)
	}
}

// TestReplayBadInput: exit code 2, every fault at once, and nothing is written.
func TestReplayBadInput(t *testing.T) {
	dir := t.TempDir()
	good := writeFile(t, dir, "good.csv", aWeek())
	bad := writeFile(t, dir, "bad.csv", "t,a\n2,1\n1,x\n")
	short := writeFile(t, t.TempDir(), "short.csv", "t,a\n0,1\n108000,2\n216000,1\n")
	html, lines := filepath.Join(t.TempDir(), "page.html"), filepath.Join(dir, "lines")
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"the form is: trimtab replay FILE.csv"}},
		{[]string{"absent.csv"}, []string{"absent.csv: cannot be read: no such file"}},
		{[]string{empty}, []string{"holds neither an index.csv nor .csv"}},
		{[]string{dir}, []string{"bad.csv:3: the time 1 is not after", `bad.csv:3: a is "x"`}},
		{[]string{bad, "--rule", "vpaa", "-o", "yaml", "--granted", "-1", "--core-hour", "1", "--plots", "-1", "--resource", "gpu", "--zone", "Mars"}, []string{
			"bad.csv:3: the time 1", "--rule vpaa: there is no such rule; choose of trimtab", "choose text or json", "--granted -1: give", "go together", "--plots -1", "--resource gpu", `--zone "Mars": write an IANA name`,
		}},
		{[]string{short}, []string{"short.csv: has at most 2.5 days of cpu, too few to be scored: the first three days are warm-up"}},
		{[]string{good, "--rule", "crane", "--resource", "memory"}, []string{"--rule crane: is not for bytes"}},
	} {
		out, fault, code := run(append([]string{"replay", "--html", html, "--emit", lines}, tt.args...)...)
		if code != 2 || out != "" {
			t.Errorf("%v: exit code %d\n%s%s", tt.args, code, out, fault)
		}
		for _, w := range tt.want {
			if !strings.Contains(fault, w) {
				t.Errorf("%v: lacks %q:\n%s", tt.args, w, fault)
			}
		}
	}
	for _, tt := range []struct{ html, emit, want string }{
		{filepath.Join(dir, "absent", "page.html"), lines, "page.html: there is no such folder"},
		{dir, lines, "--html " + dir + ": there is no such folder, or it is one"},
		{filepath.Join(dir, "page.html"), good, "--emit " + good + ": is a file"},
	} {
		if out, fault, code := run("replay", good, "--html", tt.html, "--emit", tt.emit); code != 2 || out != "" || !strings.Contains(fault, tt.want) {
			t.Errorf("--html %s --emit %s: exit code %d\n%s%s", tt.html, tt.emit, code, out, fault)
		}
	}
	for _, path := range []string{html, lines} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}
