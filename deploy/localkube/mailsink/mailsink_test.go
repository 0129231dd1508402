package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/localkube/mailsink/secrets"
)

// sink is a mail sink that runs, and what its clients know of it.
type sink struct {
	*testing.T
	mail, page     string // addresses
	user, password string
	roots          *x509.CertPool
}

// start runs a sink on loopback; the certificate is made at the start unless folder has one.
func start(t *testing.T, messages, folder string) *sink {
	t.Helper()
	certs, err := newCertificates(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mail, page := listen(t), listen(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- settings{dir: messages, user: "u", password: "p"}.answer(ctx, certs, mail, page)
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := &sink{T: t, mail: mail.Addr().String(), page: "http://" + page.Addr().String(), user: "u", password: "p", roots: x509.NewCertPool()}
	if folder == "" {
		_, authority := s.http(http.MethodGet, "/ca.crt")
		s.roots.AppendCertsFromPEM(authority)
	}
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (s *sink) http(method, path string) (int, []byte) {
	s.Helper()
	req, err := http.NewRequest(method, s.page+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return resp.StatusCode, text
}

func (s *sink) messages() (all []message) {
	s.Helper()
	_, text := s.http(http.MethodGet, "/messages")
	if err := json.Unmarshal(text, &all); err != nil {
		s.Fatalf("%v: %s", err, text)
	}
	return all
}

// dial greets, and goes below TLS where asked.
func (s *sink) dial(below bool) *smtp.Client {
	s.Helper()
	c, err := smtp.Dial(s.mail)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	if below {
		if err := c.StartTLS(&tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1"}); err != nil {
			s.Fatal(err)
		}
	}
	return c
}

// send is what a mail client does; the first fault ends it.
func (s *sink) send(text string, to ...string) error {
	s.Helper()
	c := s.dial(true)
	if err := c.Auth(smtp.PlainAuth("", s.user, s.password, "127.0.0.1")); err != nil {
		return err
	}
	if err := c.Mail("trimtab@example.org"); err != nil {
		return err
	}
	for _, one := range to {
		if err := c.Rcpt(one); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	io.WriteString(w, text)
	return w.Close()
}

// code is the SMTP reply in err; 0: there was none.
func code(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

const letter = "Subject: =?utf-8?q?Weekly_report=2C_5_=E2=82=AC?=\r\nFrom: trimtab@example.org\r\n\r\n.hidden dot\r\nbody\r\n"

func TestMessageArrives(t *testing.T) {
	s := start(t, t.TempDir(), "")
	if err := s.send(letter, "a@example.org", "b@example.org"); err != nil {
		t.Fatal(err)
	}
	all := s.messages()
	if len(all) != 1 {
		t.Fatalf("%d messages, want 1", len(all))
	}
	m := all[0]
	if m.ID != "0001" || m.From != "trimtab@example.org" || !slices.Equal(m.To, []string{"a@example.org", "b@example.org"}) || m.Subject != "Weekly report, 5 €" {
		t.Errorf("the list says %+v", m)
	}
	status, text := s.http(http.MethodGet, "/messages/0001")
	if want := "Return-Path: <trimtab@example.org>\r\nDelivered-To: a@example.org\r\nDelivered-To: b@example.org\r\n" + letter; status != 200 || string(text) != want {
		t.Errorf("%d, the message is\n%q\nwant\n%q", status, text, want)
	}
	if m.Size != int64(len(text)) || time.Since(m.Received) > time.Minute {
		t.Errorf("%d bytes at %s", m.Size, m.Received)
	}
}

// TestOnlyKnownClients: everything that a relay refuses is refused, and leaves nothing behind.
func TestOnlyKnownClients(t *testing.T) {
	s := start(t, t.TempDir(), "")
	plain := smtp.PlainAuth("", s.user, s.password, "127.0.0.1")
	for _, tt := range []struct {
		name  string
		below bool
		try   func(*smtp.Client) error
		want  int
	}{
		{"password in the clear", false, func(c *smtp.Client) error {
			_, err := c.Text.Cmd("AUTH PLAIN AHUAcA==") // net/smtp itself would not
			if err == nil {
				_, _, err = c.Text.ReadResponse(235)
			}
			return err
		}, 523},
		{"mail in the clear", false, func(c *smtp.Client) error { return c.Mail("a@example.org") }, 502},
		{"mail from nobody", true, func(c *smtp.Client) error { return c.Mail("a@example.org") }, 502},
		{"wrong password", true, func(c *smtp.Client) error { return c.Auth(smtp.PlainAuth("", s.user, "q", "127.0.0.1")) }, 535},
		{"wrong user", true, func(c *smtp.Client) error { return c.Auth(smtp.PlainAuth("", "v", s.password, "127.0.0.1")) }, 535},
		{"the right one", true, func(c *smtp.Client) error { return c.Auth(plain) }, 0},
	} {
		c := s.dial(tt.below)
		if err := c.Hello("test"); err != nil && !tt.below {
			t.Fatal(err)
		}
		if got := code(tt.try(c)); got != tt.want {
			t.Errorf("%s: reply %d, want %d", tt.name, got, tt.want)
		}
	}
	if all := s.messages(); len(all) != 0 {
		t.Errorf("it took %v", all)
	}
}

func TestStrangersDoNotTrustIt(t *testing.T) {
	s := start(t, t.TempDir(), "")
	c := s.dial(false)
	if err := c.StartTLS(&tls.Config{ServerName: "127.0.0.1"}); err == nil {
		t.Error("a client without its authority trusts it")
	}
}

func TestFailsOnDemand(t *testing.T) {
	s := start(t, t.TempDir(), "")
	for _, at := range []string{"mail", "rcpt", "data"} {
		if status, text := s.http(http.MethodPost, "/fail?code=451&times=2&at="+at); status != 200 {
			t.Fatalf("%d %s", status, text)
		}
		var got []int
		for range 3 {
			got = append(got, code(s.send(letter, "a@example.org")))
		}
		if !slices.Equal(got, []int{451, 451, 0}) {
			t.Errorf("at %s: replies %v, want 451 twice, then success", at, got)
		}
	}
	if n := len(s.messages()); n != 3 {
		t.Errorf("%d messages, want the 3 that were answered with success", n)
	}
	s.http(http.MethodPost, "/fail?code=550&times=5")
	s.http(http.MethodPost, "/fail?code=550&times=0")
	if err := s.send(letter, "a@example.org"); err != nil {
		t.Errorf("times=0 does not end it: %v", err)
	}
	for _, bad := range []string{"", "?code=250&times=1", "?code=451", "?code=451&times=-1", "?code=451&times=1&at=quit"} {
		if status, _ := s.http(http.MethodPost, "/fail"+bad); status != http.StatusBadRequest {
			t.Errorf("/fail%s: %d", bad, status)
		}
	}
}

// TestTheFolderIsTheMemory: a sink that starts again shows what the last one took, and goes on counting.
func TestTheFolderIsTheMemory(t *testing.T) {
	dir := t.TempDir()
	if err := start(t, dir, "").send(letter, "a@example.org"); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "")
	if err := s.send("no header", "a@example.org"); err != nil {
		t.Fatal(err)
	}
	all := s.messages()
	if len(all) != 2 || all[0].ID != "0001" || all[1].ID != "0002" || !strings.HasPrefix(all[1].Subject, "not readable as mail") {
		t.Errorf("it shows %+v", all)
	}
	s.http(http.MethodDelete, "/messages")
	if left := s.messages(); len(left) != 0 {
		t.Errorf("it still shows %v", left)
	}
}

func TestOnlyMessagesAreShown(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other.eml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "")
	for _, path := range []string{"/messages/0001", "/messages/other", "/messages/..%2f..%2fetc%2fpasswd", "/"} {
		if status, _ := s.http(http.MethodGet, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// TestSecretsFit: a sink with one Secret and a client with the other understand each other.
func TestSecretsFit(t *testing.T) {
	text, err := secrets.New("127.0.0.1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct {
			Metadata struct{ Namespace, Name string }
			Data     map[string][]byte
		}
	}
	if err := json.Unmarshal(text, &list); err != nil || len(list.Items) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	server, client := list.Items[0], list.Items[1]
	if server.Metadata.Name != "mailsink" || client.Metadata.Name != "smtp" || client.Metadata.Namespace != "trimtab" {
		t.Errorf("they are %v and %v", server.Metadata, client.Metadata)
	}
	if string(server.Data["password"]) != string(client.Data["password"]) || string(client.Data["username"]) != secrets.User || len(client.Data["password"]) < 20 {
		t.Error("the passwords differ, or are easily guessed")
	}
	folder := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(folder, name), server.Data[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, t.TempDir(), folder)
	if status, _ := s.http(http.MethodGet, "/ca.crt"); status != http.StatusNotFound {
		t.Error("it hands out an authority that it does not have")
	}
	s.roots.AppendCertsFromPEM(client.Data["ca.crt"])
	if err := s.send(letter, "a@example.org"); err != nil {
		t.Error(err)
	}
	if again, err := secrets.New("127.0.0.1", time.Now()); err != nil || string(again) == string(text) {
		t.Errorf("the same keys twice: %v", err)
	}
}

func TestMissingCertificate(t *testing.T) {
	if _, err := newCertificates(t.TempDir(), time.Now()); err == nil {
		t.Error("an empty folder was taken as a certificate")
	}
}
