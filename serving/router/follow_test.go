package router

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
)

// script is a router that follows a text, and what it told.
type script struct {
	*rig
	mu       sync.Mutex
	text     string
	err      error
	standing Standing
	told     []string
	begin    func()                   // makes the router follow
	readFrom func() ([]byte, error)   // instead of text; may be nil
	stand    func() (Standing, error) // instead of standing; may be nil
}

func (s *script) says(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.text, s.err = text, nil }
func (s *script) fails(err error)  { s.mu.Lock(); defer s.mu.Unlock(); s.err = err }

func (s *script) read() ([]byte, error) {
	if s.readFrom != nil {
		return s.readFrom()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte(strings.ReplaceAll(s.text, "$", s.dir)), s.err
}

func (s *script) stands() (Standing, error) {
	if s.stand != nil {
		return s.stand()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.standing, nil
}

func (s *script) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, strings.ReplaceAll(fmt.Sprintf(format, args...), s.dir, "$"))
}

// news is what was told since the last time.
func (s *script) news() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := strings.Join(s.told, "; ")
	s.told = nil
	return told
}

// following runs play while a router follows a script, looking every second. Files keep the real time, in
// which they are all written long after the bubble's, so they count as settled.
func following(t *testing.T, play func(s *script)) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{rig: newRig(t, nil), standing: standing()}
		s.adds("f0", 0)
		s.standing.Models = []ModelConfig{{Name: "a", Versions: []VersionConfig{{Version: "0", File: s.dir + "/f0"}}}}
		f := Following{
			Read: s.read, Every: time.Second,
			Standing: s.stands,
			Applied: func(c Config, ignored []string) {
				s.tell("%d in force %s", c.Generation, strings.Join(ignored, " "))
			},
			Failed: func(err error) { s.tell("%s", err) },
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		s.begin = func() {
			running.Go(func() { s.Follow(ctx, f) })
			synctest.Wait()
			time.Sleep(time.Second / 2) // between the looks
		}
		play(s)
		cancel()
		running.Wait()
		s.end()
	})
}

// TestFollow walks through what can happen to a configuration and its files, second by second.
func TestFollow(t *testing.T) {
	following(t, func(s *script) {
		s.adds("f1", 10)
		s.adds("f2", 20)
		file := func(generation int, version, file string) string {
			return one(version, file, fmt.Sprintf(`"generation": %d, `, generation))
		}
		s.says(file(1, "1", "f1"))
		s.begin()
		for _, step := range []struct {
			name   string
			change func()
			after  int // seconds
			told   string
			answer float32
			by     string
		}{
			{"at once", func() {}, 0, "1 in force ", 11, "a 1"},
			{"unchanged", func() {}, 5, "", 11, "a 1"},
			{"changed", func() { s.says(file(2, "2", "f2")) }, 1, "2 in force ", 21, "a 2"},
			{"only the number", func() { s.says(file(3, "2", "f2")) }, 1, "3 in force ", 21, "a 2"},
			{"broken text: told once", func() { s.says(`{"batch_size": 0}`) }, 5, "batch_size: line 1: 0 is not a whole number of rows from 1 to 1073741824", 21, "a 2"},
			{"broken otherwise", func() { s.says(`{"batch`) }, 3, "it is not a JSON object: line 1: unexpected end of JSON input", 21, "a 2"},
			{"gone", func() { s.fails(errors.New("read settings: no such file")) }, 3, "read settings: no such file", 21, "a 2"},
			{"as it was: nothing begins anew", func() { s.says(file(3, "2", "f2")) }, 3, "", 21, "a 2"},
			{"gone again: told again", func() { s.fails(errors.New("read settings: no such file")) }, 3, "read settings: no such file", 21, "a 2"},
			{"a file swapped meanwhile", func() { s.adds("f2", 25) }, 1, "3 in force ", 26, "a 2"},
			{"back", func() { s.says(file(3, "2", "f2")) }, 1, "", 26, "a 2"},
			{"half a file", func() { s.file("f2", `{"mul": 1,`) }, 5, "models[0].versions[0] (a 2): open $/f2: toy: unexpected end of JSON input", 26, "a 2"},
			{"the other half", func() { s.adds("f2", 30) }, 1, "3 in force ", 31, "a 2"},
			{"rewritten as it is", func() { s.adds("f2", 30) }, 3, "", 31, "a 2"},
			{"a file that is not there", func() { s.says(file(4, "4", "f4")) }, 30, "models[0].versions[0] (a 4): read model: open $/f4: no such file or directory", 31, "a 2"},
			{"it comes", func() { s.adds("f4", 40) }, 1, "4 in force ", 41, "a 4"},
			{"it goes: told once", func() { os.Remove(s.dir + "/f4") }, 200, "models[0].versions[0] (a 4): read model: open $/f4: no such file or directory", 41, "a 4"},
			{"it is back", func() { s.adds("f4", 40) }, 1, "", 41, "a 4"},
			{"the flags", func() { s.says(`{"colour": 1}`) }, 1, "0 in force colour", 1, "a 0"},
		} {
			step.change()
			time.Sleep(time.Duration(step.after) * time.Second)
			synctest.Wait()
			if told := s.news(); told != step.told {
				s.Errorf("%s: told %q, want %q", step.name, told, step.told)
			}
			s.answers("a", "", step.answer, step.by)
		}
	})
}

// TestFollowStart: a text that is no good at the start leaves the flags in force.
func TestFollowStart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		says  func(s *script)
		told  string
		ready bool
	}{
		{"not there", func(s *script) { s.fails(errors.New("no such file")) }, "no such file; 0 in force ", true},
		{"broken", func(s *script) { s.says("[]") }, "it is not a JSON object: it is a list; 0 in force ", true},
		{"broken, and no model in the flags", func(s *script) { s.says("[]"); s.standing.Models = nil }, "it is not a JSON object: it is a list", false},
		{"a model that is not there", func(s *script) { s.says(one("1", "none", "")) }, "models[0].versions[0] (a 1): read model: open $/none: no such file or directory", false},
		{"nothing at all", func(s *script) { s.says("{}"); s.standing.Models = nil }, "there is no model: name one in models, or by a flag", false},
	} {
		following(t, func(s *script) {
			tt.says(s)
			s.begin()
			time.Sleep(3 * time.Second)
			if told := s.news(); told != tt.told || s.Ready() != tt.ready {
				s.Errorf("%s: told %q, ready %t; want %q, %t", tt.name, told, s.Ready(), tt.told, tt.ready)
			}
			s.adds("f1", 10)
			s.says(one("1", "f1", ""))
			time.Sleep(time.Second)
			s.answers("", "", 11, "a 1")
		})
	}
}

// TestFollowRetries: what could not be applied is tried again each minute, though nothing looks different.
func TestFollowRetries(t *testing.T) {
	following(t, func(s *script) {
		s.adds("f1", 10)
		s.says(one("1", "f1", ""))
		open := s.o.Open
		var mended atomic.Bool
		s.o.Open = func(runtimeName, file string, data []byte) (m runtime.Model, err error) {
			if !mended.Load() {
				return nil, errors.New("out of memory")
			}
			return open(runtimeName, file, data)
		}
		s.begin()
		time.Sleep(30 * time.Second)
		mended.Store(true)
		time.Sleep(20 * time.Second)
		if s.Ready() {
			s.Error("tried again within a minute")
		}
		time.Sleep(20 * time.Second)
		s.answers("a", "", 11, "a 1")
		if told := s.news(); told != "models[0].versions[0] (a 1): open $/f1: out of memory; 0 in force " {
			s.Errorf("told %q", told)
		}
	})
}

// volume is a folder as the kubelet mounts a ConfigMap: its files are links through ..data to a folder of
// their own, and all change at once, by a rename.
type volume struct {
	*testing.T
	dir string
	n   int
}

func (v *volume) swap(files map[string]string) {
	v.n++
	folder := fmt.Sprintf("..2026_%03d", v.n)
	all := []error{os.Mkdir(filepath.Join(v.dir, folder), 0o755)}
	for name, text := range files {
		all = append(all, os.WriteFile(filepath.Join(v.dir, folder, name), []byte(text), 0o644))
	}
	all = append(all, os.Symlink(folder, filepath.Join(v.dir, "..data_tmp")), os.Rename(filepath.Join(v.dir, "..data_tmp"), filepath.Join(v.dir, "..data")))
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			all = append(all, err)
		}
	}
	all = append(all, os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..2026_%03d", v.n-1))))
	if err := errors.Join(all...); err != nil {
		v.Fatal(err)
	}
}

// TestFollowVolume: a mounted ConfigMap with the settings and the model in it.
func TestFollowVolume(t *testing.T) {
	following(t, func(s *script) {
		v := &volume{T: t, dir: filepath.Join(s.dir, "mount")}
		if err := os.Mkdir(v.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		content := func(generation, add int) map[string]string {
			text := strings.ReplaceAll(one("1", "mount/model", fmt.Sprintf(`"generation": %d, `, generation)), "$", s.dir)
			return map[string]string{"model_config.json": text, "model": fmt.Sprintf(`{"mul": 1, "add": %d}`, add)}
		}
		v.swap(content(1, 10))
		s.readFrom = ReadFile(filepath.Join(v.dir, "model_config.json"))
		s.begin()
		s.answers("a", "", 11, "a 1")
		for i, step := range []struct {
			generation, add int
			told            string
		}{
			{1, 20, "1 in force "}, // the model alone; as long as the one before
			{2, 20, "2 in force "}, // the settings alone
			{2, 20, ""},            // neither
			{3, 30, "3 in force "},
		} {
			s.news()
			v.swap(content(step.generation, step.add))
			time.Sleep(time.Second)
			synctest.Wait()
			s.answers("a", "", float32(1+step.add), "a 1")
			if told := s.news(); told != step.told {
				t.Errorf("step %d: told %q, want %q", i, told, step.told)
			}
		}
	})
}

// TestFollowDirectory: models come and go with the folders that Standing scans.
func TestFollowDirectory(t *testing.T) {
	following(t, func(s *script) {
		models := filepath.Join(s.dir, "models")
		put := func(name string, add int) {
			at := filepath.Join(models, name)
			if err := errors.Join(os.MkdirAll(at, 0o755), os.WriteFile(filepath.Join(at, modelFile), fmt.Appendf(nil, `{"mul": 1, "add": %d}`, add), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		put("a/1", 10)
		s.says(`{"batch_size": 2}`)
		s.stand = func() (Standing, error) {
			out := standing()
			var err error
			out.Models, err = Scan(models)
			return out, err
		}
		s.begin()
		s.answers("a", "", 11, "a 1")
		put("a/2", 20)
		put("b", 30)
		time.Sleep(time.Second)
		s.answers("a", "", 21, "a 2")
		s.answers("a", "1", 11, "a 1")
		s.answers("b", "", 31, "b 1")
		if err := os.RemoveAll(filepath.Join(models, "a", "2")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.answers("a", "", 11, "a 1")
		if got := s.Entries()[0].Engine.Limits().MaxBatchSize; got != 2 {
			t.Errorf("batch size %d, want the file's 2", got)
		}
	})
}

// TestUnsettled: a file that was written a moment ago may be written again within the clock's grain, so it is
// read once more.
func TestUnsettled(t *testing.T) {
	r := newRig(t, nil)
	r.adds("f", 1)
	c := r.config(one("1", "f", ""))
	r.applies(one("1", "f", ""))
	if !r.outdated(c) {
		t.Error("a file of this moment counts as settled")
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(r.dir, "f"), long, long); err != nil {
		t.Fatal(err)
	}
	if !r.outdated(c) {
		t.Error("another time is no change")
	}
	r.applies(one("1", "f", ""))
	if r.outdated(c) || r.load.Load() != 1 {
		t.Error("an old file is read again and again")
	}
	for _, change := range []struct {
		name, content string
		at            time.Time
	}{
		{"in place, of another length", `{"mul": 1, "add": 100}`, long},
		{"in place, at another time", `{"mul": 1, "add": 200}`, long.Add(time.Second)},
	} {
		at := filepath.Join(r.dir, "f")
		if err := errors.Join(os.WriteFile(at, []byte(change.content), 0o600), os.Chtimes(at, change.at, change.at)); err != nil {
			t.Fatal(err)
		}
		if !r.outdated(c) {
			t.Errorf("%s is no change", change.name)
		}
		r.applies(one("1", "f", ""))
	}
	if err := os.Chtimes(filepath.Join(r.dir, "f"), long, long); err != nil {
		t.Fatal(err)
	}
	r.applies(one("1", "f", ""))
	r.adds("f", 300) // of the same length
	if err := os.Chtimes(filepath.Join(r.dir, "f"), long, long); err != nil {
		t.Fatal(err)
	}
	if !r.outdated(c) {
		t.Error("another file with the same time and length is no change")
	}
}
