package mail

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"trimtab.dev/trimtab/deploy/golden"
)

func letter(to string) Message {
	return Message{
		From: "Trimtab <trimtab@example.com>", To: to, Subject: "[trimtab weekly] week 47 of 2026: $12.34 (−$0.70, -5.4 %), 3 proposals worth $31.00 a month",
		Text: "Spent $12.34 — as much as before.\n", HTML: "<!doctype html>\n<p style=\"color:#1c2430\">Spent $12.34 — as much as before.</p>\n",
		Date: time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("", 3600)), ID: ID("weekly", "2026-W47", to, "Trimtab <trimtab@example.com>"), List: "weekly",
	}
}

func TestGolden(t *testing.T) {
	var got bytes.Buffer
	if err := letter("ml-platform@example.com").Write(&got); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "weekly.eml", got.String())
}

// TestIDIsOneMails: the same for the same mail, another for any other, and no address in it.
func TestIDIsOneMails(t *testing.T) {
	one := ID("weekly", "2026-W47", "a@example.com", "Trimtab <t@example.org>")
	if one != ID("weekly", "2026-W47", "a@example.com", "t@example.org") || !strings.HasSuffix(one, "@example.org") || strings.Contains(one, "a@example.com") {
		t.Error(one)
	}
	for _, other := range []string{
		ID("monthly", "2026-W47", "a@example.com", "t@example.org"), ID("weekly", "2026-W48", "a@example.com", "t@example.org"), ID("weekly", "2026-W47", "b@example.com", "t@example.org"),
	} {
		if other == one {
			t.Errorf("%s is two mails", one)
		}
	}
}

// sink is a mail server on the loopback with faults to order.
type sink struct {
	mu       sync.Mutex
	messages map[string][]byte // by recipient
	faults   []error           // what the next attempts at DATA are answered with; nil: taken
	refuse   string            // a recipient
	drop     bool              // hangs up in the middle of DATA
	attempts int
}

type talk struct {
	*sink
	conn   *smtp.Conn
	authed bool
	to     string
}

func (s *talk) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *talk) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "trimtab" || password != "right" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such user or password"}
		}
		s.authed = true
		return nil
	}), nil
}

func (s *talk) Mail(string, *smtp.MailOptions) error {
	if _, secure := s.conn.TLSConnectionState(); !secure || !s.authed {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "TLS and login first"}
	}
	return nil
}

func (s *talk) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.to = to; to == s.refuse {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody of that name"}
	}
	return nil
}

func (s *talk) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts++
	if s.drop {
		s.conn.Conn().Close()
		return errors.New("gone")
	}
	if len(s.faults) > 0 {
		err, s.faults = s.faults[0], s.faults[1:]
		if err != nil {
			return err
		}
	}
	s.messages[s.to] = b
	return nil
}

func (s *talk) Reset()        {}
func (s *talk) Logout() error { return nil }

// certificate is a certificate for a name with the PEM of its own authority.
func certificate(t *testing.T, host string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// serve starts a sink. How: "starttls", "implicit" or "clear", which knows no TLS.
func serve(t *testing.T, how string) (*sink, Server) {
	t.Helper()
	s := &sink{messages: map[string][]byte{}}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &talk{sink: s, conn: c}, nil }))
	server.Domain, server.ErrorLog = "sink.example.com", quiet{}
	cert, authority := certificate(t, "127.0.0.1")
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	switch how {
	case "starttls":
		server.TLSConfig = config
	case "implicit":
		l = tls.NewListener(l, config)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); l.Close(); <-done })
	return s, Server{Host: "127.0.0.1", Port: port, Implicit: how == "implicit", Username: "trimtab", Password: "right", Authority: authority}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// TestSent: the mail arrives whole, by either way of TLS: its headers, and text before HTML, both as they were.
func TestSent(t *testing.T) {
	for _, how := range []string{"starttls", "implicit"} {
		s, server := serve(t, how)
		m := letter("ml-platform@example.com")
		if err := Send(t.Context(), server, m); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		got, err := netmail.ReadMessage(bytes.NewReader(s.messages[m.To]))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || subject != m.Subject {
			t.Errorf("%s: subject %q, %v", how, subject, err)
		}
		for header, want := range map[string]string{
			"From": `"Trimtab" <trimtab@example.com>`, "To": "<ml-platform@example.com>", "Date": "Mon, 23 Nov 2026 09:00:00 +0100", "Message-Id": "<" + m.ID + ">",
			"Auto-Submitted": "auto-generated", "List-Id": "<weekly.trimtab.example.com>", "X-Mailer": "", "User-Agent": "", "Bcc": "",
		} {
			if v := got.Header.Get(header); v != want {
				t.Errorf("%s: %s is %q, want %q", how, header, v, want)
			}
		}
		_, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts := multipart.NewReader(got.Body, params["boundary"])
		for _, want := range []struct{ kind, body string }{{"text/plain; charset=UTF-8", m.Text}, {"text/html; charset=UTF-8", m.HTML}} {
			part, err := parts.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(part))
			if kind := part.Header.Get("Content-Type"); err != nil || kind != want.kind || strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")) != strings.TrimSpace(want.body) {
				t.Errorf("%s: part %q is %q, want %q %q", how, kind, body, want.kind, want.body)
			}
		}
	}
}

// TestFaults: each fault is one line that says what to do, nothing arrives, and only what is final for
// this recipient is called so.
func TestFaults(t *testing.T) {
	_, stranger := certificate(t, "127.0.0.1")
	for _, c := range []struct {
		name, how string
		set       func(*sink, *Server)
		final     bool
		want      string
	}{
		{"no STARTTLS offered", "clear", nil, false, "does not offer STARTTLS, and nothing is sent in the clear"},
		{"no TLS at once", "starttls", func(_ *sink, s *Server) { s.Implicit = true }, false, "does not speak TLS at once"},
		{"another authority", "starttls", func(_ *sink, s *Server) { s.Authority = stranger }, false, "its certificate is not to be trusted"},
		{"another name", "starttls", func(_ *sink, s *Server) { s.Host = "localhost" }, false, "its certificate is not to be trusted"},
		{"the system's authorities", "implicit", func(_ *sink, s *Server) { s.Authority = nil }, false, "its certificate is not to be trusted"},
		{"a bad ca.crt", "starttls", func(_ *sink, s *Server) { s.Authority = []byte("oops") }, false, "ca.crt of its Secret has no certificate in PEM form"},
		{"wrong password", "starttls", func(_ *sink, s *Server) { s.Password = "wrong" }, false, "does not take the username and password of the Secret: 535"},
		{"no login though one is needed", "starttls", func(_ *sink, s *Server) { s.Username, s.Password = "", "" }, false, "it does not take mail from us: "},
		{"greylisted", "starttls", func(s *sink, _ *Server) { s.faults = []error{&smtp.SMTPError{Code: 451, Message: "come back later"}} }, false, "not taken for now: "},
		{"content refused", "starttls", func(s *sink, _ *Server) { s.faults = []error{&smtp.SMTPError{Code: 554, Message: "spam"}} }, true, "554"},
		{"no such recipient", "starttls", func(s *sink, _ *Server) { s.refuse = "ml-platform@example.com" }, true, `550 "5.1.1 nobody of that name"`},
		{"hangs up after DATA", "starttls", func(s *sink, _ *Server) { s.drop = true }, false, "before the server said whether it took the mail"},
		{"nobody there", "starttls", func(_ *sink, s *Server) { s.Port = 1 }, false, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, server := serve(t, c.how)
			if c.set != nil {
				c.set(s, &server)
			}
			err := Send(t.Context(), server, letter("ml-platform@example.com"))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("%v, want %q in one line", err, c.want)
			}
			if errors.Is(err, ErrRefused) != c.final {
				t.Errorf("final %v: %v", errors.Is(err, ErrRefused), err)
			}
			if len(s.messages) > 0 {
				t.Error("a mail arrived")
			}
			if strings.Contains(err.Error(), "right") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("the password is in %v", err)
			}
			t.Log(err)
		})
	}
}

// TestEndsWithItsContext: a server that says nothing holds up no shutdown.
func TestEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cancel()
		<-t.Context().Done()
	}()
	err = Send(ctx, Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}, letter("ml-platform@example.com"))
	if err == nil || errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("it waited on: %v", err)
	}
}

// TestLaterIsTaken: what was not taken for now is taken the next time, with the same Message-ID, and
// one recipient's refusal is not another's.
func TestLaterIsTaken(t *testing.T) {
	s, server := serve(t, "starttls")
	s.refuse = "gone@example.com"
	s.faults = []error{&smtp.SMTPError{Code: 421, Message: "busy"}, nil}
	m := letter("ml-platform@example.com")
	first := Send(t.Context(), server, m)
	if first == nil || errors.Is(first, ErrRefused) {
		t.Errorf("busy: %v", first)
	}
	if err := Send(t.Context(), server, letter("gone@example.com")); !errors.Is(err, ErrRefused) {
		t.Errorf("gone: %v", err)
	}
	if err := Send(t.Context(), server, m); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(s.messages[m.To], []byte(m.ID)) || s.attempts != 2 {
		t.Errorf("after %d attempts: %s", s.attempts, s.messages[m.To])
	}
}

// TestHeadersCannotBeForged: a subject or an address with a line break makes no header of its own.
func TestHeadersCannotBeForged(t *testing.T) {
	m := letter("ml-platform@example.com")
	m.Subject = "week 47\r\nBcc: everyone@example.com"
	var got bytes.Buffer
	if err := m.Write(&got); err != nil {
		t.Fatal(err)
	}
	if parsed, err := netmail.ReadMessage(&got); err != nil || parsed.Header.Get("Bcc") != "" {
		t.Errorf("a header was forged: %v %v", parsed, err)
	}
	m = letter("ml-platform@example.com\r\nBcc: everyone@example.com")
	if err := Send(t.Context(), Server{}, m); !errors.Is(err, ErrRefused) {
		t.Errorf("an address of two lines: %v", err)
	}
}
