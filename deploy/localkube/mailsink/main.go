// Command mailsink is a mail server that delivers nothing: it takes what an authenticated client sends,
// keeps every message as a file, and shows them over HTTP. The demo's weekly report ends here.
//
//	mailsink [flags]                      serve
//	mailsink secrets [-address IP]        print the Secrets that a sink in a cluster and its clients share
//
// SMTP is as a relay of today speaks it: STARTTLS, then AUTH PLAIN with $MAIL_USER and $MAIL_PASSWORD,
// then mail; nothing else is taken. The certificate is in the folder -tls, or made at the start.
//
// HTTP, for people and tests, is open to whoever reaches it:
//
//	GET    /messages                      what was received, as JSON, oldest first
//	GET    /messages/ID                   one message as it came, below Return-Path and Delivered-To
//	DELETE /messages                      forget them all
//	POST   /fail?code=451&times=2&at=data answer the next ones so; at is mail, rcpt or data
//	GET    /ca.crt                        who signed the certificate, if it was made at the start
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"

	"trimtab.dev/trimtab/deploy/localkube/mailsink/secrets"
)

// settings are the flags and variables of the server.
type settings struct {
	smtp, http     string // addresses
	dir, tls       string // folders
	user, password string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mailsink:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "secrets" {
		return printSecrets(args[1:])
	}
	s := settings{user: os.Getenv("MAIL_USER"), password: os.Getenv("MAIL_PASSWORD")}
	fs := flag.NewFlagSet("mailsink", flag.ExitOnError)
	fs.StringVar(&s.smtp, "smtp", ":2525", "`address` for mail")
	fs.StringVar(&s.http, "http", ":8025", "`address` to show it on")
	fs.StringVar(&s.dir, "dir", "", "`folder` of the messages; empty: a new one that goes at the end")
	fs.StringVar(&s.tls, "tls", "", "`folder` with tls.crt and tls.key; empty: made now, see /ca.crt")
	fs.Parse(args)
	if fs.NArg() > 0 {
		return fmt.Errorf("no verb %q; there are flags, and the verb secrets", fs.Arg(0))
	}
	if s.user == "" || s.password == "" {
		return errors.New("MAIL_USER and MAIL_PASSWORD are not set: nobody could send anything")
	}
	return s.serve(ctx)
}

func printSecrets(args []string) error {
	fs := flag.NewFlagSet("mailsink secrets", flag.ExitOnError)
	address := fs.String("address", secrets.Address, "`IP` by which clients know the sink")
	fs.Parse(args)
	text, err := secrets.New(*address, time.Now())
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	return err
}

// serve answers until ctx ends.
func (s settings) serve(ctx context.Context) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "mailsink-")
		if err != nil {
			return fmt.Errorf("make a folder for messages: %w", err)
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	certs, err := newCertificates(s.tls, time.Now())
	if err != nil {
		return err
	}
	mail, err := net.Listen("tcp", s.smtp)
	if err != nil {
		return fmt.Errorf("listen for mail: %w", err)
	}
	page, err := net.Listen("tcp", s.http)
	if err != nil {
		mail.Close()
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	fmt.Printf("mailsink takes mail on %s, shows it on http://%s/messages\n", mail.Addr(), page.Addr())
	return s.answer(ctx, certs, mail, page)
}

// answer serves both listeners, and closes them when ctx ends or one of them fails.
func (s settings) answer(ctx context.Context, certs certificates, mail, page net.Listener) error {
	box, faults := &box{dir: s.dir}, &faults{}
	in := smtp.NewServer(backend{user: s.user, password: s.password, box: box, faults: faults})
	in.Domain, in.TLSConfig = "mailsink", certs.config()
	in.MaxMessageBytes, in.MaxRecipients = 25<<20, 100
	in.ReadTimeout, in.WriteTimeout = 30*time.Second, 30*time.Second
	out := &http.Server{Handler: control(box, faults, certs.authority), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- in.Serve(mail) }()
	go func() { ended <- out.Serve(page) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	return errors.Join(err, in.Close(), out.Close())
}
