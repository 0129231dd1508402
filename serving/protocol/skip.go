package protocol

import "fmt"

// skip goes over a value of any kind, which has to be valid.
func (s *scanner) skip() error {
	s.open = s.open[:0]
	for {
		opened, err := s.begin()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		if more, err := s.closing(); !more {
			return err
		}
	}
}

// begin goes over a value, or into an array or object that is not empty: then it says true and stands
// before the first value inside.
func (s *scanner) begin() (opened bool, err error) {
	c := s.peek()
	if c != '{' && c != '[' {
		return false, s.scalar(c)
	}
	if len(s.open) == mostNested {
		return false, fmt.Errorf("read the body as JSON: it is nested deeper than %d at byte %d", mostNested, s.at)
	}
	s.at++
	if s.peek() == c+2 { // in ASCII, both closing brackets are two after the opening one
		s.at++
		return false, nil
	}
	s.open = append(s.open, c)
	if c == '{' {
		_, err = s.name()
	}
	return err == nil, err
}

// closing goes over what follows a value: a comma, then it says true and stands before the next value;
// or ends of arrays and objects. False is the end of the outermost one.
func (s *scanner) closing() (more bool, err error) {
	for len(s.open) > 0 {
		c := s.open[len(s.open)-1]
		more, err := s.more(c + 2)
		if err != nil {
			return false, err
		}
		if more && c == '{' {
			_, err = s.name()
		}
		if more {
			return err == nil, err
		}
		s.open = s.open[:len(s.open)-1]
	}
	return false, nil
}

func (s *scanner) scalar(c byte) error {
	switch c {
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	end, _ := numberEnd(s.text, s.at)
	if end < 0 {
		return s.want("a value")
	}
	s.at = end
	return nil
}
