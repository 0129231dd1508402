package engine

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trimtab.dev/trimtab/serving/runtime"
	"trimtab.dev/trimtab/serving/runtime/sim"
)

// TestBadRowsFailAlone: a model that fails, or panics, at certain rows fails nobody else's requests.
func TestBadRowsFailAlone(t *testing.T) {
	const fails, panics = -1, -2
	s := spec()
	s.Fixed = 100 * time.Microsecond
	s.Fail = func(first float64) error {
		switch first {
		case fails:
			return errors.New("no such house")
		case panics:
			panic("out of range")
		}
		return nil
	}
	e := open(t, sim.New(s), Config{Limits: limits(16, time.Millisecond), Instances: 2}, nil)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			random := newRandom(i)
			for range 20 {
				first := []float32{0, 1, 2, fails, panics}[random.IntN(5)]
				r := request(1+random.IntN(20), first, random)
				out, err := e.Infer(t.Context(), r)
				switch first {
				case fails:
					if err == nil || !strings.Contains(err.Error(), "no such house") {
						t.Errorf("a bad row: %v", err)
					}
				case panics:
					if err == nil || !strings.Contains(err.Error(), "panicked: out of range") {
						t.Errorf("a row that makes the model panic: %v", err)
					}
				default:
					if err == nil {
						err = right(r, out)
					}
					if err != nil {
						t.Errorf("a good row: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	if s := e.Stats(); s.Panics == 0 || s.Failed.Count == 0 || s.Success.Count+s.Failed.Count != 32*20 || s.Inflight != 0 {
		t.Errorf("%d panics, %d failed, %d answered, %d inside", s.Panics, s.Failed.Count, s.Success.Count, s.Inflight)
	}
}

// counting counts the sessions that are made of a model.
type counting struct {
	runtime.Model
	made atomic.Int32
}

func (c *counting) Session() (runtime.Session, error) { c.made.Add(1); return c.Model.Session() }

// TestSessions: one is made for each worker that computes, and another after each panic.
func TestSessions(t *testing.T) {
	s := spec()
	s.Fail = func(first float64) error {
		if first < 0 {
			panic("oh")
		}
		return nil
	}
	m := &counting{Model: sim.New(s)}
	e := open(t, m, Config{Limits: limits(4, 0), Instances: 8, Profile: -1}, NewPool(1))
	for i, first := range []float32{1, 1, -1, 1, -1, -1, 1} {
		_, err := e.Infer(t.Context(), request(1, first, newRandom(1)))
		if want := []int32{1, 1, 1, 2, 2, 3, 4}[i]; m.made.Load() != want || (err != nil) != (first < 0) {
			t.Errorf("request %d: %d sessions, want %d; %v", i, m.made.Load(), want, err)
		}
	}
}
