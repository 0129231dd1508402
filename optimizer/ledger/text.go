package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/policies"
)

// textVersion is that of record. Whatever is added to it needs another number: an older daemon must not
// rewrite an entry that it understands in part.
const textVersion = 1

// record is an entry as it is written.
type record struct {
	Version  int               `json:"v"`
	Number   int64             `json:"n"` // in the order in which changes were begun, whatever the clocks said
	Ref      fleet.Ref         `json:"ref"`
	UID      string            `json:"uid,omitempty"`
	Begun    time.Time         `json:"begun"`
	Ended    time.Time         `json:"ended,omitzero"`
	Outcome  optimizer.Outcome `json:"outcome,omitempty"`
	Detail   string            `json:"detail,omitempty"`
	Proposal string            `json:"proposal,omitempty"` // Change.ID
	Reasons  []fleet.Reason    `json:"reasons,omitempty"`
	Policy   string            `json:"policy,omitempty"`
	Mode     policies.Mode     `json:"mode,omitempty"`
	Apply    policies.Apply    `json:"apply,omitempty"`
	Saving   cost.Line         `json:"saving,omitzero"`
	By       string            `json:"by,omitempty"`
	Reverts  string            `json:"reverts,omitempty"`
	Keeper   string            `json:"keeper,omitempty"`
	Only     []string          `json:"only,omitempty"` // Change.Pods
	Shapes   []shapeText       `json:"shapes"`         // each once; the others point here
	From     stateText         `json:"from"`
	To       stateText         `json:"to"`
	Pods     []podText         `json:"pods,omitempty"` // of both states
}

type shapeText struct {
	Containers []containerText `json:"containers,omitempty"`
	Overhead   fleet.Resources `json:"overhead,omitzero"`
}

type containerText struct {
	Name     string          `json:"name"`
	Role     fleet.Role      `json:"role,omitempty"` // empty: main
	Requests fleet.Resources `json:"requests,omitzero"`
	Limits   fleet.Resources `json:"limits,omitzero"`
}

type stateText struct {
	Class        fleet.Class    `json:"class,omitempty"`
	Template     int            `json:"template"` // in Shapes
	Replicas     int32          `json:"replicas"`
	Capacity     fleet.Capacity `json:"capacity,omitempty"`
	TolerateSpot bool           `json:"tolerateSpot,omitempty"`
	BatchSize    int            `json:"batchSize,omitempty"`
	SpotNodes    []string       `json:"spotNodes,omitempty"`
}

// podText is a pod in both states.
type podText struct {
	Name    string    `json:"name"`
	UID     string    `json:"uid,omitempty"`
	Node    string    `json:"node,omitempty"`
	Created time.Time `json:"created,omitzero"`
	From    *int      `json:"from,omitempty"` // its shape; absent: the template's
	To      *int      `json:"to,omitempty"`
	Not     string    `json:"not,omitempty"` // "from" or "to": the state that it is not in
}

const (
	notFrom = "from"
	notTo   = "to"
)

// item is an entry and its place in the order.
type item struct {
	optimizer.Entry
	number int64 // from 1
}

// encode writes an entry whose change is compact. The same entry gives the same text.
func encode(e item) (string, error) {
	c := e.Change
	r := record{
		Version: textVersion, Number: e.number, Ref: c.Ref, UID: c.From.UID, Begun: e.Begun, Ended: e.Ended, Outcome: e.Outcome, Detail: e.Detail,
		Proposal: c.ID, Reasons: c.Reasons, Policy: c.Policy, Mode: c.Mode, Apply: c.Apply, Saving: c.Saving,
		By: c.By, Reverts: c.Reverts, Keeper: c.Keeper, Only: c.Pods,
	}
	r.From, r.To = r.state(c.From), r.state(c.To)
	r.Pods = r.join(c.From, c.To)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // for whoever reads it with kubectl
	if err := enc.Encode(r); err != nil {
		return "", fmt.Errorf("write entry of %s: %w", c.Ref, err)
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

func (r *record) state(w fleet.Workload) stateText {
	return stateText{w.Class, r.shape(w.Template), w.Replicas, w.Capacity, w.TolerateSpot, w.BatchSize, w.SpotNodes}
}

// shape is the place of s among the shapes, where it is put unless it is there.
func (r *record) shape(s fleet.PodShape) int {
	text := shapeText{Overhead: s.Overhead}
	for _, c := range s.Containers {
		role := c.Role
		if role == fleet.Main {
			role = ""
		}
		text.Containers = append(text.Containers, containerText{c.Name, role, c.Requests, c.Limits})
	}
	if i := slices.IndexFunc(r.Shapes, text.equal); i >= 0 {
		return i
	}
	r.Shapes = append(r.Shapes, text)
	return len(r.Shapes) - 1
}

func (s shapeText) equal(o shapeText) bool {
	return s.Overhead.Equal(o.Overhead) && slices.EqualFunc(s.Containers, o.Containers, func(a, b containerText) bool {
		return a.Name == b.Name && a.Role == b.Role && a.Requests.Equal(b.Requests) && a.Limits.Equal(b.Limits)
	})
}

// join writes the pods of both states, which are sorted, as one list.
func (r *record) join(from, to fleet.Workload) []podText {
	var out []podText
	a, b := from.Pods, to.Pods
	for len(a)+len(b) > 0 {
		inFrom := len(b) == 0 || len(a) > 0 && comparePods(a[0], b[0]) <= 0
		inTo := len(a) == 0 || len(b) > 0 && comparePods(a[0], b[0]) >= 0
		var p podText
		if inFrom {
			p = podOf(a[0])
			p.From, a = r.unlike(r.From, a[0].Shape), a[1:]
		} else {
			p = podOf(b[0])
			p.Not = notFrom
		}
		if inTo {
			p.To, b = r.unlike(r.To, b[0].Shape), b[1:]
		} else {
			p.Not = notTo
		}
		out = append(out, p)
	}
	return out
}

// unlike is the place of a pod's shape; nil where it is the template's.
func (r *record) unlike(of stateText, s fleet.PodShape) *int {
	if i := r.shape(s); i != of.Template {
		return &i
	}
	return nil
}

func podOf(p fleet.Pod) podText {
	return podText{Name: p.Name, UID: p.UID, Node: p.Node, Created: p.Created}
}
