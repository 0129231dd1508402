package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// What StoreOptions means by zero.
const (
	DefaultRetention = 35 * 24 * time.Hour
	DefaultMaxBytes  = 4 << 30
)

// drift is how far a sample may lie ahead of the clock: one machine whose clock is far ahead would
// otherwise make the store refuse the true samples of all the others as too old.
const drift = time.Minute

// StoreOptions says where the store lives and how much it keeps.
type StoreOptions struct {
	Dir       string                // empty: a temporary directory that Close removes
	Retention time.Duration         // 0: DefaultRetention
	MaxBytes  int64                 // on disk; the oldest blocks go first; 0: DefaultMaxBytes
	Log       *slog.Logger          // nil: nothing is logged
	Registry  prometheus.Registerer // for the store's own metrics; nil: none
	Now       func() time.Time      // nil: time.Now
}

// Store is the embedded TSDB and the PromQL engine on it. It belongs to one process.
type Store struct {
	counters
	db     *tsdb.DB
	engine *promql.Engine
	lock   *dirLock
	temp   string // removed on Close
	now    func() time.Time
}

// OpenStore opens the store, replaying what a killed process left. What is damaged beyond repair is
// moved aside with a log line and the rest is kept. An error means that the directory cannot be used
// at all: not writable, full, or in use by another process.
func OpenStore(o StoreOptions) (*Store, error) {
	o = o.withDefaults()
	s := &Store{counters: newCounters(), now: o.Now}
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "trimtab-usage-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for the usage store: %w", err)
		}
		o.Dir, s.temp = dir, dir
	}
	if err := s.open(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open usage store %s: %w", o.Dir, err), s.Close())
	}
	return s, nil
}

func (o StoreOptions) withDefaults() StoreOptions {
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (s *Store) open(o StoreOptions) (err error) {
	if s.lock, err = lockDir(o.Dir); err != nil {
		return err
	}
	r := repair{dir: o.Dir, log: o.Log, now: o.Now(), moved: s.aside.Inc}
	r.forget(o.Retention)
	if err := r.blocks(s.lock.unclean); err != nil {
		return err
	}
	if err := r.checkpoint(); err != nil {
		return err
	}
	if s.db, err = r.openDB(o.tsdb()); err != nil {
		return err
	}
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:        quiet(o.Log),
		MaxSamples:    10_000_000, // in memory at once, in one query: a query above it fails and says so
		Timeout:       2 * time.Minute,
		LookbackDelta: 5 * time.Minute,
		Parser:        parser.NewParser(parser.Options{}),
	})
	return s.register(o.Registry)
}

// tsdb sizes the files for small volumes: a segment is the least that can be dropped or preallocated.
func (o StoreOptions) tsdb() *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.NoLockfile = true // dirLock holds it, from before the repairs on
	t.RetentionDuration = o.Retention.Milliseconds()
	t.MaxBytes = o.MaxBytes
	t.MaxBlockDuration = o.Retention.Milliseconds() / 10
	t.WALSegmentSize = 16 << 20
	t.MaxBlockChunkSegmentSize = 32 << 20
	t.StripeSize = 1 << 11
	return t
}

func (s *Store) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range append(s.collectors(), newFacts(s)) {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics of the usage store: %w", err)
		}
	}
	return nil
}

// Close stops compaction, writes what is in memory to the log and frees the directory. A temporary
// one is removed. Reads and writes must have ended.
func (s *Store) Close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.release())
	}
	if s.temp != "" {
		errs = append(errs, os.RemoveAll(s.temp))
	}
	return errors.Join(errs...)
}

// Since is the time of the oldest sample; false: there is none yet.
func (s *Store) Since() (time.Time, bool) {
	ms, err := s.db.StartTime()
	if err != nil || ms == math.MaxInt64 || ms == math.MinInt64 {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// newest is the time of the newest sample; false: there is none yet.
func (s *Store) newest() (time.Time, bool) {
	ms := s.db.Head().MaxTime()
	for _, b := range s.db.Blocks() {
		ms = max(ms, b.MaxTime())
	}
	if ms == math.MinInt64 {
		return time.Time{}, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// span is the times of the oldest and of the newest sample; false: there is none yet.
func (s *Store) span() (oldest, newest time.Time, ok bool) {
	oldest, some := s.Since()
	newest, also := s.newest()
	return oldest, newest, some && also
}

func (s *Store) bytes() int64 {
	n := s.db.Head().Size()
	for _, b := range s.db.Blocks() {
		n += b.Size()
	}
	return n
}

// reading is one value of one series.
type reading struct {
	series labels.Labels
	at     int64 // milliseconds since 1970
	value  float64
	end    bool // a stale marker: the series has ended, the value does not count
}

// write appends readings in their order, all or none but for those it refuses and counts.
func (s *Store) write(ctx context.Context, readings []reading) error {
	limit := s.now().Add(drift).UnixMilli()
	app := s.db.Appender(ctx)
	taken, refused := 0, map[string]int{}
	for _, r := range readings {
		reason := refuse(r, limit)
		if reason == "" {
			_, err := app.Append(0, r.series, r.at, r.stored())
			if reason = reasonOf(err); err != nil && reason == "" {
				return errors.Join(fmt.Errorf("append to the usage store: %w", err), app.Rollback())
			}
		}
		if reason != "" {
			refused[reason]++
			continue
		}
		taken++
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("commit to the usage store: %w", err)
	}
	s.appended.Add(float64(taken))
	for reason, n := range refused {
		s.skipped.WithLabelValues(reason).Add(float64(n))
	}
	return nil
}

func (r reading) stored() float64 {
	if r.end {
		return math.Float64frombits(value.StaleNaN)
	}
	return r.value
}

// refuse says why r is no measurement; empty: it is one.
func refuse(r reading, limit int64) string {
	switch {
	case r.at > limit:
		return skipFuture
	case r.end:
		return ""
	case !(r.value >= 0) || math.IsInf(r.value, 0):
		return skipInvalid
	}
	return ""
}

// reasonOf names the errors with which the TSDB refuses one sample; other errors have none.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		return skipDuplicate
	case errors.Is(err, storage.ErrOutOfOrderSample):
		return skipOutOfOrder
	case errors.Is(err, storage.ErrOutOfBounds), errors.Is(err, storage.ErrTooOldSample):
		return skipTooOld
	}
	return ""
}
