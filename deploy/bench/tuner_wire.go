package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// wire is one kept-alive connection that sends ready-made requests and reads answers of a known length. It
// makes no garbage: the client takes as little as it can of cores that the server may share.
type wire struct {
	conn  net.Conn
	in    *bufio.Reader
	asked atomic.Bool   // a request is under way; who makes it false says how it ended
	meant time.Time     // when that was meant to be sent
	late  time.Duration // how much later it was sent
}

func connect(host string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", host, time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{conn: conn, in: bufio.NewReaderSize(conn, 8<<10)}, nil
}

// ask sends a request that was meant to be sent at a time.
func (w *wire) ask(request []byte, meant time.Time) error {
	w.meant, w.late = meant, time.Since(meant)
	w.asked.Store(true)
	_, err := w.conn.Write(request)
	return err
}

// answer waits for an answer and reads it.
func (w *wire) answer() error {
	status, length, err := w.head()
	if err != nil {
		return err
	}
	if _, err := w.in.Discard(length); err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("status %d", status)
	}
	return nil
}

// head reads an answer's status and the length of its body.
func (w *wire) head() (status, length int, err error) {
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("answer begins with %.20q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	for length = -1; ; {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, err
			}
		}
	}
	if length < 0 {
		return 0, 0, errors.New("an answer does not say how long it is")
	}
	return status, length, nil
}

// requests are whole requests with different rows: caches and branch predictors would learn a single one.
func (o order) requests() ([][]byte, error) {
	if o.Rate <= 0 {
		return nil, nil
	}
	in, err := inputOf(&server{url: "http://" + o.Host, model: o.Model})
	if err != nil {
		return nil, err
	}
	const different = 64
	r := rand.New(rand.NewPCG(o.Seed, 1))
	var all [][]byte
	for range different {
		all = append(all, o.request(in, r))
	}
	return all, nil
}

// request is one request of one row, as it goes over the wire.
func (o order) request(in input, r *rand.Rand) []byte {
	shape, values := []int{1}, 1
	for _, d := range in.Shape[1:] {
		shape, values = append(shape, max(1, d)), values*max(1, d)
	}
	data := make([]float32, values)
	for i := range data {
		data[i] = 2*r.Float32() - 1
	}
	describe, _ := json.Marshal(shape) // of numbers: it cannot fail
	name := fmt.Sprintf(`{"inputs":[{"name":%q,"shape":%s,"datatype":"FP32",`, in.Name, describe)
	kind, body := "Content-Type: application/json\r\n", []byte(name)
	if o.JSON {
		text, _ := json.Marshal(data)
		body = append(append(append(body, `"data":`...), text...), "}]}"...)
	} else {
		body = fmt.Appendf(body, `"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, 4*values)
		kind = fmt.Sprintf("Content-Type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n", len(body))
		for _, v := range data {
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(v))
		}
	}
	head := fmt.Sprintf("POST /v2/models/%s/infer HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n", o.Model, o.Host, kind, len(body))
	return append([]byte(head), body...)
}
