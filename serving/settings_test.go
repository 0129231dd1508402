package serving

import (
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

func TestParseSettings(t *testing.T) {
	standing := batch.Limits{MaxBatchSize: 4, MaxQueueDelay: 5 * time.Millisecond, MaxQueueRows: 100}
	tests := []struct {
		file       string
		size       int
		delay      time.Duration
		generation int64
		ignored    string
		fault      string // every part of it, with " & " between
	}{
		{`{}`, 4, 5 * time.Millisecond, 0, "", ""},
		{article, 32, 5 * time.Millisecond, 0, "feature_columns max_sequence_length temperature", ""},
		{`{"batch_size": 8, "max_delay": "1.5ms", "generation": 7}`, 8, 1500 * time.Microsecond, 7, "", ""},
		{`{"max_delay": "0s", "Batch_Size": 9}`, 4, 0, 0, "Batch_Size", ""},
		{`{"batch_size": 1e2}`, 0, 0, 0, "", `batch_size: 1e2 is not a whole number of rows`},
		{`{"batch_size": null}`, 0, 0, 0, "", `batch_size: null is not`},
		{`{"batch_size": "8", "max_delay": 5, "generation": 1.5}`, 0, 0, 0, "", `batch_size: "8" is not & max_delay: 5 is not a duration in quotes & generation: 1.5 is not`},
		{`{"max_delay": "soon"}`, 0, 0, 0, "", `max_delay: "soon" is not a duration`},
		{`{"batch_size": 0, "max_delay": "-1ms"}`, 0, 0, 0, "", `max batch size is 0 rows & max queue delay is -1ms`},
		{`{"batch_size": 101}`, 0, 0, 0, "", `max queue rows is 100; at least the batch size, 101`},
		{``, 0, 0, 0, "", `not a JSON object`},
		{`null`, 0, 0, 0, "", `not a JSON object`},
		{`[8]`, 0, 0, 0, "", `not a JSON object`},
		{`{"batch_size": 8} {}`, 0, 0, 0, "", `not a JSON object`},
	}
	for _, tt := range tests {
		s, ignored, err := ParseSettings([]byte(tt.file), standing)
		if tt.fault != "" {
			for part := range strings.SplitSeq(tt.fault, " & ") {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %v; want %q in it", tt.file, err, part)
				}
			}
			continue
		}
		want := Settings{batch.Limits{MaxBatchSize: tt.size, MaxQueueDelay: tt.delay, MaxQueueRows: 100}, tt.generation}
		if err != nil || s != want || strings.Join(ignored, " ") != tt.ignored {
			t.Errorf("%s: %+v, ignored %v, %v; want %+v, ignored %s", tt.file, s, ignored, err, want, tt.ignored)
		}
	}
}

// FuzzParseSettings: settings without a fault pass Check, and are those of the flags where the file says nothing.
func FuzzParseSettings(f *testing.F) {
	standing := batch.Limits{MaxBatchSize: 4, MaxQueueDelay: time.Millisecond, MaxQueueRows: 100}
	for _, seed := range []string{article, `{"batch_size":8,"max_delay":"1ms","generation":3}`, `{"batch_size":-1}`, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, ignored, err := ParseSettings(data, standing)
		if err != nil {
			return
		}
		if fault := s.Limits.Check(); fault != nil || s.Limits.MaxQueueRows != standing.MaxQueueRows {
			t.Errorf("%q: %+v, %v", data, s, fault)
		}
		if !slices.IsSorted(ignored) {
			t.Errorf("%q: ignored %v", data, ignored)
		}
	})
}
