package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// box is a folder with a file for every message, 0001.eml and on. The folder is all that it knows.
type box struct {
	dir string
	mu  sync.Mutex // of writers
}

// message is what is shown of one in a list.
type message struct {
	ID       string    `json:"id"`
	Received time.Time `json:"received"`
	From     string    `json:"from"` // of the envelope, as To is
	To       []string  `json:"to"`
	Subject  string    `json:"subject"`
	Size     int64     `json:"size"` // bytes of the file
}

// put stores a message below the headers that a mail server adds at delivery.
func (b *box) put(from string, to []string, text []byte) error {
	var file bytes.Buffer
	fmt.Fprintf(&file, "Return-Path: <%s>\r\n", from)
	for _, one := range to {
		fmt.Fprintf(&file, "Delivered-To: %s\r\n", one)
	}
	file.Write(text)
	b.mu.Lock()
	defer b.mu.Unlock()
	names, err := b.names()
	if err != nil {
		return err
	}
	last := 0
	if len(names) > 0 {
		fmt.Sscanf(names[len(names)-1], "%d", &last)
	}
	path := filepath.Join(b.dir, fmt.Sprintf("%04d.eml", last+1))
	temp := path + ".new" // a reader sees whole messages only
	return errors.Join(os.WriteFile(temp, file.Bytes(), 0o600), os.Rename(temp, path))
}

// names are the files, sorted, which is in order of arrival.
func (b *box) names() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(b.dir, "[0-9][0-9][0-9][0-9].eml"))
	for i, f := range files {
		files[i] = filepath.Base(f)
	}
	return files, err
}

// list gives every message, oldest first.
func (b *box) list() ([]message, error) {
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	all := []message{}
	for _, name := range names {
		m, err := b.read(strings.TrimSuffix(name, ".eml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // forgotten meanwhile
		} else if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (b *box) read(id string) (message, error) {
	text, err := b.text(id)
	if err != nil {
		return message{}, err
	}
	info, err := os.Stat(b.path(id))
	if err != nil {
		return message{}, err
	}
	m := message{ID: id, Received: info.ModTime().UTC(), Size: int64(len(text))}
	parsed, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		m.Subject = "not readable as mail: " + err.Error()
		return m, nil
	}
	m.From = strings.Trim(parsed.Header.Get("Return-Path"), "<>")
	m.To = parsed.Header["Delivered-To"]
	m.Subject = parsed.Header.Get("Subject")
	if plain, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = plain
	}
	return m, nil
}

func (b *box) path(id string) string { return filepath.Join(b.dir, id+".eml") }

var wellFormed = regexp.MustCompile(`^[0-9]{4}$`)

// text is one message; fs.ErrNotExist: there is none of that name.
func (b *box) text(id string) ([]byte, error) {
	if !wellFormed.MatchString(id) {
		return nil, fmt.Errorf("message %q: %w", id, fs.ErrNotExist)
	}
	return os.ReadFile(b.path(id))
}

// clear forgets every message.
func (b *box) clear() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, err := b.names()
	for _, name := range names {
		err = errors.Join(err, os.Remove(filepath.Join(b.dir, name)))
	}
	return err
}
