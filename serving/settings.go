package serving

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/batch"
)

// Keys of the settings file, a JSON object; the first is the article's. Together with the metrics of
// the settings they are the contract with whoever tunes the server.
const (
	KeyBatchSize  = "batch_size" // rows in one batch at most
	KeyMaxDelay   = "max_delay"  // longest wait to fill a batch, a duration like "5ms"
	KeyGeneration = "generation" // an integer that comes back as MetricConfigGeneration
)

// Settings are what a running server can be told anew.
type Settings struct {
	Limits     batch.Limits
	Generation int64 // 0: the file says none
}

// ParseSettings reads a settings file. What it does not say is as in standing; keys that mean nothing
// to the server are ignored and returned, sorted. It returns every fault of the file, joined.
func ParseSettings(data []byte, standing batch.Limits) (s Settings, ignored []string, err error) {
	s.Limits = standing
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return s, nil, fmt.Errorf("it is not a JSON object: %w", err)
	}
	if file == nil {
		return s, nil, errors.New("it is not a JSON object: it is null")
	}
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(file)) {
		var err error
		switch key {
		case KeyBatchSize:
			err = read(file[key], &s.Limits.MaxBatchSize, "a whole number of rows")
		case KeyMaxDelay:
			err = readDelay(file[key], &s.Limits.MaxQueueDelay)
		case KeyGeneration:
			err = read(file[key], &s.Generation, "a whole number")
		default:
			ignored = append(ignored, key)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
	}
	if len(faults) == 0 {
		faults = append(faults, s.Limits.Check())
	}
	return s, ignored, errors.Join(faults...)
}

func read[T int | int64 | string](text json.RawMessage, to *T, want string) error {
	if string(text) == "null" || json.Unmarshal(text, to) != nil {
		return fmt.Errorf("%.40s is not %s", text, want)
	}
	return nil
}

func readDelay(text json.RawMessage, to *time.Duration) error {
	const want = `a duration in quotes, like "5ms"`
	var words string
	if err := read(text, &words, want); err != nil {
		return err
	}
	d, err := time.ParseDuration(words)
	if err != nil {
		return fmt.Errorf("%.40s is not %s", text, want)
	}
	*to = d
	return nil
}
