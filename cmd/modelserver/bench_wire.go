package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// wire is one kept-alive connection. It sends ready-made requests and reads answers without making
// garbage, so that the client takes little of a CPU that the server may share.
type wire struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	body    []byte // of the last answer; good until the next
}

// answer is what came back.
type answer struct {
	status int
	header int // how many bytes of the body are JSON before binary tensors; 0: all
	body   []byte
}

// exchange sends a request and reads its answer, until deadline. After an error, or where the server
// says so, the next call makes a new connection.
func (w *wire) exchange(request []byte, deadline time.Time) (answer, error) {
	if err := w.open(deadline); err != nil {
		return answer{}, err
	}
	a, last, err := w.try(request, deadline)
	if err != nil || last {
		w.close()
	}
	return a, err
}

func (w *wire) open(deadline time.Time) error {
	if w.conn != nil {
		return nil
	}
	d := net.Dialer{Deadline: deadline}
	conn, err := d.Dial("tcp", w.address)
	if err != nil {
		return err
	}
	w.conn, w.in = conn, bufio.NewReaderSize(conn, 8<<10)
	return nil
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) try(request []byte, deadline time.Time) (a answer, last bool, err error) {
	if err := w.conn.SetDeadline(deadline); err != nil {
		return a, true, err
	}
	if _, err := w.conn.Write(request); err != nil {
		return a, true, err
	}
	h, err := w.head()
	if err != nil {
		return a, true, err
	}
	switch {
	case h.chunked:
		err = w.chunks()
	case h.length < 0: // to the end of the connection
		h.last = true
		w.body, err = io.ReadAll(io.LimitReader(w.in, mostAnswer))
	default:
		w.body, err = w.more(w.body[:0], h.length)
	}
	return answer{h.status, h.tensors, w.body}, h.last, err
}

// head is what matters of an answer's header.
type head struct {
	status  int
	length  int // -1: not said
	tensors int // Inference-Header-Content-Length
	chunked bool
	last    bool // the server closes the connection
}

func (w *wire) head() (head, error) {
	h := head{length: -1}
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return h, fmt.Errorf("answer begins with %.20q", line)
	}
	h.last = line[7] == '0'
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, fmt.Errorf("answer begins with %.20q", line)
	}
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return h, nil
		}
		if err := h.field(line); err != nil {
			return h, err
		}
	}
}

func (h *head) field(line []byte) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	switch {
	case is("content-length"):
		h.length, err = count(value, 10)
	case is("inference-header-content-length"):
		h.tensors, err = count(value, 10)
	case is("transfer-encoding"):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case is("connection"):
		h.last = bytes.EqualFold(value, []byte("close"))
	}
	return err
}

var errLength = errors.New("a length in the answer is not one, or is too large")

func count(text []byte, base int) (int, error) {
	n, err := strconv.ParseUint(string(text), base, 31)
	if err != nil || n > mostAnswer {
		return 0, errLength
	}
	return int(n), nil
}

func (w *wire) chunks() error {
	w.body = w.body[:0]
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(";"))
		n, err := count(size, 16)
		if err != nil || len(w.body)+n > mostAnswer {
			return errLength
		}
		if n == 0 {
			return w.trailer()
		}
		if w.body, err = w.more(w.body, n); err != nil {
			return err
		}
		if _, err := w.in.Discard(2); err != nil {
			return err
		}
	}
}

func (w *wire) trailer() error {
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil || len(bytes.TrimSpace(line)) == 0 {
			return err
		}
	}
}

// more appends n bytes of the connection to b.
func (w *wire) more(b []byte, n int) ([]byte, error) {
	from := len(b)
	if cap(b) < from+n {
		b = append(make([]byte, 0, from+n), b...)
	}
	b = b[:from+n]
	_, err := io.ReadFull(w.in, b[from:])
	return b, err
}
