package protocol

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message on the wire.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	bytes []byte // of a string, bytes, message or packed list
	bits  uint64 // of a number
}

// fields calls each with every field of a message, in the order of the wire.
func fields(msg []byte, each func(f field) error) error {
	for rest := msg; len(rest) > 0; {
		f, n := fieldAt(rest)
		if n < 0 {
			return fmt.Errorf("read the message: %w after %d bytes", protowire.ParseError(n), len(msg)-len(rest))
		}
		rest = rest[n:]
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

func fieldAt(b []byte) (f field, size int) {
	var n, m int
	if f.num, f.typ, n = protowire.ConsumeTag(b); n < 0 {
		return f, n
	}
	switch b = b[n:]; f.typ {
	case protowire.VarintType:
		f.bits, m = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, m = protowire.ConsumeFixed32(b)
		f.bits = uint64(v)
	case protowire.Fixed64Type:
		f.bits, m = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		f.bytes, m = protowire.ConsumeBytes(b)
	default: // groups, which none of our messages has
		m = protowire.ConsumeFieldValue(f.num, f.typ, b)
	}
	if m < 0 {
		return f, m
	}
	return f, n + m
}

// is says whether a field has the number and kind that a message gives it; one of another kind is unknown.
func (f field) is(num protowire.Number, typ protowire.Type) bool { return f.num == num && f.typ == typ }

// text is the field as a string.
func (f field) text() (string, error) {
	if !utf8.Valid(f.bytes) {
		return "", fmt.Errorf("read the message: field %d is not UTF-8", f.num)
	}
	return string(f.bytes), nil
}

// appendText appends a string field; proto3 leaves out the empty ones.
func appendText(dst []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), s)
}

// appendNumber appends a varint field; proto3 leaves out zeros.
func appendNumber(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

// appendBytes appends a field of bytes, an empty one too: it is an element of a list.
func appendBytes(dst []byte, num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), b)
}

// appendMessage appends a message field, which body appends.
func appendMessage(dst []byte, num protowire.Number, body func(dst []byte) []byte) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	from := len(dst)
	dst = body(dst)
	size := len(dst) - from
	head := protowire.SizeVarint(uint64(size))
	dst = append(dst, "0123456789"[:head]...) // room for the length, in front of the body
	copy(dst[from+head:], dst[from:from+size])
	protowire.AppendVarint(dst[:from], uint64(size))
	return dst
}

// appendDims appends a packed list of lengths, -1 among them.
func appendDims(dst []byte, num protowire.Number, dims ...int) []byte {
	if len(dims) == 0 {
		return dst
	}
	return appendMessage(dst, num, func(dst []byte) []byte {
		for _, d := range dims {
			dst = protowire.AppendVarint(dst, uint64(d))
		}
		return dst
	})
}
