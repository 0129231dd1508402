package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/fleet"
)

// decode reads what encode wrote. It is strict: what it does not know could not be kept by the next
// write. Every fault is given.
func decode(id, text string) (item, error) {
	var r record
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal([]byte(text), &version); err == nil && version.V > textVersion {
		return item{}, fmt.Errorf("a newer Trimtab wrote it: version %d, this one knows %d", version.V, textVersion)
	}
	if err := dec.Decode(&r); err != nil {
		return item{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return item{}, errors.New("something follows the entry")
	}
	if err := r.check(id); err != nil {
		return item{}, err
	}
	return item{r.entry(id), r.Number}, nil
}

func (r record) check(id string) error {
	faults := []error{
		unless(r.Version == textVersion, "version %d is not %d", r.Version, textVersion),
		unless(r.Number > 0, "n is %d", r.Number),
		unless(idForm.MatchString(id) && strings.HasPrefix(id, r.Begun.UTC().Format(stamp)+"-"), "the key %s is not that of a change begun at %s", id, r.Begun.Format(time.RFC3339)),
		unless(r.Ref.Namespace != "" && r.Ref.Kind != "" && r.Ref.Name != "", "ref names no workload"),
		unless(inText(r.Begun), "begun is no time"),
		unless((r.Outcome == "") == r.Ended.IsZero() && (r.Ended.IsZero() || inText(r.Ended)), "outcome %q and ended do not fit", r.Outcome),
		unless(slices.Contains(outcomes, r.Outcome) || r.Outcome == "", "outcome %q is none of %v", r.Outcome, outcomes),
		unless(r.has(r.From.Template) && r.has(r.To.Template), "a template has no shape"),
	}
	for _, p := range r.Pods {
		faults = append(faults,
			unless((p.From == nil || r.has(*p.From)) && (p.To == nil || r.has(*p.To)), "pod %s has no shape", p.Name),
			unless(p.Not == "" || p.Not == notFrom || p.Not == notTo, "pod %s is not in %q", p.Name, p.Not),
			unless(p.Created.IsZero() || inText(p.Created), "pod %s was created at no time", p.Name))
	}
	return errors.Join(faults...)
}

var outcomes = []optimizer.Outcome{optimizer.Done, optimizer.Failed, optimizer.Moved}

func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// inText tells whether a time can be written.
func inText(t time.Time) bool { return !t.IsZero() && t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }

func (r record) has(shape int) bool { return shape >= 0 && shape < len(r.Shapes) }

func (r record) entry(id string) optimizer.Entry {
	c := optimizer.Change{
		ID: r.Proposal, Ref: r.Ref, From: r.workload(r.From), To: r.workload(r.To), Pods: r.Only, Reasons: r.Reasons,
		Policy: r.Policy, Mode: r.Mode, Apply: r.Apply, Saving: r.Saving, By: r.By, Reverts: r.Reverts, Keeper: r.Keeper,
	}
	for _, p := range r.Pods {
		if p.Not != notFrom {
			c.From.Pods = append(c.From.Pods, p.pod(r.shapeOr(p.From, r.From.Template)))
		}
		if p.Not != notTo {
			c.To.Pods = append(c.To.Pods, p.pod(r.shapeOr(p.To, r.To.Template)))
		}
	}
	return optimizer.Entry{ID: id, Change: Compact(c), Begun: moment(r.Begun), Ended: moment(r.Ended), Outcome: r.Outcome, Detail: words(r.Detail)}
}

func (r record) workload(s stateText) fleet.Workload {
	return fleet.Workload{
		UID: r.UID, Class: s.Class, Template: r.shapeOr(nil, s.Template), Replicas: s.Replicas, Capacity: s.Capacity,
		TolerateSpot: s.TolerateSpot, BatchSize: s.BatchSize, SpotNodes: s.SpotNodes,
	}
}

func (r record) shapeOr(i *int, template int) fleet.PodShape {
	if i != nil {
		template = *i
	}
	text := r.Shapes[template]
	s := fleet.PodShape{Overhead: text.Overhead}
	for _, c := range text.Containers {
		s.Containers = append(s.Containers, fleet.Container{Name: c.Name, Role: c.Role, Requests: c.Requests, Limits: c.Limits})
	}
	return s
}

func (p podText) pod(s fleet.PodShape) fleet.Pod {
	return fleet.Pod{Name: p.Name, UID: p.UID, Node: p.Node, Created: p.Created, Shape: s}
}
