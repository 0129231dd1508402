package usage

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const childDir = "TRIMTAB_TEST_STORE"

// TestChildWrites is no test: it is the process that TestKilledInMidWrite kills.
func TestChildWrites(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as the child of TestKilledInMidWrite")
	}
	s := openAt(t, dir, nil)
	for i := 0; ; i++ {
		put(t, s, cpu(i, float64(i)))
		fmt.Printf("written %d\n", i)
	}
}

func TestKilledInMidWrite(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestChildWrites$", "-test.v")
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "written "); ok {
			last, _ = strconv.Atoi(n)
		}
		if last == 300 {
			_ = child.Process.Kill() // SIGKILL; what is still in the pipe is read to its end
		}
	}
	if err := child.Wait(); err == nil || last < 300 {
		t.Fatalf("the child ended by itself after %d: %v", last, err)
	}

	s := openAt(t, dir, nil)
	if !s.lock.unclean {
		t.Error("the killed owner's lock file was not seen")
	}
	got := samples(t, NewReader(s, ReaderOptions{Step: time.Second}), t0.Add(-time.Second), clock())
	if len(got) <= last {
		t.Fatalf("%d samples of at least %d", len(got), last+1)
	}
	for i, g := range got {
		if g.Mean != float64(i) || !g.At.Equal(t0.Add(time.Duration(i)*time.Second)) {
			t.Fatalf("sample %d is %v at %v", i, g.Mean, g.At)
		}
	}
	put(t, s, cpu(len(got), 1)) // and it goes on
}

// hours writes a sample a minute for n hours and returns how many.
func hours(t *testing.T, s *Store, from, n int) int {
	t.Helper()
	for h := from; h < from+n; h++ {
		var batch []reading
		for m := range 60 {
			batch = append(batch, cpu(h*3600+m*60+60, 1))
		}
		put(t, s, batch...)
	}
	return n * 60
}

func newest(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s (%v)", pattern, err)
	}
	return paths[len(paths)-1]
}

// mangle overwrites bytes in the middle, or with frac 1 appends rubbish.
func mangle(t *testing.T, path string, frac float64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := int(frac * float64(len(b)))
	b = append(b[:at], append([]byte("rubbish, rubbish, rubbish"), b[min(at+25, len(b)):]...)...)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The shares are what each damage must leave: half of the history is in blocks, half in the log. The
// series is named in the checkpoint only, so without the checkpoint the log's half is lost.
func TestDamageIsRepairedOrMovedAside(t *testing.T) {
	cases := []struct {
		name    string
		damage  func(t *testing.T, dir string)
		atLeast float64
		logged  string
	}{
		{"rubbish after the log's end", func(t *testing.T, dir string) { mangle(t, newest(t, dir+"/wal/0*"), 1) }, 1, "attempting repair"},
		{"the log cut in mid-record", func(t *testing.T, dir string) { cut(t, newest(t, dir+"/wal/0*"), 0.9) }, 0.9, ""},
		{"the log broken near its end", func(t *testing.T, dir string) { mangle(t, newest(t, dir+"/wal/0*"), 0.8) }, 0.8, "attempting repair"},
		{"a log segment lost", func(t *testing.T, dir string) { gapInLog(t, dir) }, 0.4, "moved aside"},
		{"the checkpoint broken", func(t *testing.T, dir string) { mangle(t, newest(t, dir+"/wal/checkpoint.*/0*"), 0.2) }, 0.4, "moved aside"},
		{"chunks of the head broken", func(t *testing.T, dir string) { mangle(t, newest(t, dir+"/chunks_head/0*"), 0) }, 1, "moved aside"},
		{"a block without its meta file", func(t *testing.T, dir string) { cut(t, newest(t, dir+"/0*/meta.json"), 0) }, 0.2, "moved aside"},
		{"a block's index broken", func(t *testing.T, dir string) { cut(t, newest(t, dir+"/0*/index"), 0.5) }, 0.2, "moved aside"},
		{"a block's chunk broken, killed", func(t *testing.T, dir string) {
			mangle(t, newest(t, dir+"/0*/chunks/0*"), 0.5)
			cut(t, dir+"/lock", 0)
		}, 0.2, "moved aside"},
	}
	whole := t.TempDir()
	n := blocksAndLog(t, whole)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			var log bytes.Buffer
			s := openAt(t, dir, logTo(&log))
			got := len(samples(t, NewReader(s, ReaderOptions{}), t0, clock()))
			if float64(got) < c.atLeast*float64(n) {
				t.Errorf("%d of %d samples kept\n%s", got, n, log.String())
			}
			if !strings.Contains(log.String(), c.logged) {
				t.Errorf("log lacks %q: %s", c.logged, log.String())
			}
			put(t, s, cpu(24*3600, 1))
			shut(t, s)
			log.Reset()
			shut(t, openAt(t, dir, logTo(&log)))
			if log.Len() > 0 {
				t.Errorf("the second start is not clean: %s", log.String())
			}
		})
	}
}

// blocksAndLog makes a store with two blocks, a checkpoint and a log, and counts its samples.
func blocksAndLog(t *testing.T, dir string) int {
	t.Helper()
	s := openAt(t, dir, nil)
	n := 0
	for part := range 3 {
		n += hours(t, s, 2*part, 2)
		shut(t, s)
		s = openAt(t, dir, nil) // a new log segment
	}
	n += hours(t, s, 6, 1)
	if err := s.db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
	n += hours(t, s, 7, 1)
	shut(t, s)
	newest(t, dir+"/wal/checkpoint.*")
	return n
}

func cut(t *testing.T, path string, frac float64) {
	t.Helper()
	b, _ := os.ReadFile(path)
	if err := os.WriteFile(path, b[:int(frac*float64(len(b)))], 0o600); err != nil {
		t.Fatal(err)
	}
}

// gapInLog adds a segment whose number does not follow on.
func gapInLog(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(dir+"/wal/00000099", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableChunkIsAnError(t *testing.T) {
	dir := t.TempDir()
	blocksAndLog(t, dir)
	mangle(t, newest(t, dir+"/0*/chunks/0*"), 0.5)
	s := openAt(t, dir, nil) // after a clean stop chunks are not read on opening
	got, err := all(context.Background(), NewReader(s, ReaderOptions{}), t0, clock())
	if err == nil || got != nil {
		t.Errorf("%d samples, error %v: want none and an error", len(got), err)
	}
}

func TestOldDamageIsForgotten(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, asideDir, "wal-1")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	now := clock()
	for _, c := range []struct {
		age  time.Duration
		kept bool
	}{{DefaultRetention - time.Hour, true}, {DefaultRetention, false}} {
		if err := os.Chtimes(old, now, now.Add(-c.age)); err != nil {
			t.Fatal(err)
		}
		shut(t, openAt(t, dir, nil))
		if _, err := os.Stat(old); (err == nil) != c.kept {
			t.Errorf("after %v: %v, want kept %v", c.age, err, c.kept)
		}
	}
}
