package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender"
)

// checkpointName begins the name of every ConfigMap that history is saved in; the index is called so.
const checkpointName = "trimtab-history"

const (
	firstPause = 250 * time.Millisecond // before saved history is asked for again; then twice as long each time
	lastPause  = 30 * time.Second
	saveWithin = 30 * time.Second
)

// keeper saves the history in ConfigMaps and takes it up again, a part for each namespace, and what stands of plans
// in another. It is for the goroutine that makes the passes.
type keeper struct {
	maps    *kube.Checkpoints
	history *recommender.History
	plans   *recommender.Plans
	every   time.Duration
	log     *slog.Logger
	metrics *metrics

	next   time.Time       // nothing is saved before it
	merged context.Context // the term in which what earlier leaders saved was taken up
	off    bool            // something saved cannot be read, so nothing is saved over it
}

// load takes up what is saved before the first pass. It asks until it is answered: a pass without
// history would save over it. An error means that ctx ended.
func (k *keeper) load(ctx context.Context, failed func(error)) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := k.merge(ctx, time.Now())
		if k.settled(err) {
			k.log.Info("history restored", "workloads", len(k.history.Refs()), "through", k.history.Last())
			k.next = time.Now().Add(k.every)
			return nil
		}
		failed(err)
		k.log.Warn("the saved history is not read yet; no pass is made before it is", "err", err, "again_in", pause.String())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// settled tells whether asking again would bring nothing new. What cannot be read turns saving off.
func (k *keeper) settled(err error) bool {
	if !errors.Is(err, kube.ErrUnreadable) {
		return err == nil
	}
	k.off = true
	k.metrics.saving(false)
	k.log.Error("history is not saved any more: some of what is saved cannot be read, so it is left as it is; "+
		"run the version that wrote it, or delete the ConfigMap "+checkpointName+" to begin anew, then restart", "err", err)
	return true
}

// merge takes up every saved workload whose history is longer than ours, with what stood of its plans. Ours is empty at the start,
// and complete in a replica that has sampled since; it is the shorter one in a young replica that
// follows an old leader. Then the minutes since the last save are the price. An error that is not
// kube.ErrUnreadable left ours as it was.
func (k *keeper) merge(ctx context.Context, now time.Time) error {
	saved, err := k.maps.Load(ctx)
	if err != nil && !errors.Is(err, kube.ErrUnreadable) {
		return err
	}
	faults, taken := []error{err}, map[fleet.Ref]bool{}
	for _, part := range saved { // by name: a namespace's history before its plans
		blobs, err := split(part.Data)
		for _, blob := range blobs {
			if strings.HasSuffix(part.Name, plansPart) {
				err = errors.Join(err, k.plans.Restore(blob, func(ref fleet.Ref) bool { return taken[ref] }))
			} else {
				err = errors.Join(err, k.restore(blob, now, taken))
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%w: part %q: %w", kube.ErrUnreadable, part.Name, err))
		}
	}
	return errors.Join(faults...)
}

// restore takes up the history of one workload, unless ours of it is as long, and notes that.
func (k *keeper) restore(blob []byte, now time.Time, taken map[fleet.Ref]bool) error {
	saved := recommender.NewHistory()
	if err := saved.Restore(blob); err != nil {
		return err
	}
	saved.Forget(now.Add(-optimizer.Retention)) // as ours has: the rest would make it look longer
	for _, ref := range saved.Refs() {
		if span(saved, ref, now) <= span(k.history, ref, now) {
			continue
		}
		if err := k.history.Restore(saved.Checkpoint(ref)); err != nil {
			return err
		}
		taken[ref] = true
	}
	return nil
}

// span is the time from the first to the last sample of a workload; 0: there is none.
func span(h *recommender.History, ref fleet.Ref, now time.Time) time.Duration {
	last, ok := h.LastOf(ref)
	if !ok {
		return 0
	}
	first := last
	for _, u := range h.Use(ref, optimizer.Retention, now, 0.5) {
		if u.From.Before(first) {
			first = u.From
		}
	}
	return max(last.Sub(first), 1)
}

// save writes the history of the plan's workloads when its time has come, or at once where last. What
// fails is tried again when the next save is due. Term is this replica's leadership: the first save
// of each begins with what the leaders before it have saved.
func (k *keeper) save(ctx, term context.Context, now time.Time, plan optimizer.Plan, last bool) {
	if k.off || !last && now.Before(k.next) {
		return
	}
	k.next = now.Add(k.every)
	limited, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	defer context.AfterFunc(term, cancel)()
	err := k.write(limited, term, now, plan)
	if ctx.Err() != nil && !last {
		return // stopped: the last save follows
	}
	k.metrics.checkpointed(err)
	if !k.settled(err) {
		k.log.Error("the history was not saved", "err", err, "again_in", k.every.String())
	}
}

func (k *keeper) write(ctx, term context.Context, now time.Time, plan optimizer.Plan) error {
	if k.merged != term {
		if err := k.merge(ctx, now); err != nil {
			return fmt.Errorf("take up what the last leader saved: %w", err)
		}
		k.merged = term
	}
	return k.maps.Save(ctx, partsOf(k.history, k.plans, kept(k.history, plan)))
}

// kept are the workloads whose history is saved: the plan's. While a document is broken so far that
// nobody can tell whom it is for, they are all: mended, it would ask for a history that is gone.
func kept(h *recommender.History, plan optimizer.Plan) []fleet.Ref {
	if slices.ContainsFunc(plan.BadPolicies, func(b policies.Bad) bool { return !b.Kept && b.Selector == nil }) {
		return h.Refs()
	}
	refs := make([]fleet.Ref, 0, len(plan.Assessments))
	for _, a := range plan.Assessments {
		refs = append(refs, a.Ref)
	}
	return refs
}

// plansPart ends the names of the parts that hold plans; a namespace's own has no such sign in it.
const plansPart = "/plans"

// partsOf is the history of refs, which are sorted, in a part for each namespace, and the plans of each in another:
// damage to one leaves the others, and where nothing was measured nothing is written.
func partsOf(h *recommender.History, p *recommender.Plans, refs []fleet.Ref) []kube.Part {
	var parts []kube.Part
	at := map[string]int{}
	add := func(name string, blob []byte) {
		if blob == nil {
			return
		}
		i, known := at[name]
		if !known {
			i = len(parts)
			at[name] = i
			parts = append(parts, kube.Part{Name: name})
		}
		parts[i].Data = join(parts[i].Data, blob)
	}
	for _, ref := range refs {
		add(ref.Namespace, h.Checkpoint(ref))
		add(ref.Namespace+plansPart, p.Checkpoint(ref))
	}
	return parts
}

// join appends blob to part, behind its length as an unsigned varint.
func join(part, blob []byte) []byte {
	return append(binary.AppendUvarint(part, uint64(len(blob))), blob...)
}

// split gives the blobs that join put together; with an error, those before the fault.
func split(part []byte) ([][]byte, error) {
	var blobs [][]byte
	for len(part) > 0 {
		size, n := binary.Uvarint(part)
		if n <= 0 || size > uint64(len(part)-n) {
			return blobs, fmt.Errorf("a length is wrong, %d bytes before its end", len(part))
		}
		end := n + int(size)
		blobs, part = append(blobs, part[n:end:end]), part[end:]
	}
	return blobs, nil
}
