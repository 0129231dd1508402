package policies

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

var update = flag.Bool("update", false, "rewrite golden files")

// Every file under testdata/bad has the faults that its golden listing says, in words read by hand.
func TestParseBad(t *testing.T) {
	var got strings.Builder
	for _, file := range files(t, "bad") {
		docs, faults := Parse(readRaw(t, file))
		if len(faults) == 0 {
			t.Errorf("%s: no fault", file)
		}
		if len(docs.Policies)+len(docs.Prices) > 0 {
			t.Errorf("%s: faults, and yet values", file)
		}
		for _, f := range faults {
			got.WriteString(f.String() + "\n")
		}
		got.WriteString("\n")
	}
	golden(t, filepath.Join("testdata", "bad", "faults.golden"), got.String())
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no files in testdata/%s: %v", folder, err)
	}
	return all
}

func readRaw(t *testing.T, file string) Raw {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Raw{Source: filepath.Base(file), Data: data}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./policies -update rewrites it\n--- got\n%s", file, got)
	}
}

// The examples say what their comments promise.
func TestParseGood(t *testing.T) {
	got := map[string]Documents{}
	for _, file := range files(t, "good") {
		docs, faults := Parse(readRaw(t, file))
		for _, f := range faults {
			t.Errorf("%s: %s", file, f)
		}
		got[docs.Name] = docs
	}
	policy := func(name string) Policy {
		if len(got[name].Policies) != 1 {
			t.Fatalf("%s: %d policies, want 1", name, len(got[name].Policies))
		}
		return got[name].Policies[0]
	}

	minimal := Default()
	minimal.Name, minimal.Source = "ml-production", "minimal.yaml"
	minimal.Selector.Namespaces = []string{"ml-production"}
	if p := policy("ml-production"); !reflect.DeepEqual(p, minimal) {
		t.Errorf("minimal.yaml\n got %+v\nwant %+v", p, minimal)
	}

	every := Policy{
		Name: "every-field", Source: "every-field.yaml",
		Selector: Selector{
			Namespaces: []string{"ml-production"}, Names: []string{"recommendation-model", "batch-scorer"},
			MatchLabels: map[string]string{"version": "2"}, NamespaceLabels: map[string]string{"env": "production"},
		},
		Mode: Enforce, Class: fleet.Batch, Window: 48 * time.Hour, MinHistory: 12 * time.Hour, StaleAfter: 10 * time.Minute,
		RightSizing: RightSizing{UnderusedBelow: 0.4, Percentile: 0.9, Margin: 0.1, MemoryMargin: 0.2, MinMilliCPU: 50, MinMemory: 64 << 20},
		Replicas:    Replicas{RequestsPerSecond: 25, OnlineFloor: 4, BatchFloor: 2},
		Budget:      5,
	}
	if p := policy("every-field"); !reflect.DeepEqual(p, every) {
		t.Errorf("every-field.yaml\n got %+v\nwant %+v", p, every)
	}

	prices := []Price{
		{InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.OnDemand, Hourly: 96_000, Line: 9},
		{InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.Spot, Hourly: 35_200, Line: 10},
		{InstanceType: "g4dn.xlarge", Capacity: fleet.OnDemand, Hourly: 526_000, Line: 11},
	}
	if p := got["our-prices"].Prices; !reflect.DeepEqual(p, prices) {
		t.Errorf("prices.yaml\n got %+v\nwant %+v", p, prices)
	}
}

// The table reads every field that a policy has: no leaf of every-field.yaml is at its default.
func TestTableCoversPolicy(t *testing.T) {
	docs, faults := Parse(readRaw(t, filepath.Join("testdata", "good", "every-field.yaml")))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	same(t, "Policy", reflect.ValueOf(docs.Policies[0]), reflect.ValueOf(Default()))
}

func same(t *testing.T, path string, got, def reflect.Value) {
	if got.Kind() == reflect.Struct {
		for i := range got.NumField() {
			same(t, path+"."+got.Type().Field(i).Name, got.Field(i), def.Field(i))
		}
		return
	}
	if reflect.DeepEqual(got.Interface(), def.Interface()) {
		t.Errorf("%s is still its default: no field of the table sets it", path)
	}
}

func TestMillionths(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"0.096", 96_000, true}, {"1", 1_000_000, true}, {"32.7726", 32_772_600, true},
		{"0.000001", 1, true}, {"999999.999999", 999_999_999_999, true}, {"007.5", 7_500_000, true},
		{"0.0000001", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1.", 0, false}, {".5", 0, false}, {"", 0, false},
		{"1e3", 0, false}, {"1_0", 0, false}, {"1000000", 0, false}, {"NaN", 0, false}, {"1.2.3", 0, false}, {" 1", 0, false},
	} {
		got, wrong := millionths(c.text)
		if got != c.want || (wrong == "") != c.ok {
			t.Errorf("millionths(%q) = %d, %q; want %d, ok %v", c.text, got, wrong, c.want, c.ok)
		}
		if c.ok {
			if again, _ := millionths(dollars(got)); again != got {
				t.Errorf("dollars(%d) = %q, which reads as %d", got, dollars(got), again)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		word, want string
	}{
		{"percentil", "percentile"}, {"PERCENTILE", "percentile"}, {"minCpu", "minCPU"}, {"memoryMargn", "memoryMargin"},
		{"x", ""}, {"something", ""},
	} {
		if got, _ := nearest(c.word, []string{"margin", "memoryMargin", "minCPU", "percentile"}); got != c.want {
			t.Errorf("nearest(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}

// The reference is what people read; it comes from the tables, and so do its defaults.
func TestReference(t *testing.T) {
	var got strings.Builder
	for _, d := range Reference() {
		fmt.Fprintf(&got, "%s\t%s\t%s\t%s\tneeded=%v\t%s\n", d.Kind, d.Path, d.Type, d.Default, d.Needed, d.Meaning)
	}
	golden(t, filepath.Join("testdata", "reference.golden"), got.String())
}

// write is a policy as a document, through the same table that reads it.
func write(p Policy) string {
	var s strings.Builder
	fmt.Fprintf(&s, "apiVersion: %s\nkind: %s\nmetadata: {name: %q}\nspec:\n", APIVersion, KindPolicy, p.Name)
	writeFields(&s, "  ", policyFields(), &p)
	return s.String()
}

func writeFields(s *strings.Builder, indent string, fields []field[Policy], p *Policy) {
	for _, f := range fields {
		if f.show == nil {
			fmt.Fprintf(s, "%s%s:\n", indent, f.name)
			writeFields(s, indent+"  ", f.fields, p)
		} else if v := f.show(p); v != "" {
			fmt.Fprintf(s, "%s%s: %s\n", indent, f.name, v)
		}
	}
}

// Parse never panics, says where every fault is, and reads what it read as the same policy again.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"bad", "good"} {
		names, _ := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, faults := Parse(Raw{Source: "f", Data: data})
		lines := strings.Count(string(data), "\n") + 1
		for _, f := range faults {
			if f.Line < 0 || f.Line > lines || f.Text == "" {
				t.Errorf("fault %+v of %d lines", f, lines)
			}
		}
		if (len(faults) == 0) != (len(docs.Policies) == 1 || len(docs.Prices) > 0) {
			t.Errorf("%d faults, and %d policies, %d prices", len(faults), len(docs.Policies), len(docs.Prices))
		}
		for _, p := range docs.Policies {
			again, faults := Parse(Raw{Source: "f", Data: []byte(write(p))})
			if len(faults) > 0 || !reflect.DeepEqual(again.Policies, docs.Policies) {
				t.Errorf("reads differently when written again\n%s\n%v", write(p), faults)
			}
		}
	})
}
