package usage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/wlog"
)

// asideDir holds, in the store's directory, what was damaged; it is dropped after the retention time.
const asideDir = "moved-aside"

// dirLock keeps other processes out of a directory. The kernel frees it with the process, so a file
// that a killed process left is no obstacle, only a sign.
type dirLock struct {
	path    string
	file    fileutil.Releaser
	unclean bool // the last owner was killed
}

func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "lock")
	file, existed, err := fileutil.Flock(path)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another process uses it: stop that one or give this one its own directory: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock it: %w", err)
	}
	return &dirLock{path, file, existed}, nil
}

// release removes the file while it is still locked, so that it is never the next owner's.
func (l *dirLock) release() error {
	return errors.Join(os.Remove(l.path), l.file.Release())
}

// repair moves aside what keeps a store from opening or from being read. Its order is from the least
// loss to the most; nothing that can be read is ever removed.
type repair struct {
	dir   string
	log   *slog.Logger
	now   time.Time
	moved func() // counts
}

// openDB opens the TSDB, which replays its log and cuts it at the first damaged record by itself.
// What it gives up on goes: first the chunks of the head, which the log holds as well, then the
// whole log, which is up to three hours that are in no block yet.
func (r repair) openDB(o *tsdb.Options) (*tsdb.DB, error) {
	for _, parts := range [][]string{{"chunks_head"}, {"wal", "wbl"}} {
		db, err := tsdb.Open(r.dir, quiet(r.log), nil, o, nil)
		if err == nil || environmental(err) {
			return db, err
		}
		for _, part := range parts {
			if err := r.asideIfThere(filepath.Join(r.dir, part), err); err != nil {
				return nil, err
			}
		}
	}
	return tsdb.Open(r.dir, quiet(r.log), nil, o, nil)
}

// checkpoint moves aside a damaged checkpoint of the log before the TSDB sees it, which would delete
// the log behind it. Series whose names are only in the checkpoint lose what is in no block yet.
func (r repair) checkpoint() error {
	dir, _, err := wlog.LastCheckpoint(filepath.Join(r.dir, "wal"))
	if err != nil {
		return nil // none; a log that cannot be listed is openDB's
	}
	segments, err := wlog.NewSegmentsReader(dir)
	if err != nil {
		return r.aside(dir, err)
	}
	records := wlog.NewReader(segments)
	for records.Next() {
	}
	err = errors.Join(records.Err(), segments.Close())
	if err == nil || environmental(err) {
		return err
	}
	return r.aside(dir, err)
}

// environmental tells the faults of the machine from those of the files: moving files cures none of them.
func environmental(err error) bool {
	for _, e := range []error{fs.ErrPermission, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EMFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// blocks moves aside every block that cannot be opened; with deep, also those that cannot be read
// to the end, since one of them would fail every pass that looks so far back.
func (r repair) blocks(deep bool) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("list blocks: %w", err)
	}
	for _, e := range entries {
		if !isBlock(e) {
			continue
		}
		err := checkBlock(filepath.Join(r.dir, e.Name()), deep)
		if err == nil {
			continue
		}
		if environmental(err) {
			return fmt.Errorf("check block %s: %w", e.Name(), err)
		}
		if err := r.aside(filepath.Join(r.dir, e.Name()), err); err != nil {
			return err
		}
	}
	return nil
}

// isBlock tells a block's directory by the length of its ULID; half-made and half-deleted ones are
// longer and the TSDB's own to remove.
func isBlock(e fs.DirEntry) bool {
	return e.IsDir() && len(e.Name()) == 26
}

// checkBlock opens a block and, with deep, reads every chunk against its checksum.
func checkBlock(dir string, deep bool) (err error) {
	b, err := tsdb.OpenBlock(nil, dir, nil, tsdb.DefaultPostingsDecoderFactory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if !deep {
		return nil
	}
	ix, err := b.Index()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ix.Close()) }()
	data, err := b.Chunks()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	return readChunks(ix, data)
}

func readChunks(ix tsdb.IndexReader, data tsdb.ChunkReader) error {
	name, all := index.AllPostingsKey()
	p, err := ix.Postings(context.Background(), name, all)
	if err != nil {
		return err
	}
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	for p.Next() {
		if err := ix.Series(p.At(), &builder, &metas); err != nil {
			return err
		}
		for _, m := range metas {
			if _, _, err := data.ChunkOrIterable(m); err != nil {
				return err
			}
		}
	}
	return p.Err()
}

func (r repair) asideIfThere(path string, why error) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return r.aside(path, why)
}

func (r repair) aside(path string, why error) error {
	to := filepath.Join(r.dir, asideDir, fmt.Sprintf("%s-%d", filepath.Base(path), r.now.UnixNano()))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("move %s aside: %w", path, err)
	}
	if err := os.Rename(path, to); err != nil {
		return fmt.Errorf("move %s aside: %w", path, err)
	}
	r.moved()
	r.log.Error("damaged part of the usage store moved aside; its samples are missing from history",
		"path", path, "to", to, "err", why)
	return nil
}

// forget removes what was moved aside longer ago than keep; what cannot be removed is only logged.
func (r repair) forget(keep time.Duration) {
	old, _ := filepath.Glob(filepath.Join(r.dir, asideDir, "*"))
	for _, p := range old {
		st, err := os.Stat(p)
		if err != nil || r.now.Sub(st.ModTime()) < keep {
			continue
		}
		if err := os.RemoveAll(p); err != nil {
			r.log.Warn("remove an old damaged part of the usage store", "path", p, "err", err)
		}
	}
}
