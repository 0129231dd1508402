package router

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

// article is the article's model_config.json, word for word.
const article = `{
  "batch_size": 32,
  "max_sequence_length": 512,
  "temperature": 0.7,
  "feature_columns": ["property_type", "location", "price_range"]
}`

// full is a file with every key.
const full = `{
  "batch_size": 32, "max_sequence_length": 512, "max_delay": "5ms", "slo": "20ms", "batching": "adaptive",
  "generation": 7, "instances": 2, "max_queue_rows": 100, "max_queue_bytes": 1000000, "feature_columns": ["a", "b"],
  "models": [
    {"name": "valuation", "default": true, "batch_size": 16, "versions": [
      {"version": "v1", "file": "a.onnx", "weight": 95},
      {"version": "v2", "file": "b.onnx", "runtime": "onnx", "weight": 5, "batch_size": 8, "max_delay": "0s", "shadow": 1}]},
    {"name": "pre", "versions": [{"version": "1", "file": "p.onnx", "slo": "0s", "batching": "off"}]}
  ],
  "routes": [
    {"model": "quote", "field": "propertyType", "is": {"commercial": "valuation/v2", "residential": "appraisal"}, "otherwise": "valuation"},
    {"model": "valuation", "header": "X-Model-Version"}
  ],
  "chains": [{"name": "appraisal", "steps": ["pre", "valuation/v1"], "slo": "30ms"}],
  "colour": {"batch_size": []}
}`

func flags() Standing {
	return Standing{
		Models: []ModelConfig{{Name: "m", Versions: []VersionConfig{{Version: "v0", File: "m.onnx"}}}},
		Limits: batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100},
	}
}

func TestParseFull(t *testing.T) {
	c, ignored, err := ParseConfig([]byte(full), flags())
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	limits := batch.Limits{MaxBatchSize: 16, MaxQueueDelay: 5 * ms, SLO: 20 * ms, MaxQueueRows: 100, MaxQueueBytes: 1e6}
	first := Settings{Limits: limits, Instances: 2, MaxLength: 512, Features: []string{"a", "b"}, general: true}
	second, pre := first, first
	second.Limits.MaxBatchSize, second.Limits.MaxQueueDelay = 8, 0
	pre.Limits.MaxBatchSize, pre.Limits.Alone, pre.Limits.MaxQueueDelay, pre.Limits.SLO, pre.Batching = 32, true, 0, 0, Off
	want := Config{
		Generation: 7,
		Models: []ModelConfig{
			{Name: "valuation", Default: true, Versions: []VersionConfig{
				{Version: "v1", File: "a.onnx", Runtime: "auto", Weight: 950_000, Settings: first},
				{Version: "v2", File: "b.onnx", Runtime: "onnx", Weight: 50_000, Settings: second},
			}},
			{Name: "pre", Versions: []VersionConfig{{Version: "1", File: "p.onnx", Runtime: "auto", Weight: 1, Settings: pre}}},
		},
		Routes: []Route{
			{Alias: "quote", Field: "propertyType", Is: map[string]string{"commercial": "valuation/v2", "residential": "appraisal"}, Otherwise: "valuation"},
			{Alias: "valuation", Header: "X-Model-Version", Otherwise: "valuation"},
		},
		Chains:  []ChainConfig{{Name: "appraisal", Steps: []string{"pre", "valuation/v1"}, SLO: 30 * ms}},
		Default: "valuation",
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
	if got := strings.Join(ignored, " "); got != "colour models[0].versions[1].shadow" {
		t.Errorf("ignored %s", got)
	}
}

// TestParseSettings: what the file does not say stands, and the innermost level that says something holds.
func TestParseSettings(t *testing.T) {
	const ms = time.Millisecond
	given := flags()
	given.DelayGiven = true
	slow := flags()
	slow.Limits.SLO = 50 * ms
	version := func(top, model, version string) string {
		return `{` + top + `"models": [{"name": "m", ` + model + `"versions": [{"version": "v", ` + version + `"file": "f"}]}]}`
	}
	tests := []struct {
		name     string
		standing Standing
		file     string
		size     int
		delay    time.Duration
		slo      time.Duration
		static   bool
		ignored  string
	}{
		{"nothing", flags(), `{}`, 4, 5 * ms, 0, false, ""},
		{"the article's", flags(), article, 32, 5 * ms, 0, false, "temperature"},
		{"the tuner's", flags(), `{"batch_size": 8, "max_delay": "1.5ms", "generation": 7}`, 8, 1500 * time.Microsecond, 0, false, ""},
		{"other case", flags(), `{"max_delay": "0s", "Batch_Size": 9}`, 4, 0, 0, false, "Batch_Size"},
		{"an slo is the delay", flags(), `{"slo": "20ms"}`, 4, 20 * ms, 20 * ms, false, ""},
		{"unless one is said", flags(), `{"slo": "20ms", "max_delay": "3ms"}`, 4, 3 * ms, 20 * ms, false, ""},
		{"or given", given, `{"slo": "20ms"}`, 4, 5 * ms, 20 * ms, false, ""},
		{"or static", flags(), `{"slo": "20ms", "batching": "static"}`, 4, 5 * ms, 20 * ms, true, ""},
		{"an slo of the flags", slow, `{}`, 4, 50 * ms, 50 * ms, false, ""},
		{"taken away", slow, `{"slo": "0s"}`, 4, 5 * ms, 0, false, ""},
		{"off", flags(), `{"batching": "off", "batch_size": 8}`, 8, 0, 0, false, ""},
		{"top", flags(), version(`"batch_size": 8, "slo": "9ms", `, ``, ``), 8, 9 * ms, 9 * ms, false, ""},
		{"model over top", flags(), version(`"batch_size": 8, `, `"batch_size": 9, `, ``), 9, 5 * ms, 0, false, ""},
		{"version over model", flags(), version(`"batch_size": 8, `, `"batch_size": 9, `, `"batch_size": 10, `), 10, 5 * ms, 0, false, ""},
		{"delay outside, slo inside", flags(), version(`"max_delay": "2ms", `, ``, `"slo": "9ms", `), 4, 2 * ms, 9 * ms, false, ""},
		{"top after models", flags(), `{"models": [{"name": "m", "versions": [{"version": "v", "file": "f"}]}], "batch_size": 8}`, 8, 5 * ms, 0, false, ""},
		{"static over adaptive", flags(), version(`"batching": "static", `, ``, `"batching": "adaptive", `), 4, 5 * ms, 0, false, ""},
	}
	for _, tt := range tests {
		c, ignored, err := ParseConfig([]byte(tt.file), tt.standing)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := batch.Limits{MaxBatchSize: tt.size, MaxQueueDelay: tt.delay, SLO: tt.slo, Static: tt.static, Alone: tt.name == "off", MaxQueueRows: 100}
		if got := c.Models[0].Versions[0].Limits; got != want || c.Default != "m" || strings.Join(ignored, " ") != tt.ignored {
			t.Errorf("%s: %+v, default %s, ignored %v; want %+v, ignored %s", tt.name, got, c.Default, ignored, want, tt.ignored)
		}
	}
}

func TestParseDefault(t *testing.T) {
	const models = `"models": [{"name": "a", "versions": [{"version": "1", "file": "f"}]}, {"name": "b", %s"versions": [{"version": "1", "file": "f"}]}]`
	const route = `, "routes": [{"model": "r", %s"field": "f", "is": {}, "otherwise": "a"}]`
	const chain = `, "chains": [{"name": "c", %s"steps": ["a", "b"]}]`
	const mark = `"default": true, `
	for _, tt := range []struct{ file, want string }{
		{fmt.Sprintf(models, ""), "a"},
		{fmt.Sprintf(models, mark), "b"},
		{fmt.Sprintf(models+chain, "", ""), "a"},
		{fmt.Sprintf(models+chain, "", mark), "c"},
		{fmt.Sprintf(models+route+chain, "", "", ""), "r"},
		{fmt.Sprintf(models+route+chain, mark, "", ""), "b"},
		{fmt.Sprintf(models+route, mark, mark), ""},
	} {
		c, _, err := ParseConfig([]byte("{"+tt.file+"}"), Standing{Limits: flags().Limits})
		if c.Default != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: default %q, %v; want %q", tt.file, c.Default, err, tt.want)
		}
	}
}

// TestParseFaults: all at once, with path and line.
func TestParseFaults(t *testing.T) {
	const model = `{"models": [{"name": "m", "versions": [{"version": "v", "file": "f"}]}], `
	tests := []struct{ file, fault string }{ // every part of it, with " & " between
		{``, `not a JSON object`},
		{`null`, `not a JSON object: it is null`},
		{`[8]`, `not a JSON object: it is a list`},
		{`{"batch_size": 8} {}`, `not a JSON object: line 1`},
		{"{\"batch_size\":\n\n 8,,}", `not a JSON object: line 3: invalid character ','`},
		{strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), `more than 32 objects and lists in one another`},
		{`{"a": [` + strings.Repeat("1,", 50_000) + `1]}`, `more than 50000 values`},
		{`{"batch_size": 1e2}`, `batch_size: line 1: 1e2 is not a whole number of rows`},
		{`{"batch_size": null}`, `batch_size: line 1: null is not`},
		{`{"batch_size": 8, "batch_size": 8}`, `batch_size: line 1: the key is there twice`},
		{"{\"batch_size\": \"8\",\n\"max_delay\": 5, \"generation\":\n1.5}", `batch_size: line 1: "8" is not & max_delay: line 2: 5 is not a duration in quotes & generation: line 3: 1.5 is not`},
		{`{"max_delay": "soon"}`, `max_delay: line 1: "soon" is not a duration`},
		{`{"batch_size": 0, "max_delay": "-1ms", "slo": "-1s"}`, `batch_size: line 1: 0 is not a whole number of rows from 1 & max_delay: line 1: "-1ms" is not & slo: line 1`},
		{`{"batch_size": 101}`, `models[0].versions[0]: max queue rows is 100; at least the batch size, 101`},
		{`{"batching": "greedy", "instances": -1, "max_queue_bytes": 0.5, "max_sequence_length": true}`,
			`batching: line 1: "greedy" is none of adaptive, static, off & instances: line 1: -1 is not & max_queue_bytes: line 1: 0.5 & max_sequence_length: line 1: true`},
		{`{"feature_columns": ["a", 1, "a"]}`, `feature_columns[1]: line 1: 1 is not a text & feature_columns[2]: line 1: "a" is there twice`},
		{`{"models": {}, "routes": 1, "chains": "x"}`, `models: line 1: an object is not a list & routes: line 1: 1 is not a list & chains: line 1: "x" is not a list`},
		{`{"models": []}`, `models: line 1: it is empty`},
		{"{\"models\": [{},\n 1]}", `models[0]: line 1: there is no name & models[0]: line 1: there is no version & models[1]: line 2: 1 is not an object`},
		{`{"models": [{"name": "", "versions": [{"version": 1, "runtime": "tf"}]}]}`,
			`models[0].name: line 1: "" is not a text & models[0].versions[0].version: line 1: 1 is not a text & versions[0]: line 1: there is no file & versions[0].runtime: line 1: "tf" is none of auto`},
		{`{"models": [{"name": "a/b", "versions": [{"version": "v 1", "file": "f"}]}]}`, `models[0].name: "a/b" stands in paths & models[0].versions[0].version: "v 1" stands in paths`},
		{`{"models": [{"name": "m", "versions": [{"version": "v", "file": "f", "weight": -1}, {"version": "w", "file": "f", "weight": 0.00001}]}]}`,
			`versions[0].weight: line 1: -1 is not a weight & versions[1].weight: line 1: 0.00001 is not a weight`},
		{`{"models": [{"name": "m", "versions": [{"version": "v", "file": "f", "weight": 0}]}]}`, `models[0]: all weights are 0`},
		{`{"models": [{"name": "m", "versions": [{"version": "v", "file": "f", "weight": 1}, {"version": "w", "file": "f"}]}]}`, `models[0].versions: line 1: 1 of 2 versions have a weight`},
		{`{"models": [{"name": "m", "versions": [{"version": "v", "file": "f"}, {"version": "v", "file": "f"}]}, {"name": "m", "versions": [{"version": "v", "file": "f"}]}]}`,
			`models[0].versions[1].version: there is another version "v" & models[1].name: there is another model "m"`},
		{model + `"chains": [{"name": "m", "steps": ["m", "m"]}, {"name": "c", "steps": ["m"]}, {"steps": ["m", 5]}]}`, `chains[1]: line 1: it has 1 steps; at least 2 & chains[2]: line 1: there is no name & chains[2].steps[1]: line 1: 5 is not`},
		{model + `"chains": [{"name": "m", "steps": ["m", "x", "m/w", "c"]}, {"name": "c", "steps": ["m", "m"]}]}`,
			`chains[0].name: there is another model or chain "m" & chains[0].steps[1]: there is no model "x" & steps[2]: "m" has no version "w" & steps[3]: there is no model "c"`},
		{model + `"routes": [{"model": "a", "field": "f", "is": {"v": "x", "w": "m/w"}, "otherwise": "a"}]}`,
			`routes[0].is.v: there is no model or chain "x" & routes[0].is.w: "m" has no version "w" & routes[0].otherwise: there is no model or chain "a"`},
		{model + `"routes": [{"field": "f", "header": "h", "is": {"v": 1, "v": "m"}}, {"model": "a", "is": 7}, {"model": "b", "field": "f"}]}`,
			`routes[0]: line 1: there is no model & routes[0]: line 1: a rule has either & routes[0].is.v: line 1: 1 is not a text & routes[0].is.v: line 1: the key is there twice & routes[1].is: line 1: 7 is not an object & routes[2]: line 1: there is no is`},
		{model + `"routes": [{"model": "a", "header": "h"}]}`, `routes[0].otherwise: there is no model or chain "a"`},
		{`{"models": [{"name": "a", "default": true, "versions": [{"version": "v", "file": "f"}]}, {"name": "b", "default": true, "versions": [{"version": "v", "file": "f"}]}]}`, `a, b are each the default`},
		{`{"models": [{"name": "a", "default": "yes", "versions": [{"version": "v", "file": "f"}]}]}`, `models[0].default: line 1: "yes" is not true or false`},
	}
	for _, tt := range tests {
		_, _, err := ParseConfig([]byte(tt.file), flags())
		for part := range strings.SplitSeq(tt.fault, " & ") {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%.200s:\n%v; want %q in it", tt.file, err, part)
			}
		}
	}
}

// TestKeys: every key of the table is read, at the levels it names, and no other.
func TestKeys(t *testing.T) {
	var inTable []string
	for _, k := range Keys() {
		inTable = append(inTable, k.Name)
		if k.Meaning == "" || (k.Flag == "") && k.Env != "" {
			t.Errorf("%+v is not told whole", k)
		}
		for _, level := range []struct {
			path string
			is   bool
			file string
		}{
			{k.Name, true, `{"%s": {}}`},
			{"models[0]." + k.Name, k.Model, `{"models": [{"name": "m", "%s": {}, "versions": [{"version": "v", "file": "f"}]}]}`},
			{"models[0].versions[0]." + k.Name, k.Model, `{"models": [{"name": "m", "versions": [{"version": "v", "file": "f", "%s": {}}]}]}`},
		} {
			_, ignored, err := ParseConfig(fmt.Appendf(nil, level.file, k.Name), flags())
			known := err != nil && strings.Contains(err.Error(), level.path+": line 1: an object is no")
			if known == slices.Contains(ignored, level.path) || known != (level.is && k.Name != KeyTemperature) {
				t.Errorf("%s: known %t, ignored %v, %v", level.path, known, ignored, err)
			}
		}
	}
	r := &reading{}
	for name := range r.settings(new(said)) {
		if !slices.Contains(inTable, name) {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// FuzzParseConfig: what is parsed passes Check and shares out; nothing panics.
func FuzzParseConfig(f *testing.F) {
	for _, seed := range []string{article, full, `{"batch_size":8,"max_delay":"1ms","generation":3}`, `{"batch_size":-1}`, `{`, `{"models":[{"versions":[{}]}]}`,
		`{"models":[{"name":"m","versions":[{"version":"a","file":"f","weight":0.5},{"version":"b","file":"f","weight":0}]}]}`, "{\"\\u0000\": [\n{}\n]}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, ignored, err := ParseConfig(data, flags())
		if !slices.IsSorted(ignored) {
			t.Errorf("%q: ignored %v", data, ignored)
		}
		if err != nil {
			return
		}
		if fault := c.Check(); fault != nil || c.Default == "" {
			t.Errorf("%q: default %q, %v", data, c.Default, fault)
		}
		for _, m := range c.Models {
			var entries []*Entry
			for _, v := range m.Versions {
				entries = append(entries, &Entry{Version: v.Version, Weight: v.Weight})
			}
			family := newFamily(entries, new(atomicTurn))
			for _, key := range []string{"", "", "", "a", "b"} {
				if e := family.next(key); e.Weight == 0 {
					t.Errorf("%q: %s has no weight", data, e.Version)
				}
			}
		}
	})
}

// TestReadFile: bounded, and clear about what is wrong.
func TestReadFile(t *testing.T) {
	name := t.TempDir() + "/model_config.json"
	if _, err := ReadFile(name)(); err == nil || !strings.Contains(err.Error(), "read settings: open "+name) {
		t.Errorf("a missing file: %v", err)
	}
	for _, tt := range []struct {
		size int
		ok   bool
	}{{mostConfig, true}, {mostConfig + 1, false}} {
		if err := os.WriteFile(name, make([]byte, tt.size), 0o600); err != nil {
			t.Fatal(err)
		}
		if data, err := ReadFile(name)(); (err == nil) != tt.ok || tt.ok && len(data) != tt.size {
			t.Errorf("%d bytes: %d, %v", tt.size, len(data), err)
		}
	}
}

// TestRuntime: the flag's runtime is that of all versions that name none, in the file or in a folder.
func TestRuntime(t *testing.T) {
	const file = `{"models": [{"name": "a", "versions": [{"version": "1", "file": "f"}, {"version": "2", "file": "g", "runtime": "builtin"}, {"version": "3", "file": "g", "runtime": "auto"}]}]}`
	for _, tt := range []struct{ flag, text, want string }{
		{"", `{}`, "auto"},
		{"onnx", `{}`, "onnx"},
		{"", file, "auto builtin auto"},
		{"onnx", file, "onnx builtin auto"},
	} {
		s := flags()
		s.Runtime = tt.flag
		c, _, err := ParseConfig([]byte(tt.text), s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range c.Models[0].Versions {
			got = append(got, v.Runtime)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("--runtime %q with %s: %s, want %s", tt.flag, tt.text, got, tt.want)
		}
	}
}
