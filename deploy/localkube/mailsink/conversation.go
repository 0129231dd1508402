package main

import (
	"crypto/subtle"
	"fmt"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// backend opens a conversation for every connection.
type backend struct {
	user, password string
	box            *box
	faults         *faults
}

// NewSession implements smtp.Backend.
func (b backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &conversation{backend: b}, nil }

// conversation is one client's connection.
type conversation struct {
	backend
	known bool // it has authenticated
	from  string
	to    []string
}

// AuthMechanisms implements smtp.AuthSession; the server offers them below TLS only.
func (s *conversation) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession.
func (s *conversation) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		same := subtle.ConstantTimeCompare([]byte(user), []byte(s.user)) & subtle.ConstantTimeCompare([]byte(password), []byte(s.password))
		if same != 1 {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

// Mail implements smtp.Session.
func (s *conversation) Mail(from string, _ *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return s.faults.next("mail")
}

// Rcpt implements smtp.Session.
func (s *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := s.faults.next("rcpt"); err != nil {
		return err
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements smtp.Session: a message that is answered with success is on disk.
func (s *conversation) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if err := s.faults.next("data"); err != nil {
		return err
	}
	return s.box.put(s.from, s.to, text)
}

// Reset implements smtp.Session.
func (s *conversation) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *conversation) Logout() error { return nil }
