package router

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/runtime"
)

// alike holds that those who name no version, or the same one as before, need not care which model answers:
// versions that share a model's requests take and give the same, and so does what comes in the place of a version
// that runs. What takes something else is a version of its own, without a share until its callers know.
func (s *staging) alike(c Config, entries []*Entry) error {
	var faults []error
	for _, m := range c.Models {
		own := entries[:len(m.Versions)]
		entries = entries[len(m.Versions):]
		var first *Entry
		for _, e := range own {
			if old := s.running(m.Name, e.Version); old != nil && old.held != e.held {
				faults = append(faults, differ(e, old, "ran before: give what is new a version of its own"))
			}
			switch {
			case e.Weight == 0:
			case first == nil:
				first = e
			default:
				faults = append(faults, differ(e, first, "has a share of the same requests: set the weight of one to 0"))
			}
		}
	}
	return errors.Join(faults...)
}

// differ tells how e's tensors differ from those of other, nil if they do not.
func differ(e, other *Entry, why string) error {
	a, b := e.held.engine.Meta(), other.held.engine.Meta()
	if same(a.Inputs, b.Inputs) && same(a.Outputs, b.Outputs) {
		return nil
	}
	return fmt.Errorf("%s %s takes %s and gives %s; %s, which takes %s and gives %s, %s", e.Name, e.Version,
		described(a.Inputs), described(a.Outputs), other.Version, described(b.Inputs), described(b.Outputs), why)
}

func same(a, b []runtime.Spec) bool {
	return slices.EqualFunc(a, b, func(a, b runtime.Spec) bool {
		return a.Name == b.Name && a.Type == b.Type && slices.Equal(a.Shape, b.Shape)
	})
}

func described(specs []runtime.Spec) string {
	var words []string
	for _, s := range specs {
		words = append(words, fmt.Sprintf("%s %s%v", s.Name, s.Type, s.Shape))
	}
	return strings.Join(words, ", ")
}
