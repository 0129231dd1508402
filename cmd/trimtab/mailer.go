package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/reports"
	"trimtab.dev/trimtab/reports/mail"
)

// mailState is the ConfigMap that the outbox is kept in, under outboxKey.
const (
	mailState = "trimtab-mail"
	outboxKey = "outbox.json"
)

// mailer mails reports by their schedules and by order. Only the leader's does anything. What it stores
// it stores on the version that it read, so that of two that take themselves for the leader one fails
// before it sends.
type mailer struct {
	client    kubernetes.Interface
	namespace string
	orders    optimizer.Orders                 // nil: nobody can order a mail
	documents func() ([]policies.Report, bool) // false: no pass has read them yet
	build     func(p reports.Period, name string, namespaces []string, now time.Time) (reports.Report, error)
	send      func(context.Context, mail.Server, mail.Message) error
	now       func() time.Time
	log       *slog.Logger
	mails     *prometheus.CounterVec
	unsaid    map[string]said // what came of orders whose answers could not be written yet, by key
}

// said is the answer to the order that was given at a time.
type said struct {
	at   time.Time
	text string
}

func newMailer(client kubernetes.Interface, namespace string, orders optimizer.Orders, r *reporter, log *slog.Logger, reg *prometheus.Registry) *mailer {
	mails := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trimtab_report_mails_total", Help: "Report mails by how handing them over ended: sent, retry or failed.",
	}, []string{"report", "result"})
	reg.MustRegister(mails)
	return &mailer{client: client, namespace: namespace, orders: orders, documents: r.reports, build: r.build, send: mail.Send, now: time.Now, log: log, mails: mails, unsaid: map[string]said{}}
}

// run looks every so often whether something is due, for as long as this replica leads, until ctx ends.
func (m *mailer) run(ctx context.Context, every time.Duration, leads func() (context.Context, bool)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if term, leading := leads(); leading {
			m.round(ctx, term)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round is one look. It ends with the term.
func (m *mailer) round(ctx, term context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(term, cancel)()
	if err := m.obey(ctx, m.now()); err != nil && ctx.Err() == nil {
		m.log.Warn("orders to mail a report could not be read or answered", "err", err)
	}
	if err := m.tick(ctx, m.now()); err != nil && ctx.Err() == nil {
		m.log.Error("reports are not mailed for now", "err", err)
	}
}

// tick posts what has become due and hands over what is ready. An error means that something could not
// be read or written down; nothing is sent that is not written down before.
func (m *mailer) tick(ctx context.Context, now time.Time) error {
	documents, known := m.documents()
	if !known {
		return nil
	}
	box, held, err := m.read(ctx)
	if err != nil {
		return err
	}
	changed, fault := box.post(documents, now)
	if fault != nil {
		m.log.Warn("a report has no schedule", "err", fault)
	}
	if changed {
		if held, err = m.write(ctx, box, held); err != nil {
			return err
		}
	}
	for _, i := range box.ready(now) {
		p := &box.Letters[i]
		p.begin(now)
		if held, err = m.write(ctx, box, held); err != nil {
			return err
		}
		d, _ := document(documents, p.Report)
		p.end(m.deliver(ctx, d, p.period(), p.Recipient, p.id(d.From), now), m.now())
		m.tell(*p)
		if held, err = m.write(context.WithoutCancel(ctx), box, held); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// tell logs how handing over a mail ended.
func (m *mailer) tell(p posted) {
	about := []any{"report", p.Report, "period", p.period().Key, "to", p.Recipient, "try", p.Tries}
	switch p.State {
	case sent:
		m.mails.WithLabelValues(p.Report, "sent").Inc()
		m.log.Info("report mailed", about...)
	case failed:
		m.mails.WithLabelValues(p.Report, "failed").Inc()
		m.log.Error("report not mailed, and not tried again", append(about, "err", p.Fault)...)
	default:
		m.mails.WithLabelValues(p.Report, "retry").Inc()
		m.log.Warn("report not mailed yet", append(about, "err", p.Fault, "again_at", p.Next)...)
	}
}

// deliver builds the report of a period and hands it to the document's mail server for one recipient.
func (m *mailer) deliver(ctx context.Context, d policies.Report, p reports.Period, to, id string, now time.Time) error {
	r, err := m.build(p, d.Name, d.Namespaces, now)
	if err != nil {
		return fmt.Errorf("build the report: %w", err)
	}
	server, err := m.server(ctx, d.SMTP)
	if err != nil {
		return err
	}
	letter, err := letterOf(r, d.From, to, id)
	if err != nil {
		return err
	}
	return m.send(ctx, server, letter)
}

// letterOf is a report as a mail.
func letterOf(r reports.Report, from, to, id string) (mail.Message, error) {
	var text, html bytes.Buffer
	if err := reports.ReportText(&text, r); err != nil {
		return mail.Message{}, err
	}
	if err := reports.ReportHTML(&html, r, reports.Links{}); err != nil {
		return mail.Message{}, err
	}
	return mail.Message{
		From: from, To: to, Subject: r.Subject(), Text: text.String(), HTML: html.String(),
		Date: r.At, ID: id, List: cmp.Or(r.Name, "report"),
	}, nil
}

// server is the mail server of a document with what its Secret says now, so that a new password needs no
// restart.
func (m *mailer) server(ctx context.Context, s policies.SMTP) (mail.Server, error) {
	out := mail.Server{Host: s.Host, Port: s.Port, Implicit: s.TLS == "implicit"}
	if s.Secret == "" {
		return out, nil
	}
	secret, err := m.client.CoreV1().Secrets(m.namespace).Get(ctx, s.Secret, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return out, fmt.Errorf("there is no Secret %s/%s, which the Report names: %w", m.namespace, s.Secret, err)
	case apierrors.IsForbidden(err):
		return out, fmt.Errorf("RBAC does not let the daemon read Secret %s/%s; name it in the chart's mailSecrets: %w", m.namespace, s.Secret, err)
	case err != nil:
		return out, fmt.Errorf("read Secret %s/%s: %w", m.namespace, s.Secret, err)
	}
	out.Username, out.Password = string(secret.Data["username"]), string(secret.Data["password"])
	out.Authority = secret.Data["ca.crt"]
	return out, nil
}

// read gives the outbox and the ConfigMap that it is in; nil: there is none yet.
func (m *mailer) read(ctx context.Context) (outbox, *corev1.ConfigMap, error) {
	box := outbox{Version: outboxVersion}
	held, err := m.client.CoreV1().ConfigMaps(m.namespace).Get(ctx, mailState, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return box, nil, nil
	}
	if err != nil {
		return box, nil, fmt.Errorf("read ConfigMap %s/%s: %w", m.namespace, mailState, err)
	}
	if err := json.Unmarshal([]byte(held.Data[outboxKey]), &box); err != nil || box.Version != outboxVersion {
		return box, nil, fmt.Errorf("ConfigMap %s/%s has no outbox of version %d, so nobody knows what was sent; delete it to begin anew: %w", m.namespace, mailState, outboxVersion, err)
	}
	return box, held, nil
}

// write stores the outbox on the version that was read, and gives the new one.
func (m *mailer) write(ctx context.Context, box outbox, held *corev1.ConfigMap) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, saveWithin)
	defer cancel()
	text, err := json.MarshalIndent(box, "", " ")
	if err != nil {
		return held, fmt.Errorf("write the outbox: %w", err)
	}
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: mailState}, Data: map[string]string{outboxKey: string(text)}}
	maps := m.client.CoreV1().ConfigMaps(m.namespace)
	if held == nil {
		next, err = maps.Create(ctx, next, metav1.CreateOptions{})
	} else {
		next.ResourceVersion = held.ResourceVersion
		next, err = maps.Update(ctx, next, metav1.UpdateOptions{})
	}
	if err != nil {
		return held, fmt.Errorf("write ConfigMap %s/%s: %w", m.namespace, mailState, err)
	}
	return next, nil
}

// obey carries out the orders to mail a report now, which are no part of the schedule's mails. While an
// answer cannot be written only that is tried again: the mails are gone.
func (m *mailer) obey(ctx context.Context, now time.Time) error {
	documents, known := m.documents()
	if m.orders == nil || !known {
		return nil
	}
	pending, err := m.orders.Pending(ctx)
	for _, o := range pending {
		if o.Verb != optimizer.Send {
			continue
		}
		done, known := m.unsaid[o.Key]
		if !known || !done.at.Equal(o.At) {
			done = said{o.At, m.carryOut(ctx, o, documents, now)}
		}
		if ctx.Err() != nil {
			return ctx.Err() // the next leader does it, with the same Message-ID
		}
		m.unsaid[o.Key] = done
		if err := m.orders.Answer(ctx, o, done.text); err != nil {
			return err
		}
		delete(m.unsaid, o.Key)
	}
	return err
}

// carryOut mails a report as ordered and says what came of it.
func (m *mailer) carryOut(ctx context.Context, o optimizer.Order, documents []policies.Report, now time.Time) string {
	d, p, err := ordered(o.ID, documents, now)
	if err != nil {
		return "not sent: " + err.Error()
	}
	var done, faults []string
	for _, to := range d.Recipients {
		id := mail.ID(d.Name, p.Key+"-"+o.At.UTC().Format("20060102T150405.000"), to, d.From)
		if err := m.deliver(ctx, d, p, to, id, now); err != nil {
			m.log.Warn("report not mailed as ordered", "report", d.Name, "to", to, "err", err)
			faults = append(faults, fmt.Sprintf("not sent to %s: %v", to, err))
			continue
		}
		m.log.Info("report mailed as ordered", "report", d.Name, "period", p.Key, "to", to, "by", o.By)
		done = append(done, to)
	}
	if len(done) > 0 {
		faults = append([]string{fmt.Sprintf("sent the report of %s (%s) to %s", p.Words(), p.Zone, strings.Join(done, ", "))}, faults...)
	}
	return strings.Join(faults, "; ")
}

// ordered is what the ID of an order to send means: a report's name, for the last whole period of its
// schedule, or NAME_PERIOD, which is how orderID writes it.
func ordered(id string, documents []policies.Report, now time.Time) (policies.Report, reports.Period, error) {
	name, period, given := strings.Cut(id, "_")
	d, ok := document(documents, name)
	if !ok {
		var names []string
		for _, d := range documents {
			names = append(names, d.Name)
		}
		return d, reports.Period{}, fmt.Errorf("there is no Report document %s without faults; there are: %s", name, cmp.Or(strings.Join(names, ", "), "none"))
	}
	s, err := newSchedule(d.Schedule, d.TimeZone)
	if err != nil {
		return d, reports.Period{}, err
	}
	if given {
		p, err := reports.ParsePeriod(period, now, s.zone)
		return d, p, err
	}
	at := s.before(now.Add(time.Second))
	return d, reports.Between(s.before(at), at, s.zone), nil
}

// orderID is the ID of an order to send a report; without a period it is that of its schedule.
func orderID(name, period string) string {
	if period == "" {
		return name
	}
	return name + "_" + period
}
