package router

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// settled is how old a file has to be before its times prove that it is as it was: within the clock's grain
// two writes may have one time.
const settled = 2 * time.Second

// files remembers what files looked like, so that those that did not change are not read again.
type files struct {
	named func(string) bool
	seen  map[string]sight
}

// sight is a file at one moment.
type sight struct {
	info   os.FileInfo // nil: it is not there
	at     time.Time
	digest string // of its content; empty: it was not read
}

// same reports that nothing hints at another content.
func (s sight) same(t sight) bool {
	if s.info == nil || t.info == nil {
		return s.info == nil && t.info == nil
	}
	return os.SameFile(s.info, t.info) && s.info.Size() == t.info.Size() && s.info.ModTime().Equal(t.info.ModTime()) &&
		s.at.Sub(s.info.ModTime()).Abs() > settled
}

// look looks at a file without reading it. It follows links: a mounted volume swaps one.
func look(file string) sight {
	s := sight{at: time.Now()}
	info, err := twice(func() (os.FileInfo, error) { return os.Stat(file) })
	if err == nil {
		s.info = info
	}
	return s
}

// twice tries again what finds no file: a volume that changes in between takes it away from under the first
// try.
func twice[T any](try func() (T, error)) (T, error) {
	v, err := try()
	if errors.Is(err, fs.ErrNotExist) {
		v, err = try()
	}
	return v, err
}

// digest is a file's, and its content too if it had to be read for that.
func (f *files) digest(file string) (digest string, data []byte, err error) {
	if f.named(file) {
		return "name:" + file, nil, nil
	}
	now := look(file)
	if before, ok := f.seen[file]; ok && before.digest != "" && before.same(now) {
		return before.digest, nil, nil
	}
	data, err = f.read(file)
	if err != nil {
		f.seen[file] = now
		return "", nil, err
	}
	now.digest = digestOf(data)
	f.seen[file] = now
	return now.digest, data, nil
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (f *files) read(file string) ([]byte, error) {
	data, err := twice(func() ([]byte, error) { return os.ReadFile(file) })
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	return data, nil
}

// changed reports whether a file that c names may have another content than at its last digest.
func (f *files) changed(c Config) bool {
	for _, m := range c.Models {
		for _, v := range m.Versions {
			if f.named(v.File) {
				continue
			}
			if before, ok := f.seen[v.File]; !ok || !before.same(look(v.File)) {
				return true
			}
		}
	}
	return false
}

// forget drops what c does not name.
func (f *files) forget(c Config) {
	named := map[string]bool{}
	for _, m := range c.Models {
		for _, v := range m.Versions {
			named[v.File] = true
		}
	}
	for file := range f.seen {
		if !named[file] {
			delete(f.seen, file)
		}
	}
}

const mostConfig = 1 << 20 // bytes, as a ConfigMap

// ReadFile returns a function that reads a configuration file, for Follow. It tries twice: a ConfigMap that
// changes in between takes the file away from under the first try.
func ReadFile(name string) func() ([]byte, error) {
	return func() ([]byte, error) {
		data, err := twice(func() ([]byte, error) { return readBounded(name) })
		if err != nil {
			return nil, fmt.Errorf("read settings: %w", err)
		}
		return data, nil
	}
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
	if err == nil && len(data) > mostConfig {
		err = fmt.Errorf("%s is larger than %d bytes", name, mostConfig)
	}
	return data, err
}
