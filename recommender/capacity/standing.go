package capacity

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Standing is what is known of the tuning of one server at a moment: what the daemon answers and
// trimtab tune shows.
type Standing struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Model     string    `json:"model"`
	Version   string    `json:"version"`
	Mode      string    `json:"mode"`
	At        time.Time `json:"at"`
	Known     bool      `json:"known"`    // Question and Plan say something
	Question  Question  `json:"question"` // what was last asked
	Plan      Plan      `json:"plan"`     // and answered
	Steps     []string  `json:"steps"`    // how tuning came to where it is, in words
	Missing   string    `json:"missing"`  // why nothing is known
}

// WhatIf is a setting that somebody asked about and what it would do.
type WhatIf struct {
	Asked     string    `json:"asked"` // as ParseSetting reads it
	Candidate Candidate `json:"candidate"`
}

// Ref is the server as people name it: NAMESPACE/NAME.
func (s Standing) Ref() string { return s.Namespace + "/" + s.Name }

// Brief is s without the other candidates of its plan and the cluster's nodes, which are most of it: for lists of servers.
func (s Standing) Brief() Standing {
	s.Plan.Alternatives, s.Plan.Frontier, s.Question.Room.Nodes = nil, nil, nil
	return s
}

// WhatIfs is what the server would do at other settings, each written as ParseSetting reads it and based
// on the one in force. The error names every fault, with the text that it is in.
func (s Standing) WhatIfs(asked []string) ([]WhatIf, error) {
	settings, err := s.Asked(asked)
	if err != nil {
		return nil, err
	}
	out := make([]WhatIf, 0, len(asked))
	for i, at := range settings {
		out = append(out, WhatIf{Asked: asked[i], Candidate: Try(s.Question, at)})
	}
	return out, nil
}

// Asked is the settings that texts ask for, as WhatIfs has them, without what they would do.
func (s Standing) Asked(asked []string) ([]Setting, error) {
	var out []Setting
	var faults []error
	for _, text := range asked {
		at, err := ParseSetting(text, s.Question.Now)
		if err != nil {
			for fault := range strings.SplitSeq(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("what-if %q: %s", text, fault))
			}
		}
		out = append(out, at)
	}
	return out, errors.Join(faults...)
}
