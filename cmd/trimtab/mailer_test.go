package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/reports"
	"trimtab.dev/trimtab/reports/mail"
)

const ops, money = "ops@example.com", "finance@example.com"

func weeklyReport() policies.Report {
	return policies.Report{Name: "weekly", Schedule: "0 9 * * 1", TimeZone: "UTC", Recipients: []string{ops, money}, From: "trimtab@example.com",
		SMTP: policies.SMTP{Host: "smtp.example.com", Port: 587, TLS: "starttls", Secret: "smtp"}}
}

// post is a mail server of a test: what was handed over, and what to answer.
type post struct {
	got    []mail.Message
	server mail.Server
	answer func(mail.Message) error // nil: taken
}

func (p *post) send(_ context.Context, s mail.Server, m mail.Message) error {
	p.server = s
	if p.answer != nil {
		if err := p.answer(m); err != nil {
			return err
		}
	}
	p.got = append(p.got, m)
	return nil
}

func (p *post) to() (out []string) {
	for _, m := range p.got {
		out = append(out, m.To)
	}
	return out
}

// aMailer is a replica's mailer. Every replica of a test shares client and post.
func aMailer(client *fake.Clientset, p *post, documents ...policies.Report) *mailer {
	r := &reporter{plan: func() (optimizer.Plan, error) { return optimizer.Plan{}, nil }, documents: documents, passes: 1}
	m := newMailer(client, "trimtab", nil, r, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	m.send = p.send
	return m
}

// versioned makes the fake API server refuse what was not written on the newest version, as a real one does.
func versioned(client *fake.Clientset) *fake.Clientset {
	version := 0
	client.PrependReactor("*", "configmaps", func(a k8stesting.Action) (bool, runtime.Object, error) {
		var m *corev1.ConfigMap
		switch a := a.(type) {
		case k8stesting.UpdateActionImpl:
			m = a.Object.(*corev1.ConfigMap)
			if m.ResourceVersion != fmt.Sprint(version) {
				return true, nil, fmt.Errorf("conflict: %s is not %d", m.ResourceVersion, version)
			}
		case k8stesting.CreateActionImpl:
			m = a.Object.(*corev1.ConfigMap)
		default:
			return false, nil, nil
		}
		version++
		m.ResourceVersion = fmt.Sprint(version)
		return false, nil, nil
	})
	return client
}

func smtpSecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: "smtp"},
		Data: map[string][]byte{"username": []byte("u"), "password": []byte("p"), "ca.crt": []byte("pem")}}
}

func ticked(t *testing.T, m *mailer, now time.Time) {
	t.Helper()
	if err := m.tick(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

var firstSeen, nextFire = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// TestMailedOnce: each recipient gets each week once, from however many replicas that lead one after the
// other, and nothing when the document is new.
func TestMailedOnce(t *testing.T) {
	client, p := versioned(fake.NewClientset(smtpSecret())), &post{}
	for h := range 24 * 14 { // an hour each, another replica each time
		ticked(t, aMailer(client, p, weeklyReport()), firstSeen.Add(time.Duration(h)*time.Hour))
	}
	if want := []string{ops, money, ops, money}; !slices.Equal(p.to(), want) {
		t.Fatalf("mailed to %v, want %v", p.to(), want)
	}
	ids := map[string]bool{}
	for _, m := range p.got {
		ids[m.ID] = true
	}
	if len(ids) != 4 || !strings.Contains(p.got[0].ID, "weekly.20261116T090000Z-20261123T090000Z.") {
		t.Errorf("Message-IDs %v", ids)
	}
	if s := p.server; s.Username != "u" || s.Password != "p" || string(s.Authority) != "pem" || s.Port != 587 || s.Implicit {
		t.Errorf("server %+v", s)
	}
	if m := p.got[0]; !strings.Contains(m.Text, "Mon 2026-11-16 09:00 to Mon 2026-11-23 09:00, UTC") || !strings.HasPrefix(m.HTML, "<!doctype html>") || m.List != "weekly" {
		t.Errorf("the mail is %+v", m)
	}
}

// TestLeaderDiesWhileMailing: what was begun is sent again by the next leader, with the same Message-ID, once
// nobody can be at it any more; what had not begun is sent at once.
func TestLeaderDiesWhileMailing(t *testing.T) {
	client, p := versioned(fake.NewClientset(smtpSecret())), &post{}
	ticked(t, aMailer(client, p, weeklyReport()), firstSeen)
	ctx, kill := context.WithCancel(t.Context())
	var handed mail.Message
	p.answer = func(m mail.Message) error {
		if handed.ID == "" {
			handed = m // it arrived, and the leader never knew
			kill()
			panic("killed")
		}
		return nil
	}
	func() {
		defer func() { _ = recover() }()
		_ = aMailer(client, p, weeklyReport()).tick(ctx, nextFire)
	}()
	p.answer = nil
	ticked(t, aMailer(client, p, weeklyReport()), nextFire.Add(time.Minute))
	if want := []string{money}; !slices.Equal(p.to(), want) {
		t.Errorf("a minute later mailed to %v, want %v: somebody may still be at the other", p.to(), want)
	}
	ticked(t, aMailer(client, p, weeklyReport()), nextFire.Add(3*time.Minute))
	ticked(t, aMailer(client, p, weeklyReport()), nextFire.Add(30*time.Minute))
	if want := []string{money, ops}; !slices.Equal(p.to(), want) || p.got[1].ID != handed.ID || p.got[1].Date.Equal(handed.Date) {
		t.Errorf("mailed to %v, the second as %s, first handed over as %s", p.to(), p.got[len(p.got)-1].ID, handed.ID)
	}
}

// TestTwoWhoTakeThemselvesForTheLeader: both have read the same outbox; only one of them sends.
func TestTwoWhoTakeThemselvesForTheLeader(t *testing.T) {
	client, p := versioned(fake.NewClientset(smtpSecret())), &post{}
	first, second := aMailer(client, p, weeklyReport()), aMailer(client, p, weeklyReport())
	ticked(t, first, firstSeen)
	inner := true
	build := first.build
	first.build = func(p reports.Period, name string, namespaces []string, now time.Time) (reports.Report, error) {
		if inner { // the second comes in between
			inner = false
			if err := second.tick(t.Context(), nextFire); err != nil {
				t.Error(err)
			}
		}
		return build(p, name, namespaces, now)
	}
	err := first.tick(t.Context(), nextFire)
	if err == nil || !strings.Contains(err.Error(), "conflict") {
		t.Errorf("the one that lost goes on: %v", err)
	}
	if got := p.to(); slices.Compare(got, []string{money, ops}) != 0 {
		t.Errorf("mailed to %v", got) // ops was begun by the first, so the second left it alone
	}
}

// TestRetries: what may pass is tried again later and later for a day; what is refused for good is not; one
// recipient's fault is not another's.
func TestRetries(t *testing.T) {
	client, p := versioned(fake.NewClientset(smtpSecret())), &post{}
	tries := map[string]int{}
	p.answer = func(m mail.Message) error {
		tries[m.To]++
		if m.To == money {
			return fmt.Errorf("%w: 550 nobody", mail.ErrRefused)
		}
		return errors.New("451 busy")
	}
	m := aMailer(client, p, weeklyReport())
	now := firstSeen
	var at []time.Time
	real := m.send
	m.send = func(ctx context.Context, s mail.Server, l mail.Message) error {
		if l.To == ops {
			at = append(at, now)
		}
		return real(ctx, s, l)
	}
	m.now = func() time.Time { return now }
	ticked(t, m, now)
	for now = nextFire; now.Before(nextFire.Add(48 * time.Hour)); now = now.Add(30 * time.Second) {
		ticked(t, m, now)
	}
	if tries[money] != 1 || len(p.got) != 0 {
		t.Errorf("refused for good, it was tried %d times", tries[money])
	}
	var gaps []time.Duration
	for i := range at[1:] {
		gaps = append(gaps, at[i+1].Sub(at[i]))
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}; len(gaps) < 20 || gaps[0] != time.Minute || gaps[3] != want[3]*time.Minute || gaps[7] != time.Hour || gaps[len(gaps)-1] != time.Hour {
		t.Errorf("tried after %v", gaps)
	}
	if d := at[len(at)-1].Sub(at[0]); d > 24*time.Hour || d < 22*time.Hour {
		t.Errorf("given up after %s", d)
	}
	box, _, err := m.read(t.Context())
	if err != nil || len(box.Letters) != 2 || box.Letters[0].State != failed || box.Letters[0].Fault != "451 busy" || box.Letters[1].State != failed {
		t.Errorf("%+v %v", box.Letters, err)
	}
}

// TestNothingIsSentThatIsNotWrittenDown: with an API server that takes no writes, no mail leaves; nor
// with an outbox that cannot be read.
func TestNothingIsSentThatIsNotWrittenDown(t *testing.T) {
	client, p := versioned(fake.NewClientset(smtpSecret())), &post{}
	m := aMailer(client, p, weeklyReport())
	ticked(t, m, firstSeen)
	refuse := true
	client.PrependReactor("update", "configmaps", func(k8stesting.Action) (bool, runtime.Object, error) {
		return refuse, nil, errors.New("etcd is full")
	})
	if err := m.tick(t.Context(), nextFire); err == nil || !strings.Contains(err.Error(), "etcd is full") {
		t.Error(err)
	}
	refuse = false
	ticked(t, m, nextFire.Add(time.Minute))
	if len(p.got) != 2 {
		t.Errorf("mailed to %v", p.to())
	}
	broken := versioned(fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "trimtab", Name: mailState}, Data: map[string]string{outboxKey: "{"}}))
	p.got = nil
	if err := aMailer(broken, p, weeklyReport()).tick(t.Context(), nextFire); err == nil || !strings.Contains(err.Error(), "delete it to begin anew") || len(p.got) > 0 {
		t.Errorf("%v, mailed to %v", err, p.to())
	}
}

// TestChangedDocuments: a new schedule begins anew instead of making up for its past; a recipient that is
// taken off gets nothing more, and neither does anyone of a document that is gone.
func TestChangedDocuments(t *testing.T) {
	client, p := versioned(fake.NewClientset()), &post{} // without its Secret nothing can be sent
	d := weeklyReport()
	ticked(t, aMailer(client, p, d), firstSeen)
	thursday := weeklyReport()
	thursday.Schedule = "0 9 * * 4"
	ticked(t, aMailer(client, p, thursday), firstSeen.Add(48*time.Hour)) // a Friday
	box, _, err := aMailer(client, p).read(t.Context())
	if err != nil || len(box.Letters) != 0 {
		t.Errorf("a changed schedule posts %+v %v", box.Letters, err)
	}
	ticked(t, aMailer(client, p, d), firstSeen.Add(49*time.Hour))
	ticked(t, aMailer(client, p, d), nextFire)
	d.Recipients = d.Recipients[1:]
	ticked(t, aMailer(client, p, d), nextFire.Add(time.Minute))
	box, _, err = aMailer(client, p).read(t.Context())
	if err != nil || len(box.Letters) != 1 || box.Letters[0].Recipient != money || !strings.Contains(box.Letters[0].Fault, "there is no Secret trimtab/smtp") {
		t.Errorf("%+v %v", box.Letters, err)
	}
	ticked(t, aMailer(client, p), nextFire.Add(2*time.Minute))
	if box, _, _ = aMailer(client, p).read(t.Context()); len(box.Letters)+len(box.Reports) != 0 {
		t.Errorf("of a document that is gone %+v is left", box)
	}
}

// TestOutboxIsBounded: a report every minute to ten people for a month fills no ConfigMap.
func TestOutboxIsBounded(t *testing.T) {
	var box outbox
	d := weeklyReport()
	d.Schedule = "* * * * *"
	for i := range 10 {
		d.Recipients = append(d.Recipients, fmt.Sprintf("%d@example.com", i))
	}
	for m := range 2000 {
		now := firstSeen.Add(time.Duration(m) * time.Minute)
		if _, err := box.post([]policies.Report{d}, now); err != nil {
			t.Fatal(err)
		}
		for _, i := range box.ready(now) {
			box.Letters[i].begin(now)
			box.Letters[i].end(nil, now)
		}
	}
	if n := len(box.Letters); n > mostPosted+len(d.Recipients) || n < mostPosted-len(d.Recipients) {
		t.Errorf("%d letters are kept", n)
	}
}

// desk is orders without a cluster.
type desk struct {
	pending []optimizer.Order
	answers map[string]string
	full    bool // no answer can be written
}

func (d *desk) Pending(context.Context) ([]optimizer.Order, error) { return d.pending, nil }

func (d *desk) Answer(_ context.Context, o optimizer.Order, text string) error {
	if d.full {
		return errors.New("forbidden")
	}
	d.answers[o.Key] = text
	d.pending = slices.DeleteFunc(d.pending, func(p optimizer.Order) bool { return p.Key == o.Key })
	return nil
}

// TestSendOrders: an order mails at once and is answered in words, leaves other orders alone and the
// schedule's own mails as they are.
func TestSendOrders(t *testing.T) {
	at := nextFire.Add(50 * time.Hour) // a Wednesday
	for _, c := range []struct{ id, answer, text string }{
		{"weekly", "sent the report of 16 Nov, 09:00 to 23 Nov 2026, 09:00 (UTC) to " + ops + ", " + money, "Mon 2026-11-16 09:00 to Mon 2026-11-23 09:00, UTC"},
		{"weekly_90m", "sent the report of 25 Nov 2026, 09:30 to 11:00 (UTC) to " + ops + ", " + money, "Wed 2026-11-25 09:30 to Wed 2026-11-25 11:00, UTC"},
		{"weekly_last-week", "sent the report of week 47 of 2026 (UTC) to " + ops + ", " + money, "Mon 2026-11-16 00:00 to Mon 2026-11-23 00:00, UTC"},
		{"monthly", "not sent: there is no Report document monthly without faults; there are: weekly", ""},
		{"weekly_soon", `not sent: period "soon": write ` + reports.PeriodForms, ""},
	} {
		p := &post{}
		m := aMailer(versioned(fake.NewClientset(smtpSecret())), p, weeklyReport())
		o := optimizer.Order{Key: "send." + c.id, Verb: optimizer.Send, ID: c.id, At: at}
		other := optimizer.Order{Key: "apply.x", Verb: optimizer.Approve, ID: "x", At: at}
		d := &desk{pending: []optimizer.Order{other, o}, answers: map[string]string{}}
		m.orders = d
		if err := m.obey(t.Context(), at.Add(time.Second).Truncate(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if len(d.pending) != 1 || d.pending[0].Key != "apply.x" || d.answers[o.Key] != c.answer {
			t.Errorf("%s: left are %v, the answer is %q, want %q", c.id, d.pending, d.answers[o.Key], c.answer)
		}
		if c.text != "" && (len(p.got) != 2 || !strings.Contains(p.got[0].Text, c.text)) {
			t.Errorf("%s: mailed %v", c.id, p.to())
		}
		if c.text == "" && len(p.got) != 0 {
			t.Errorf("%s: mailed to %v", c.id, p.to())
		}
		if box, held, _ := m.read(t.Context()); held != nil {
			t.Errorf("%s: the schedule's outbox was written: %+v", c.id, box)
		}
	}
}

// TestSendOrderIsMailedOnce: however long its answer cannot be written; a new order of the same key is another one.
func TestSendOrderIsMailedOnce(t *testing.T) {
	p := &post{}
	m := aMailer(versioned(fake.NewClientset(smtpSecret())), p, weeklyReport())
	o := optimizer.Order{Key: "send.weekly", Verb: optimizer.Send, ID: "weekly", At: nextFire}
	d := &desk{pending: []optimizer.Order{o}, answers: map[string]string{}, full: true}
	m.orders = d
	for range 3 {
		if err := m.obey(t.Context(), nextFire); err == nil {
			t.Fatal("nobody is told that there is no answer")
		}
	}
	d.full = false
	if err := m.obey(t.Context(), nextFire); err != nil || len(p.got) != 2 || !strings.HasPrefix(d.answers[o.Key], "sent the report") {
		t.Errorf("%v; mailed to %v, answered %q", err, p.to(), d.answers[o.Key])
	}
	o.At = o.At.Add(time.Second)
	d.pending = []optimizer.Order{o}
	if err := m.obey(t.Context(), nextFire); err != nil || len(p.got) != 4 {
		t.Errorf("%v; mailed to %v", err, p.to())
	}
}

// TestSendOrderSaysWhatFailed: for each recipient on its own.
func TestSendOrderSaysWhatFailed(t *testing.T) {
	p := &post{answer: func(m mail.Message) error {
		if m.To == ops {
			return errors.New("451 busy")
		}
		return nil
	}}
	m := aMailer(versioned(fake.NewClientset(smtpSecret())), p, weeklyReport())
	d := &desk{pending: []optimizer.Order{{Key: "send.weekly", Verb: optimizer.Send, ID: "weekly", At: nextFire}}, answers: map[string]string{}}
	m.orders = d
	if err := m.obey(t.Context(), nextFire); err != nil {
		t.Fatal(err)
	}
	if want := "sent the report of 16 Nov, 09:00 to 23 Nov 2026, 09:00 (UTC) to " + money + "; not sent to " + ops + ": 451 busy"; d.answers["send.weekly"] != want {
		t.Errorf("%q", d.answers["send.weekly"])
	}
}
