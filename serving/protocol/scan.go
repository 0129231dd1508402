package protocol

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// mostNested is how deep arrays and objects may lie in each other: encoding/json's own bound.
const mostNested = 10_000

// scanner reads JSON from left to right, without reflection and mostly without allocations. It takes
// what RFC 8259 takes: any order of names, any spaces, any escapes.
type scanner struct {
	text  []byte
	at    int
	plain []byte // the last string that had escapes, without them
	open  []byte // brackets that skip has not closed yet
}

// want is the error of text that is not JSON, or not the JSON that belongs here.
func (s *scanner) want(what string) error {
	if s.at >= len(s.text) {
		return fmt.Errorf("read the body as JSON: it ends at byte %d, where %s should be", s.at, what)
	}
	return fmt.Errorf("read the body as JSON: %q at byte %d, where %s should be", s.text[s.at], s.at, what)
}

// peek goes over spaces and returns the byte that follows them, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		c := s.text[s.at]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		s.at++
	}
	return 0
}

// object calls field with each name; field reads the value. The name is good until field reads on.
func (s *scanner) object(field func(name []byte) error) error {
	if s.peek() != '{' {
		return s.want("an object")
	}
	s.at++
	if s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		name, err := s.name()
		if err != nil {
			return err
		}
		if err := field(name); err != nil {
			return err
		}
		if more, err := s.more('}'); !more {
			return err
		}
	}
}

// name reads a name and the colon behind it.
func (s *scanner) name() ([]byte, error) {
	name, err := s.str()
	if err != nil {
		return nil, err
	}
	if s.peek() != ':' {
		return nil, s.want("a colon")
	}
	s.at++
	return name, nil
}

// array calls element before each element; element reads it.
func (s *scanner) array(element func() error) error {
	if s.peek() != '[' {
		return s.want("an array")
	}
	s.at++
	if s.peek() == ']' {
		s.at++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if more, err := s.more(']'); !more {
			return err
		}
	}
}

// more reads the comma or the end after an element.
func (s *scanner) more(end byte) (bool, error) {
	switch s.peek() {
	case ',':
		s.at++
		return true, nil
	case end:
		s.at++
		return false, nil
	}
	return false, s.want("a comma or " + string(end))
}

// ended checks that nothing follows the value that was read.
func (s *scanner) ended() error {
	if s.peek(); s.at < len(s.text) {
		return s.want("the end")
	}
	return nil
}

// null goes over null if that is what follows.
func (s *scanner) null() bool {
	return s.peek() == 'n' && s.word("null") == nil
}

// word goes over one of JSON's three words.
func (s *scanner) word(word string) error {
	if s.peek(); len(s.text)-s.at < len(word) || string(s.text[s.at:s.at+len(word)]) != word {
		return s.want(word)
	}
	s.at += len(word)
	return nil
}

// boolean reads true or false.
func (s *scanner) boolean() (bool, error) {
	if s.peek() == 't' {
		return true, s.word("true")
	}
	if s.peek() != 'f' {
		return false, s.want("true or false")
	}
	return false, s.word("false")
}

// str reads a string. What it returns is good until the next string is read.
func (s *scanner) str() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.want("a string")
	}
	s.at++
	for from := s.at; s.at < len(s.text); s.at++ {
		s.at += special(s.text[s.at:])
		if s.at == len(s.text) {
			break
		}
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[from : s.at-1], nil
		case c == '\\':
			s.plain = append(s.plain[:0], s.text[from:s.at]...)
			return s.escaped()
		case c < ' ':
			return nil, s.want("a character that a string may hold")
		}
	}
	return nil, s.want("a closing quote")
}

// special is where the first byte of text may be that a string does not hold as it is: a quote, a backslash, a
// control character. Eight bytes are looked at together; the last few are not.
func special(text []byte) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		quote, slash := w^'"'*eachByte, w^'\\'*eachByte
		found := (quote-eachByte)&^quote | (slash-eachByte)&^slash | (w-' '*eachByte)&^w
		if found &= 0x80 * eachByte; found != 0 {
			return i + bits.TrailingZeros64(found)>>3
		}
	}
	return i
}

// escaped reads the rest of a string that has escapes.
func (s *scanner) escaped() ([]byte, error) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.plain, nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.want("a character that a string may hold")
		default:
			s.plain = append(s.plain, c)
			s.at++
		}
	}
	return nil, s.want("a closing quote")
}

func (s *scanner) escape() error {
	s.at++
	if s.at >= len(s.text) {
		return s.want("an escape")
	}
	c := s.text[s.at]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicode()
	default:
		return s.want("an escape")
	}
	s.plain = append(s.plain, c)
	s.at++
	return nil
}

// unicode reads one \u escape, or two that are one character together. Half of a pair alone becomes
// U+FFFD, as in encoding/json.
func (s *scanner) unicode() error {
	r, ok := s.hex(s.at + 1)
	if !ok {
		return s.want("u and four hexadecimal digits")
	}
	s.at += 5
	if utf16.IsSurrogate(r) {
		low, ok := rune(0), false
		if s.at+1 < len(s.text) && s.text[s.at] == '\\' && s.text[s.at+1] == 'u' {
			low, ok = s.hex(s.at + 2)
		}
		if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
			s.at += 6
		}
	}
	s.plain = utf8.AppendRune(s.plain, r)
	return nil
}

func (s *scanner) hex(at int) (rune, bool) {
	if at+4 > len(s.text) {
		return 0, false
	}
	var r rune
	for _, c := range s.text[at : at+4] {
		switch {
		case c-'0' < 10:
			r = r<<4 + rune(c-'0')
		case (c|0x20)-'a' < 6:
			r = r<<4 + rune((c|0x20)-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number reads a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	end, _ := numberEnd(s.text, s.at)
	if end < 0 {
		return nil, s.want("a number")
	}
	text := s.text[s.at:end]
	s.at = end
	return text, nil
}

// integer reads a number without a point or exponent, or a string that holds one.
func (s *scanner) integer() (int64, error) {
	from, text := s.at, []byte(nil)
	var err error
	if s.peek() == '"' {
		text, err = s.str()
	} else {
		text, err = s.number()
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q at byte %d is not an integer of 64 bits", text, from)
	}
	return n, nil
}
