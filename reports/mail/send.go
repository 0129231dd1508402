package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Server is a mail server and who we are to it. Nothing is ever said to it in the clear.
type Server struct {
	Host     string // its name, or its IP address, as its certificate has it
	Port     int
	Implicit bool // TLS from the first byte; otherwise by STARTTLS, without which nothing is sent

	Username, Password string // both empty: no login
	// Authority is the PEM certificates of the only authorities to trust; empty: those of the system.
	Authority []byte
}

// patience is how long connecting may take, and then handing over the mail.
const patience = 30 * time.Second

// ErrRefused marks what the mail server refused for good: this mail, to this recipient. Any other
// error of Send may be different the next time, by itself or because somebody put it right: the
// server's address, its certificate, the password.
var ErrRefused = errors.New("refused for good")

// Send hands a message to the server. The error is one line that says what is wrong and, where a
// person can mend it, how.
func Send(ctx context.Context, s Server, m Message) error {
	built, err := m.build()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	client, err := s.client(ctx)
	if err != nil {
		return fmt.Errorf("mail server %s: %w", s.address(), err)
	}
	if err := client.DialWithContext(ctx); err != nil {
		return fmt.Errorf("mail server %s: %w; nothing was sent", s.address(), s.unopened(err))
	}
	defer client.Close() // a server that does not take leave has the mail all the same
	if err := client.Send(built); err != nil && !built.IsDelivered() {
		return fmt.Errorf("mail to %s by %s: %w", m.To, s.address(), unsent(err))
	}
	return nil
}

func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// client is a client whose connection is closed when ctx ends: go-mail itself would wait on.
func (s Server) client(ctx context.Context) (*gomail.Client, error) {
	config := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if len(s.Authority) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(s.Authority) {
			return nil, errors.New("ca.crt of its Secret has no certificate in PEM form")
		}
	}
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTLSConfig(config), gomail.WithTimeout(patience), gomail.WithTLSPolicy(gomail.TLSMandatory),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := s.dial(dialing, network, address, config)
			if err == nil {
				context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		}),
	}
	if s.Implicit {
		options = append(options, gomail.WithSSL())
	}
	if s.Username != "" || s.Password != "" {
		options = append(options, gomail.WithOpportunisticSMTPAuth(logins...), gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return gomail.NewClient(s.Host, options...)
}

// logins are the ways to log in, the best first. The last two show the password to the server, and are
// refused by go-mail itself where the connection is not encrypted.
var logins = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}

func (s Server) dial(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	if s.Implicit {
		return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// unopened says why there is no connection that could be used.
func (s Server) unopened(err error) error {
	var untrusted *tls.CertificateVerificationError
	var plain tls.RecordHeaderError
	var said *textproto.Error
	switch {
	case strings.Contains(err.Error(), "does not support STARTTLS"):
		return errors.New("it does not offer STARTTLS, and nothing is sent in the clear; give the port that does, or tls: implicit")
	case errors.As(err, &untrusted):
		return fmt.Errorf("its certificate is not to be trusted: %w; ca.crt of its Secret may name the authority", untrusted.Err)
	case errors.As(err, &plain):
		return fmt.Errorf("it does not speak TLS at once: %w; write tls: starttls, or give another port", err)
	case strings.Contains(err.Error(), "does not support SMTP AUTH"), errors.Is(err, gomail.ErrNoSupportedAuthDiscovered), strings.Contains(err.Error(), "unsupported SMTP AUTH type"):
		return fmt.Errorf("it offers no login that is known here: %w; leave the Secret out if it needs none", err)
	case errors.As(err, &said) && strings.Contains(err.Error(), "SMTP AUTH failed"):
		return fmt.Errorf("it does not take the username and password of the Secret: %w", said)
	}
	return err
}

// unsent says why the mail was not taken. Without an answer of the server nobody knows whether it was.
func unsent(err error) error {
	var sent *gomail.SendError
	if !errors.As(err, &sent) {
		return err
	}
	text := strings.TrimSpace(strings.Split(sent.Error(), ", affected")[0])
	switch code := sent.ErrorCode(); {
	case code >= 500 && sent.Reason == gomail.ErrSMTPMailFrom: // of us, which the operator can put right
		return fmt.Errorf("it does not take mail from us: %s; does it want the login of a Secret, or another from?", text)
	case code >= 500:
		return fmt.Errorf("%w: %s", ErrRefused, text)
	case code >= 400:
		return fmt.Errorf("not taken for now: %s", text)
	}
	return fmt.Errorf("the connection ended before the server said whether it took the mail: %s", text)
}
