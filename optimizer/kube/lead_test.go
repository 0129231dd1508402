package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

// diary notes what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(slices.Clone(d.lines), ", ")
}

func candidate(name string, d *diary) Candidate {
	return Candidate{Namespace: "trimtab", Lease: "trimtab", Identity: name, Leading: func(yes bool) {
		if yes {
			d.note(name + " leads")
		} else {
			d.note(name + " rests")
		}
	}}
}

// untilStopped is work that takes a while to come to rest.
func untilStopped(name string, d *diary, rest time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(rest)
		d.note(name + " done")
		return ctx.Err()
	}
}

func holder(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	l, err := client.CoordinationV1().Leases("trimtab").Get(t.Context(), "trimtab", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return *l.Spec.HolderIdentity
}

// The Lease changes hands within seconds of the end of the first leader's work, and never before,
// however long that takes.
func TestLeadHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, d := fake.NewClientset(), &diary{}
		first, stopFirst := context.WithCancel(t.Context())
		second, stopSecond := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		lead := func(ctx context.Context, name string) {
			wg.Go(func() {
				if err := Lead(ctx, client, candidate(name, d), untilStopped(name, d, 2*leaseDuration)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			time.Sleep(time.Minute)
		}
		lead(first, "a")
		lead(second, "b")
		if got := d.text(); got != "a leads" {
			t.Errorf("after two minutes: %s", got)
		}
		stopFirst()
		time.Sleep(2*leaseDuration + 5*time.Second)
		if got := d.text(); got != "a leads, a done, a rests, b leads" {
			t.Errorf("after the first was stopped: %s", got)
		}
		stopSecond()
		wg.Wait()
		if got := holder(t, client); got != "" {
			t.Errorf("the Lease is still held by %q", got)
		}
	})
}

func TestStandbyStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, d := fake.NewClientset(), &diary{}
		leading, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = Lead(leading, client, candidate("a", d), untilStopped("a", d, time.Second)) })
		synctest.Wait()
		standby, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Lead(standby, client, candidate("b", d), untilStopped("b", d, time.Second)); err != nil {
			t.Error(err)
		}
		if got := holder(t, client); got != "a" {
			t.Errorf("a standby took the Lease away: it is held by %q", got)
		}
		stop()
		wg.Wait()
		if got := d.text(); got != "a leads, a done, a rests" {
			t.Error(got)
		}
	})
}

// A leader that the API server does not answer stops before its Lease runs out, and stands again.
func TestLeadLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, d := fake.NewClientset(), &diary{}
		var down atomic.Bool
		for _, verb := range []string{"get", "update"} {
			refuse(client, verb, "leases", &down, errors.New("no route to host"))
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := Lead(ctx, client, candidate("a", d), untilStopped("a", d, time.Second)); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Minute)
		down.Store(true)
		time.Sleep(leaseDuration)
		if got := d.text(); got != "a leads, a done, a rests" {
			t.Errorf("when the Lease ran out: %s", got)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		if got := d.text(); got != "a leads, a done, a rests, a leads" {
			t.Errorf("when the API server was back: %s", got)
		}
		stop()
		wg.Wait()
	})
}

func TestLeadEndsWithWork(t *testing.T) {
	broken := errors.New("ledger not writable")
	for _, want := range []error{nil, broken} {
		synctest.Test(t, func(t *testing.T) {
			client, d := fake.NewClientset(), &diary{}
			err := Lead(t.Context(), client, candidate("a", d), func(context.Context) error { return want })
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if got := d.text() + " " + holder(t, client); got != "a leads, a rests " {
				t.Error(got)
			}
		})
	}
}

// An error of the work counts even when it ends because it was told to.
func TestLeadReportsLastError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		broken := errors.New("checkpoint was not saved")
		err := Lead(ctx, fake.NewClientset(), Candidate{Namespace: "n", Lease: "l", Identity: "a"}, func(ctx context.Context) error {
			stop()
			<-ctx.Done()
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
	})
}

func TestLeadNeedsAnIdentity(t *testing.T) {
	err := Lead(t.Context(), fake.NewClientset(), Candidate{Namespace: "n", Lease: "l"}, nil)
	contains(t, err, "lead by Lease n/l", "identity")
}
