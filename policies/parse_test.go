package policies

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// testChecks knows the time zones of this machine, and one date that never comes.
func testChecks() Checks {
	return Checks{
		Schedule: func(s string) error {
			if s == "0 0 30 2 *" {
				return errors.New("no date ever matches it")
			}
			return nil
		},
		TimeZone: func(s string) error {
			_, err := time.LoadLocation(s)
			return err
		},
	}
}

func parse(raw Raw) (Documents, []Fault) { return Parse(raw, testChecks()) }

// Every file under testdata/bad has the faults that its golden listing says, in words read by hand.
func TestParseBad(t *testing.T) {
	var got strings.Builder
	for _, file := range files(t, "bad") {
		docs, faults := parse(readRaw(t, file))
		if len(faults) == 0 {
			t.Errorf("%s: no fault", file)
		}
		if values(docs) > 0 {
			t.Errorf("%s: faults, and yet values", file)
		}
		for _, f := range faults {
			got.WriteString(f.String() + "\n")
		}
		got.WriteString("\n")
	}
	golden.Check(t, filepath.Join("bad", "faults.golden"), got.String())
}

// values counts what a document gave; the rows of a price list are one.
func values(d Documents) int {
	return len(d.Policies) + min(len(d.Prices), 1) + len(d.Governances) + len(d.Servers) + len(d.Reports)
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

// The examples say what their comments promise.
func TestParseGood(t *testing.T) {
	got := map[string]Documents{}
	for _, file := range files(t, "good") {
		docs, faults := parse(readRaw(t, file))
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
		RightSizing: RightSizing{Rule: ByPrice, Risk: RiskHigh, TimeZone: "Europe/Berlin", ChangesPerDay: 6, Lead: 15 * time.Minute, UnderusedBelow: 0.4, Percentile: 0.9, Margin: 0.1, MemoryMargin: 0.2, MinMilliCPU: 50, MinMemory: 64 << 20, Limits: LimitsByPeaks, Apply: InTemplate},
		Replicas:    Replicas{Rule: ByForecast, RequestsPerSecond: 25, OnlineFloor: 4, BatchFloor: 2, Ceiling: 12, Capacity: 37.5, Latency: 80 * time.Millisecond, Redundancy: 2, Lead: 4 * time.Minute},
		Cooldown:    time.Second,
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
	docs, faults := parse(readRaw(t, filepath.Join("testdata", "good", "every-field.yaml")))
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
	golden.Check(t, "reference.golden", got.String())
}

// write is the value of docs as a document, through the same tables that read it.
func write(docs Documents) string {
	var s strings.Builder
	fmt.Fprintf(&s, "apiVersion: %s\nkind: %s\nmetadata: {name: %q}\nspec:\n", APIVersion, docs.Kind, docs.Name)
	writeAll(&s, policyFields(), docs.Policies)
	writeAll(&s, governanceFields(), docs.Governances)
	writeAll(&s, serverFields(), docs.Servers)
	writeAll(&s, reportFields(), docs.Reports)
	return s.String()
}

func writeAll[T any](s *strings.Builder, fields []field[T], all []T) {
	for _, v := range all {
		writeFields(s, "  ", fields, &v)
	}
}

// writeFields writes what has a value; a group without any is left out.
func writeFields[T any](s *strings.Builder, indent string, fields []field[T], of *T) {
	for _, f := range fields {
		if f.show == nil {
			if slices.ContainsFunc(f.fields, func(f field[T]) bool { return f.needed != "" && f.show != nil && f.show(of) == "" }) {
				continue // the group was not given
			}
			var inner strings.Builder
			writeFields(&inner, indent+"  ", f.fields, of)
			if inner.Len() > 0 {
				fmt.Fprintf(s, "%s%s:\n%s", indent, f.name, inner.String())
			}
		} else if v := f.show(of); v != "" {
			if f.typ == "text" {
				v = strconv.Quote(v)
			}
			fmt.Fprintf(s, "%s%s: %s\n", indent, f.name, v)
		}
	}
}

// Parse never panics, says where every fault is, and reads what it read as the same value again.
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
		docs, faults := parse(Raw{Source: "f", Data: data})
		lines := strings.Count(string(data), "\n") + 1
		for _, f := range faults {
			if f.Line < 0 || f.Line > lines || f.Text == "" {
				t.Errorf("fault %+v of %d lines", f, lines)
			}
		}
		if (len(faults) == 0) != (values(docs) == 1) {
			t.Errorf("%d faults, and %d values", len(faults), values(docs))
		}
		if len(faults) > 0 || len(docs.Prices) > 0 {
			return
		}
		again, faults := parse(Raw{Source: "f", Data: []byte(write(docs))})
		again.lines, docs.lines = nil, nil
		if len(faults) > 0 || !reflect.DeepEqual(again, docs) {
			t.Errorf("reads differently when written again\n%s\n%v", write(docs), faults)
		}
	})
}

// What a fault suggests is allowed where it stands.
func TestMeant(t *testing.T) {
	const minute, hour = time.Minute, time.Hour
	for _, c := range []struct {
		text      string
		low, high time.Duration
		want      string
	}{
		{"5", 0, time.Second, "it with its unit: 5ms"}, // batch.maxDelay
		{"50", time.Millisecond, 10 * minute, "it with its unit: 50ms or 50s"},
		{"24", 30 * time.Second, 840 * hour, "it with its unit: 24m or 24h"},
		{"5000", 0, time.Second, "one between 0s and 1s, such as 50ms"},
		{"99999999999999999999", 0, time.Second, "one between 0s and 1s, such as 50ms"},
		{"0", 0, time.Second, "one between 0s and 1s, such as 50ms"},
		{"-5", minute, hour, "one between 1m and 1h, such as 10m"},
		{"7d", minute, 840 * hour, "168h"},
		{"2W", minute, 840 * hour, "336h"},
		{"1d", minute, hour, "one between 1m and 1h, such as 10m"},
		{"6w", minute, 840 * hour, "one between 1m and 840h, such as 24h, 1h30m or 10m"},
		{"999999999w", minute, 840 * hour, "one between 1m and 840h, such as 24h, 1h30m or 10m"},
		{"soon", time.Millisecond, 10 * minute, "one between 1ms and 10m, such as 50ms, 2s or 1m"},
		{"soon", 20 * hour, 23 * hour, "one between 20h and 23h"},
	} {
		if got := meant(c.text, c.low, c.high); got != c.want {
			t.Errorf("%s from %s to %s: %q, want %q", c.text, c.low, c.high, got, c.want)
		}
	}
}
