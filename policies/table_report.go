package policies

import (
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
)

func readReport(w *walk, doc document, into *Documents) {
	r := DefaultReport()
	r.Name, r.Source = doc.name, w.source
	read(w, doc.spec, reportFields(), &r)
	into.Reports = []Report{r}
}

// DefaultReport is what a Report document starts from.
func DefaultReport() Report { return Report{TimeZone: "UTC", SMTP: SMTP{TLS: "starttls"}} }

// reportFields is the spec of a Report.
func reportFields() []field[Report] {
	recipients := words("recipients", "The addresses that it is mailed to.", "a list such as [ml-platform@example.com]", wrongAddress,
		func(r *Report) *[]string { return &r.Recipients })
	recipients.typ = "list of addresses"
	return []field[Report]{
		must(`five cron fields such as "0 8 * * 1", Mondays at 8`,
			judged(word("schedule", "When it is sent, in five cron fields: minute, hour, day of the month, month, day of the week. It tells of the whole period before.", wrongSchedule,
				func(r *Report) *string { return &r.Schedule }),
				func(w *walk) func(string) error { return w.checks.Schedule }, "%q is not a schedule: %v; write five cron fields such as 0 8 * * 1, Mondays at 8")),
		judged(word("timeZone", "The IANA time zone of the schedule and of the days that are told of.", wrongZone,
			func(r *Report) *string { return &r.TimeZone }),
			func(w *walk) func(string) error { return w.checks.TimeZone }, "%q is not a time zone: %v; write an IANA name such as Europe/Berlin"),
		must("a list of addresses such as [ml-platform@example.com]", recipients),
		must("an address such as trimtab@example.com", word("from", "The address that it is sent from, with a name if you like: Trimtab <trimtab@example.com>.", wrongSender,
			func(r *Report) *string { return &r.From })),
		words("namespaces", "Exact names of the namespaces that it tells of; left out: all that are assessed.", "a list such as [ml-production]", wrongNamespace,
			func(r *Report) *[]string { return &r.Namespaces }),
		must("it with host and port under it", group("smtp", "The mail server.",
			must("the name of the server", word("host", "The mail server's name or IP address.", wrongHost, func(r *Report) *string { return &r.SMTP.Host })),
			must("587, or 465 with tls: implicit", count("port", "The mail server's port: 587 is usual, 465 with tls: implicit.",
				span{low: 1, high: 65535, example: "a port such as 587"}, func(r *Report) *int { return &r.SMTP.Port })),
			choice("tls", "How the connection is encrypted: starttls begins in the clear and is never left so; implicit is encrypted from the first byte.",
				func(r *Report) *string { return &r.SMTP.TLS }, "starttls", "implicit"),
			word("secret", "The Secret of Trimtab's namespace with username, password and, for a private authority, ca.crt; left out: nobody logs in.", wrongObject,
				func(r *Report) *string { return &r.SMTP.Secret }))),
	}
}

// judged is f with a check of its text that the caller of Parse may have given; fault words what it finds.
func judged[T any](f field[T], check func(*walk) func(string) error, fault string) field[T] {
	form := f.set
	f.set = func(w *walk, p place, into *T) {
		before := len(w.faults)
		form(w, p, into)
		text, judge := p.node.Value, check(w)
		if judge == nil || len(w.faults) > before {
			return
		}
		if err := judge(text); err != nil {
			w.fault(p, fault, text, err)
		}
	}
	return f
}

// wrongSchedule says what is wrong with the form of a schedule, or nothing.
func wrongSchedule(s string) string {
	const usual = `write minute, hour, day of the month, month and day of the week, such as "0 8 * * 1" for Mondays at 8`
	switch n := len(strings.Fields(s)); {
	case strings.Contains(s, "TZ="):
		return "names a time zone; write that as timeZone"
	case strings.HasPrefix(s, "@"):
		return "is a short form, which is not read; " + usual
	case n != 5:
		return fmt.Sprintf("has %d fields, not 5; %s", n, usual)
	}
	return ""
}

// wrongZone says what is wrong with the form of a time zone's name, or nothing.
func wrongZone(s string) string {
	odd := strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")
	if s == "" || s == "Local" || odd != "" {
		return "is not a time zone; write an IANA name such as Europe/Berlin"
	}
	return ""
}

// wrongAddress says what is wrong with a mail address without a name, or nothing.
func wrongAddress(s string) string {
	a, err := mail.ParseAddress(s)
	switch {
	case err != nil:
		return "is not a mail address; write one such as ml-platform@example.com"
	case a.Address != s:
		return "is more than a mail address; write only " + a.Address
	case len(s) > 254:
		return "is longer than the 254 characters that mail allows"
	}
	return ""
}

// wrongSender says what is wrong with a mail address that may have a name, or nothing.
func wrongSender(s string) string {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return "is not a mail address; write one such as trimtab@example.com"
	}
	return wrongAddress(a.Address)
}

// wrongHost says what is wrong with a name or an IP address to connect to, or nothing.
func wrongHost(s string) string {
	if _, err := netip.ParseAddr(s); err == nil {
		return ""
	}
	if strings.Contains(s, "://") || strings.Count(s, ":") == 1 {
		return "is more than a host; write its name alone, and its port as port"
	}
	return wrongName(strings.ToLower(s), 253, ".")
}
