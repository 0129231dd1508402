package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// htmlPart takes the HTML out of a message as it was received.
func htmlPart(eml []byte) ([]byte, error) {
	m, err := mail.ReadMessage(bytes.NewReader(eml))
	if err != nil {
		return nil, fmt.Errorf("read the message: %w", err)
	}
	return findHTML(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
}

var errNoHTML = errors.New("the message has no HTML part")

func findHTML(kind, encoding string, body io.Reader) ([]byte, error) {
	media, params, err := mime.ParseMediaType(kind)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the message's parts: %w", err)
	case media == "text/html" && strings.EqualFold(encoding, "quoted-printable"):
		return io.ReadAll(quotedprintable.NewReader(body))
	case media == "text/html":
		return io.ReadAll(body)
	case !strings.HasPrefix(media, "multipart/"):
		return nil, errNoHTML
	}
	for parts := multipart.NewReader(body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err != nil {
			return nil, errNoHTML
		}
		if page, err := findHTML(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p); err == nil {
			return page, nil
		}
	}
}
