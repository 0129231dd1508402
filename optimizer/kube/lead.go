package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The times of an election, client-go's own. A leader that cannot renew stops after renewDeadline,
// which leaves it leaseDuration - renewDeadline to come to rest before another may begin.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Candidate is one replica that wants to lead.
type Candidate struct {
	Namespace, Lease string     // the Lease's name
	Identity         string     // of this replica: its pod name
	Leading          func(bool) // told when leadership begins and ends; may be nil
}

// Lead runs work whenever this replica leads, one term after the other, until ctx ends (nil) or work
// returns an error or, while it leads, nil. Work's context ends with the term, and work must return soon after.
// The Lease is given back only when work has returned, so that no two replicas ever work at once.
func Lead(ctx context.Context, client kubernetes.Interface, c Candidate, work func(context.Context) error) error {
	if c.Leading == nil {
		c.Leading = func(bool) {}
	}
	for {
		lost, err := c.term(ctx, client, work)
		ended := lost || ctx.Err() != nil
		if ended && errors.Is(err, context.Canceled) {
			err = nil // which is how work should end then
		}
		if err != nil || !lost || ctx.Err() != nil {
			return err
		}
	}
}

// term waits for the Lease and works until the work or the term ends; lost tells that it was the term.
func (c Candidate) term(ctx context.Context, client kubernetes.Interface, work func(context.Context) error) (lost bool, err error) {
	// The election outlives ctx: the Lease is renewed until work has come to rest.
	election, stop := context.WithCancel(context.WithoutCancel(ctx))
	lock := c.lock(client)
	begun, over := make(chan context.Context), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: c.Lease,
		LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(term context.Context) {
				select {
				case begun <- term:
				case <-over:
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		stop()
		return false, fmt.Errorf("lead by Lease %s/%s: %w", c.Namespace, c.Lease, err)
	}
	go func() {
		defer close(over)
		elector.Run(election)
	}()
	defer func() {
		stop()
		<-over
		release(ctx, lock)
	}()
	select {
	case <-ctx.Done():
		return false, nil
	case <-over: // elected and lost at once
		return true, nil
	case term := <-begun:
		return c.lead(ctx, term, work)
	}
}

// lead works until ctx, the term or the work ends.
func (c Candidate) lead(ctx, term context.Context, work func(context.Context) error) (lost bool, err error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(term, stop)()
	c.Leading(true)
	defer c.Leading(false)
	err = work(working)
	return term.Err() != nil, err
}

func (c Candidate) lock(client kubernetes.Interface) *resourcelock.LeaseLock {
	return &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Lease},
		Client:     client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
	}
}

// release gives the Lease back, if it is still ours, so that the next leader need not wait for it to
// run out, as it does where this fails. client-go's own ReleaseOnCancel would not wait for the work.
func release(ctx context.Context, lock *resourcelock.LeaseLock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseDuration-renewDeadline)
	defer cancel()
	held, _, err := lock.Get(ctx)
	if err != nil || held.HolderIdentity != lock.Identity() {
		return
	}
	now := metav1.Now()
	_ = lock.Update(ctx, resourcelock.LeaderElectionRecord{
		LeaderTransitions: held.LeaderTransitions, LeaseDurationSeconds: 1, RenewTime: now, AcquireTime: now,
	})
}
