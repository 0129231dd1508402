package replay

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestReadCSV(t *testing.T) {
	type want struct {
		id, unit string
		granted  float64
		at       []int64
		used     []float64
	}
	for _, tt := range []struct {
		name, text string
		want       []want
	}{
		{"a machine", "t,cpu_mcores,mem_mib\n100,56,0\n400,1500,2\n", []want{
			{"made", Cores, 0, []int64{100, 400}, []float64{0.056, 1.5}},
			{"made", Bytes, 0, []int64{100, 400}, []float64{0, 2 << 20}},
		}},
		{"percent of a core", "t,cpu_pct\n1,12\n2,100.5\n", []want{{"made", Cores, 1, []int64{1, 2}, []float64{0.12, 1.005}}}},
		{"a value", "t,value\n1,2\n", []want{{"made", Cores, 0, []int64{1}, []float64{2}}}},
		{"containers, with samples missing", "t,app,proxy_mcores,app_bytes\n1,2,,7\n2,,500,\n", []want{
			{"made/app", Cores, 0, []int64{1}, []float64{2}},
			{"made/proxy", Cores, 0, []int64{2}, []float64{0.5}},
			{"made/app", Bytes, 0, []int64{1}, []float64{7}},
		}},
		{"a column without samples", "t,a,b\n1,2,\n", []want{{"made/a", Cores, 0, []int64{1}, []float64{2}}}},
		{"times as text, a mark at the begin, spaces", "\ufefft, a\n2026-01-01T00:00:00Z, 1\n2026-01-01T01:00:01+01:00,2", []want{
			{"made/a", Cores, 0, []int64{1767225600, 1767225601}, []float64{1, 2}},
		}},
	} {
		got, err := ReadCSV(strings.NewReader(tt.text), "some/made.csv.gz")
		if err != nil || len(got) != len(tt.want) {
			t.Errorf("%s: %d series, want %d: %v", tt.name, len(got), len(tt.want), err)
			continue
		}
		for i, w := range tt.want {
			g := got[i]
			if g.ID != w.id || g.Unit != w.unit || g.Granted != w.granted || g.Floor != FloorOf(w.unit) || !slices.Equal(g.At, w.at) || !slices.Equal(g.Used, w.used) {
				t.Errorf("%s: %+v, want %+v", tt.name, g, w)
			}
		}
	}
}

func TestReadCSVFaults(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", []string{"f.csv: is empty"}},
		{"t,a\n", []string{"f.csv: holds no samples"}},
		{"t,a\n1,\n", []string{"f.csv: holds no samples"}},
		{"time,a\n1,2\n", []string{`f.csv:1: the header "time,a" is of no known form; write t,cpu_mcores`}},
		{"t;web_cores\n1;0,5\n", []string{`f.csv:1: the header "t;web_cores" has no comma; separate columns by commas, and write 0.5 with a point`}},
		{"t\n1\n", []string{"f.csv:1: the header"}},
		{"t,a,a\n1,2,3\n", []string{`f.csv:1: column "a": give every column a name of its own`}},
		{"t,a,a_mcores\n1,2,3\n", []string{`f.csv:1: column "a_mcores"`}},
		{"t,\n1,2\n", []string{`f.csv:1: column ""`}},
		{"t,a\n1,-2\n2,x\n3,NaN\n4,+Inf\n5,1e300\nsoon,1\n", []string{
			`f.csv:2: a is "-2"`, `f.csv:3: a is "x"`, `f.csv:4: a is "NaN"`, `f.csv:5: a is "+Inf"`, `f.csv:6: a is "1e300"`, `f.csv:7: the time "soon"`,
		}},
		{"t,a\n5,1\n5,1\n4,1\n6,1\n", []string{"f.csv:3: the time 5 is not after", "f.csv:4: the time 4 is not after"}},
		{"t,a\n1767225600000,1\n-1,1\n", []string{"f.csv:2: the time 1767225600000 is not in seconds", "f.csv:3: the time -1"}},
		{"t,a\n1,2,3\n2\n", []string{"f.csv:2: 3 fields where the header has 2", "f.csv:3: 1 fields"}},
		{"t,a\n1,\"2\nx\"y,3\n4,-1\n", []string{"f.csv:3: is not a row of comma-separated values"}},
	} {
		got, err := ReadCSV(strings.NewReader(tt.text), "f.csv")
		if err == nil || got != nil {
			t.Errorf("%q: read as %v", tt.text, got)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v\nlacks %q", tt.text, err, w)
			}
		}
	}
}

func TestReadCSVManyFaults(t *testing.T) {
	text := "t,a\n" + strings.Repeat("x,1\n", 50)
	_, err := ReadCSV(strings.NewReader(text), "f.csv")
	if lines := strings.Split(err.Error(), "\n"); len(lines) != mostFaults+1 || lines[mostFaults] != "f.csv: 30 more faults" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// FuzzReadCSV: whatever is read is what a Series promises, and reading what was read writes the same.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{
		"t,cpu_mcores,mem_mib\n100,56,0\n400,1500,2\n", "t,cpu_pct\n1,12\n", "t,a,b_bytes\n1,,2\n2026-01-01T00:00:00Z,3,\n", "t,a\n1,\"2\n", "t,a\n1,-0\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ReadCSV(strings.NewReader(text), "f.csv")
		if err != nil {
			if all != nil {
				t.Fatal("series beside faults")
			}
			return
		}
		for _, s := range all {
			promised(t, s)
			again, err := ReadCSV(strings.NewReader(written(s)), "f.csv")
			if err != nil || len(again) != 1 || !slices.Equal(again[0].At, s.At) || !slices.Equal(again[0].Used, s.Used) {
				t.Fatalf("%+v, written and read again: %+v %v", s, again, err)
			}
		}
	})
}

func promised(t *testing.T, s Series) {
	t.Helper()
	if len(s.At) == 0 || len(s.At) != len(s.Used) || s.ID == "" || s.Unit != Cores && s.Unit != Bytes {
		t.Fatalf("%+v", s)
	}
	for i, v := range s.Used {
		if !(v >= 0) || math.IsInf(v, 0) || math.Signbit(v) || i > 0 && s.At[i] <= s.At[i-1] {
			t.Fatalf("sample %d: %d %g", i, s.At[i], v)
		}
	}
}

func written(s Series) string {
	var b strings.Builder
	b.WriteString("t,x_" + s.Unit + "\n")
	for i, at := range s.At {
		fmt.Fprintf(&b, "%d,%v\n", at, s.Used[i])
	}
	return b.String()
}

const anIndex = `id,kind,path,rows,cls,cpu_prov_mcores,mem_prov_mib,mem_valid,licence
a,cpu_mem,cpu/a.csv.gz,10,steady,4000,8192,1,"one, of its own"
b,cpu_mem,cpu/b.csv.gz,10,bursty,1000,1024,0,
c,catalog,prices.csv,,,,,,
`

func TestReadIndex(t *testing.T) {
	got, err := ReadIndex(strings.NewReader(anIndex), "index.csv")
	want := []Entry{
		{"a", "cpu_mem", "cpu/a.csv.gz", "steady", 4, 8192 * MiB, true},
		{"b", "cpu_mem", "cpu/b.csv.gz", "bursty", 1, 1024 * MiB, false},
		{"c", "catalog", "prices.csv", "", 0, 0, false},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%+v %v", got, err)
	}
	if !got[0].Replayable() || got[2].Replayable() {
		t.Error("an entry of use is replayed, a catalogue is not")
	}
	read := []Series{{ID: "x", Unit: Cores, Granted: 1}, {ID: "x", Unit: Bytes}}
	a, b := got[0].Label(read), got[1].Label(read)
	if len(a) != 2 || a[0].ID != "a" || a[0].Class != "steady" || a[0].Granted != 4 || a[1].Granted != 8192*MiB {
		t.Errorf("labelled: %+v", a)
	}
	if len(b) != 1 || b[0].Unit != Cores {
		t.Errorf("memory that cannot be trusted: %+v", b)
	}
	if read[0].ID != "x" {
		t.Error("Label changed its argument")
	}
}

func TestReadIndexFaults(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", []string{"index.csv: has no header"}},
		{"id,kind\n", []string{"index.csv:1: has no column path", "index.csv:1: has no column cls"}},
		{"id,kind,path,cls,cpu_prov_mcores\n../a,cpu_mem,../b.csv,x,much\nb,cpu_mem,/b,x\n", []string{
			`index.csv:2: the id "../a"`, `index.csv:2: the path "../b.csv"`, `index.csv:2: cpu_prov_mcores is "much"`,
			`index.csv:3: 4 fields where the header has 5`, `index.csv:3: the path "/b"`,
		}},
	} {
		got, err := ReadIndex(strings.NewReader(tt.text), "index.csv")
		if err == nil || got != nil {
			t.Errorf("%q: read as %v", tt.text, got)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v\nlacks %q", tt.text, err, w)
			}
		}
	}
}
