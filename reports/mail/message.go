package mail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Message is one mail to one recipient. The same message is the same bytes.
type Message struct {
	From, To   string // addresses; From may have a name, "Trimtab <trimtab@example.com>"
	Subject    string
	Text, HTML string // the same content twice: the reader's program chooses
	Date       time.Time
	ID         string // from ID
	List       string // what the mail is one of: the report's name
}

// ID is the Message-ID, without brackets, of a report of a period for a recipient. It is always the
// same, so that a mail that is sent twice, because nobody knows whether it arrived the first time, is
// seen to be one mail. The recipient's address is not readable in it.
func ID(report, period, recipient, from string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{report, period, recipient}, "\x00")))
	return fmt.Sprintf("%s.%s.%s@%s", report, period, hex.EncodeToString(sum[:8]), domain(from))
}

// domain is what is behind the @ of an address.
func domain(address string) string {
	if a, err := netmail.ParseAddress(address); err == nil {
		address = a.Address
	}
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return address[i+1:]
	}
	return "localhost"
}

// Write writes the message as it is sent, which is the form of an .eml file.
func (m Message) Write(w io.Writer) error {
	built, err := m.build()
	if err != nil {
		return err
	}
	if _, err := built.WriteTo(w); err != nil {
		return fmt.Errorf("write the mail to %s: %w", m.To, err)
	}
	return nil
}

// build lays the message out: text first, which programs take that show no HTML. The boundary follows
// from the ID; go-mail would draw one by lot.
func (m Message) build() (*gomail.Msg, error) {
	sum := sha256.Sum256([]byte("boundary " + m.ID))
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary(hex.EncodeToString(sum[:16])))
	if err := out.From(m.From); err != nil {
		return nil, fmt.Errorf("mail from %q: %w", m.From, err)
	}
	if err := out.To(m.To); err != nil {
		return nil, fmt.Errorf("mail to %q: %w", m.To, err)
	}
	out.Subject(m.Subject)
	out.SetDateWithValue(m.Date)
	out.SetMessageIDWithValue(m.ID)
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetGenHeader("List-Id", fmt.Sprintf("<%s.trimtab.%s>", m.List, domain(m.From)))
	out.SetBodyString(gomail.TypeTextPlain, m.Text)
	out.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return out, nil
}
