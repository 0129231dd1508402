package main

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

const keysEvery = 2 * time.Second

// keys returns the API keys in force: those of the file, looked at again every few seconds, and API_KEY.
// When the file cannot be read, the keys from before stay: a door does not open because its lock is gone.
func (p program) keys(file string, log *slog.Logger) func() []string {
	var fixed []string
	if key := strings.TrimSpace(p.env("API_KEY")); key != "" {
		fixed = []string{key}
	}
	if file == "" {
		return func() []string { return fixed }
	}
	k := &keyFile{name: file, fixed: fixed, log: log}
	return k.now
}

// keyFile is a file of keys, a line each.
type keyFile struct {
	name  string
	fixed []string
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	keys   []string
	fault  string
}

func (k *keyFile) now() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) < keysEvery {
		return k.keys
	}
	k.looked = time.Now()
	data, err := os.ReadFile(k.name)
	if err != nil {
		if k.fault != err.Error() {
			k.fault = err.Error()
			k.log.Error("API keys stay as they were", "err", k.fault)
		}
		if k.keys == nil {
			k.keys = append(k.fixed, "\x00") // nobody knows this one: closed until the file is there
		}
		return k.keys
	}
	k.fault, k.keys = "", append([]string{}, k.fixed...)
	for line := range strings.Lines(string(data)) {
		if key := strings.TrimSpace(line); key != "" {
			k.keys = append(k.keys, key)
		}
	}
	if len(k.keys) == 0 {
		k.keys = []string{"\x00"}
	}
	return k.keys
}
