package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// entryOf is change c-1 of the workload's three pods, begun at 10:00 and not ended.
func entryOf(t fleet.Target, do ...func(*optimizer.Entry)) optimizer.Entry {
	const gi = int64(1) << 30
	shape := fleet.PodShape{Containers: []fleet.Container{{Name: "server", Requests: fleet.Resources{MilliCPU: 500, Memory: gi}}}}
	w := fleet.Workload{Ref: model, UID: "uid-model", Template: shape, Replicas: 3, Capacity: fleet.OnDemand}
	for _, name := range []string{"model-1", "model-2", "model-3"} {
		w.Pods = append(w.Pods, fleet.Pod{Name: name, Shape: shape})
	}
	e := optimizer.Entry{ID: "c-1", Begun: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Change: optimizer.Change{Ref: model, From: w, To: w.With(t), Apply: policies.InPlace, Policy: "ml-production"}}
	e.Change.Saving.Amount = 31_200_000
	for _, f := range do {
		f(&e)
	}
	return e
}

func ended(o optimizer.Outcome, detail string) func(*optimizer.Entry) {
	return func(e *optimizer.Entry) { e.Outcome, e.Detail, e.Ended = o, detail, e.Begun.Add(12*time.Second) }
}

func TestTale(t *testing.T) {
	const words = "server cpu 500m -> 20m, memory 1Gi -> 148Mi; replicas 3 -> 2"
	for _, row := range []struct {
		e    optimizer.Entry
		want string
	}{
		{entryOf(joint(2)), "Normal TrimtabChanged: " + words +
			". Requests in place on 3 pods, without a restart. Saves $31.20 a month (policy ml-production). Undo: trimtab revert c-1."},
		{entryOf(size(20, 148), func(e *optimizer.Entry) { e.Change.Pods = []string{"model-1"} }),
			"Normal TrimtabChanged: server cpu 500m -> 20m, memory 1Gi -> 148Mi. Requests in place on 1 pod, without a restart. Saves $31.20 a month (policy ml-production). Undo: trimtab revert c-1."},
		{entryOf(size(500, 148), func(e *optimizer.Entry) { e.Change.Apply, e.Change.By = policies.InTemplate, "ada" }),
			"Normal TrimtabChanged: server memory 1Gi -> 148Mi. Requests in the pod template, which replaces the pods one after the other. " +
				"Saves $31.20 a month (policy ml-production, asked for by ada). Undo: trimtab revert c-1."},
		{entryOf(size(20, 1024), func(e *optimizer.Entry) {
			for i := range e.Change.From.Pods {
				e.Change.From.Pods[i].Shape.Containers[0].ResizePolicy.CPU = fleet.RestartContainer
			}
		}), "Normal TrimtabChanged: server cpu 500m -> 20m. Requests in place on 3 pods, whose resize policy restarts a container. " +
			"Saves $31.20 a month (policy ml-production). Undo: trimtab revert c-1."},
		{entryOf(toSpot, func(e *optimizer.Entry) { e.Change.Saving.Unpriced = []string{"x9.huge in mars-1"} }),
			"Normal TrimtabChanged: capacity on-demand -> spot. What it saves is not known: $31.20 and unpriced (no price for x9.huge in mars-1) (policy ml-production). Undo: trimtab revert c-1."},
		{entryOf(joint(2), ended(optimizer.Done, "")), "Normal TrimtabDone: Done in 12s: " + words + ". Saves $31.20 a month (policy ml-production). Undo: trimtab revert c-1."},
		{entryOf(joint(2), ended(optimizer.Failed, "resize pod model-1: refused by ResourceQuota q")),
			"Warning TrimtabRefused: Not done: " + words + ". resize pod model-1: refused by ResourceQuota q."},
		{entryOf(joint(2), ended(optimizer.Moved, "replicas: expected 3, found 5")), "Warning TrimtabMoved: Not done: " + words + ". replicas: expected 3, found 5."},
		{entryOf(fleet.Target{Replicas: 4}, func(e *optimizer.Entry) {
			e.Change.Reverts, e.Change.By, e.Change.Saving.Amount = "c-0", "ada", -5_000_000
		}), "Normal TrimtabReverted: Taking back change c-0: replicas 3 -> 4. Costs $5.00 more a month (policy ml-production, asked for by ada)."},
		{entryOf(fleet.Target{}, ended(optimizer.Done, ""), func(e *optimizer.Entry) {
			e.Change.Keeper, e.Change.Policy, e.Change.From.BatchSize, e.Change.To.BatchSize = "managed", "rec", 1, 8
		}), "Normal TrimtabDone: Done in 12s: batch size 1 -> 8. Saves $31.20 a month (policy rec)."},
	} {
		kind, reason, text := tale(row.e)
		if got := fmt.Sprintf("%s %s: %s", kind, reason, text); got != row.want {
			t.Errorf("got\n%s\nwant\n%s", got, row.want)
		}
	}
}

func TestTellOnceForEachState(t *testing.T) {
	client := fake.NewClientset()
	begun, done := entryOf(joint(2)), entryOf(joint(2), ended(optimizer.Done, ""))
	other := entryOf(joint(2), func(e *optimizer.Entry) { e.ID = "c-2" })
	for i, row := range []struct {
		reporter string
		happened []optimizer.Entry
		want     int // Events in all
	}{
		{"trimtab-0", nil, 0},
		{"trimtab-0", []optimizer.Entry{begun}, 1},
		{"trimtab-0", []optimizer.Entry{begun}, 1},
		{"trimtab-1", []optimizer.Entry{begun, done}, 2}, // a new leader
		{"trimtab-1", []optimizer.Entry{other}, 3},
	} {
		if err := NewTeller(client, row.reporter).Tell(t.Context(), row.happened); err != nil {
			t.Error(err)
		}
		list, err := client.CoreV1().Events("a").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != row.want {
			t.Errorf("call %d: %d Events (%v), want %d", i, len(list.Items), err, row.want)
		}
	}
}

func TestTellOnTheWorkload(t *testing.T) {
	e := entryOf(joint(2), ended(optimizer.Failed, strings.Repeat("é", 1000)), func(e *optimizer.Entry) {
		e.Change.Ref.Name = strings.Repeat("m", 253)
	})
	got := NewTeller(fake.NewClientset(), "trimtab-0").event(e)
	if got.Namespace != "a" || got.InvolvedObject.Kind != "Deployment" || got.InvolvedObject.APIVersion != "apps/v1" ||
		got.InvolvedObject.UID != "uid-model" || got.InvolvedObject.Name != e.Change.Ref.Name || got.ReportingInstance != "trimtab-0" {
		t.Errorf("%+v", got)
	}
	if !got.LastTimestamp.Time.Equal(e.Ended) || len(got.Name) > 253 || len(got.Message) > maxMessage {
		t.Errorf("at %v, %d bytes of name, %d of message", got.LastTimestamp, len(got.Name), len(got.Message))
	}
}

// One Event that is refused does not stop the next.
func TestTellRefused(t *testing.T) {
	client := fake.NewClientset()
	on := always()
	refuse(client, "create", "events", on, errors.New("events is forbidden"))
	contains(t, NewTeller(client, "trimtab-0").Tell(t.Context(), []optimizer.Entry{entryOf(joint(2)), entryOf(toSpot)}),
		"write an Event on a/model", "forbidden\nwrite")
}
