package policies

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a document, in words that say what to write instead.
type Fault struct {
	Source string `json:"source"`
	Line   int    `json:"line,omitempty"` // counted from 1; 0: of the document as a whole
	Path   string `json:"path,omitempty"` // "spec.rightSizing.percentile"; empty: of the text itself
	Text   string `json:"text"`
}

// String is the fault as compilers print theirs: "policy.yaml:12: spec.budget: ...".
func (f Fault) String() string {
	var s strings.Builder
	s.WriteString(f.Source)
	if f.Line > 0 {
		fmt.Fprintf(&s, ":%d", f.Line)
	}
	s.WriteString(": ")
	if f.Path != "" {
		s.WriteString(f.Path + ": ")
	}
	s.WriteString(f.Text)
	return s.String()
}

// nearest is the candidate that word was probably meant to be: equal but for case, or at most a third
// of its letters wrong. False where none is close.
func nearest(word string, candidates []string) (string, bool) {
	best, dist := "", len(word)/3+1
	for _, c := range candidates {
		if strings.EqualFold(c, word) {
			return c, true
		}
		if d := Distance(strings.ToLower(word), strings.ToLower(c)); d < dist {
			best, dist = c, d
		}
	}
	return best, best != ""
}

// Distance counts the letters to insert, delete or replace to make a into b (Levenshtein).
// Words longer than any key are not measured.
func Distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
