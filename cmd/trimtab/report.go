package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/kube"
	"trimtab.dev/trimtab/reports"
	"trimtab.dev/trimtab/reports/mail"
)

// reportAsk is what `trimtab report` was asked for.
type reportAsk struct {
	where
	period, zone, format, dir, send string
	wait                            time.Duration
}

func (a *reportAsk) flags(fs *flag.FlagSet) {
	a.where.flags(fs)
	fs.StringVar(&a.period, "period", "", "`period` to report: "+reports.PeriodForms+"; empty: week, or with --send the last whole one of its schedule")
	fs.StringVar(&a.zone, "zone", "UTC", "IANA time `zone` of weeks and days; with --send it is the document's")
	fs.StringVar(&a.format, "o", "text", "`format`: text or json")
	fs.StringVar(&a.dir, "out", "", "write report.html, report.txt, report.json and report.eml into this `folder`")
	fs.StringVar(&a.send, "send", "", "order the daemon to mail the Report document of this `name` now")
	fs.DurationVar(&a.wait, "wait", 2*time.Minute, "how long to wait for the daemon's answer to --send")
}

// check gives every fault of the flags at once.
func (a reportAsk) check() error {
	var faults []error
	if a.format != "text" && a.format != "json" {
		faults = append(faults, badInput("trimtab report: -o %s: choose text or json", a.format))
	}
	if a.send != "" && a.dir != "" {
		faults = append(faults, badInput("trimtab report: --out and --send: give one of them"))
	}
	if a.send != "" && a.server != "" {
		faults = append(faults, badInput("trimtab report: --server only reads; to send, leave it out and use a kubeconfig: the API server decides who may"))
	}
	if a.wait <= 0 {
		faults = append(faults, badInput("trimtab report: --wait %s: give a time such as 2m", a.wait))
	}
	loc, err := zoneOf("report", a.zone)
	if err != nil {
		return errors.Join(append(faults, err)...)
	}
	if a.period != "" {
		if _, err := reports.ParsePeriod(a.period, time.Now(), loc); err != nil {
			faults = append(faults, badInput("trimtab report: --period: %v", err))
		}
	}
	return errors.Join(faults...)
}

func reportVerb(ctx context.Context, args []string, out io.Writer) error {
	var a reportAsk
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	a.flags(fs)
	if _, done, err := parse(fs, args, 0, "report [--period PERIOD] [-o json] [--out DIR | --send NAME]", out); done {
		return err
	}
	if err := a.check(); err != nil {
		return err
	}
	if a.send != "" {
		return ordering{a.where, a.wait}.order(ctx, optimizer.Order{Verb: optimizer.Send, ID: orderID(a.send, a.period)}, out)
	}
	return a.show(ctx, out)
}

// show prints the daemon's report, or writes it into a folder.
func (a reportAsk) show(ctx context.Context, out io.Writer) error {
	if a.period == "" {
		a.period = "week"
	}
	body, err := a.read(ctx, "/api/v1/report?"+url.Values{"period": {a.period}, "zone": {a.zone}}.Encode())
	if err != nil {
		return err
	}
	var r reports.Report
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read the daemon's report: %w; are the daemon and this program of one version?", err)
	}
	switch {
	case a.dir != "":
		return writeReport(a.dir, r, out)
	case a.format == "json":
		return printReport(out, r)
	}
	return reports.ReportText(out, r)
}

// read reads a path of the daemon's API.
func (w where) read(ctx context.Context, path string) ([]byte, error) {
	if w.server != "" {
		return readURL(w.server)(ctx, path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cfg, err := kube.Client(w.kubeconfig, w.context, version)
	if err != nil {
		return nil, err
	}
	return kube.ServiceProxy(ctx, cfg, w.namespace, w.service, "http", path)
}

func printReport(out io.Writer, r reports.Report) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// writeReport writes every form of a report. The .eml is what a mail program shows; nobody is sent it,
// so it is from and to nobody in particular.
func writeReport(dir string, r reports.Report, out io.Writer) error {
	const nobody = "trimtab@localhost"
	letter, err := letterOf(r, nobody, nobody, mail.ID("report", r.Key(), nobody, nobody))
	if err != nil {
		return err
	}
	var value, eml bytes.Buffer
	if err := errors.Join(printReport(&value, r), letter.Write(&eml), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{"report.html", letter.HTML}, {"report.txt", letter.Text}, {"report.json", value.String()}, {"report.eml", eml.String()},
	} {
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(out, "wrote", path)
	}
	return nil
}
