package policies

import (
	"fmt"
	"strings"
)

// wrongNamespace says what is wrong with the name of a namespace, or nothing.
func wrongNamespace(s string) string { return wrongName(s, 63, "") }

// wrongObject says what is wrong with the name of an object such as a Deployment, or nothing.
func wrongObject(s string) string { return wrongName(s, 253, ".") }

// wrongName checks a name of Kubernetes: lower-case letters, digits and dashes, in parts between the
// bytes of separators.
func wrongName(s string, longest int, separators string) string {
	switch {
	case s == "":
		return "is empty; write a name"
	case strings.ContainsAny(s, "*?"):
		return "is a pattern; names are exact here, choose many by labels instead"
	case len(s) > longest:
		return fmt.Sprintf("is longer than the %d characters that Kubernetes allows", longest)
	case len(s) > 0 && !edges(s, isLower):
		return "is not a name in Kubernetes; it must begin and end with a lower-case letter or a digit"
	}
	for _, c := range []byte(s) {
		if !isLower(c) && c != '-' && strings.IndexByte(separators, c) < 0 {
			return fmt.Sprintf("is not a name in Kubernetes: %q is not allowed in it", c)
		}
	}
	return ""
}

// wrongLabel says what is wrong with a label, or nothing.
func wrongLabel(key, value string) string {
	name := key
	if prefix, rest, ok := strings.Cut(key, "/"); ok {
		if text := wrongObject(prefix); text != "" {
			return fmt.Sprintf("the prefix %q of the label %s", prefix, text)
		}
		name = rest
	}
	if name == "" || !isLabel(name) {
		return fmt.Sprintf("%q is not a label's key; write up to 63 letters, digits, dashes, dots or underscores", key)
	}
	if !isLabel(value) {
		return fmt.Sprintf("%q is not a label's value; write up to 63 letters, digits, dashes, dots or underscores", value)
	}
	return ""
}

func isLabel(s string) bool {
	if s == "" {
		return true
	}
	for _, c := range []byte(s) {
		if !isLetter(c) && strings.IndexByte("-._", c) < 0 {
			return false
		}
	}
	return len(s) <= 63 && edges(s, isLetter)
}

func edges(s string, ok func(byte) bool) bool { return ok(s[0]) && ok(s[len(s)-1]) }

func isLower(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

func isLetter(c byte) bool { return isLower(c) || c >= 'A' && c <= 'Z' }

// wrongInstance says what is wrong with an instance type or a region, which are values of node labels.
func wrongInstance(s string) string {
	if s == "" || !isLabel(s) {
		return "is not the value of a node label; write it as the node has it, such as m5.large"
	}
	return ""
}
