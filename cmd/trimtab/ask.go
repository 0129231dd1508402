package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"trimtab.dev/trimtab/reports"
)

// where says which daemon to ask.
type where struct {
	server, kubeconfig, context, namespace, service string
}

func (w *where) flags(fs *flag.FlagSet) {
	fs.StringVar(&w.server, "server", "", "`URL` of a daemon; empty: through the API server's service proxy")
	fs.StringVar(&w.kubeconfig, "kubeconfig", "", "kubeconfig `file`; empty: $KUBECONFIG or the usual place")
	fs.StringVar(&w.context, "context", "", "kubeconfig `context`; empty: the current one")
	fs.StringVar(&w.namespace, "namespace", "trimtab", "`namespace` of the daemon")
	fs.StringVar(&w.service, "service", "trimtab", "`Service` of the daemon")
}

func (w where) plan(ctx context.Context) (planAnswer, error) {
	return fetch(ctx, w.read)
}

// parse reads flags and wants exactly n arguments after them.
func parse(fs *flag.FlagSet, args []string, n int, form string, out io.Writer) (rest []string, done bool, err error) {
	return parseUpTo(fs, args, n, n, form, out)
}

// parseUpTo is parse for least to most arguments; flags may follow arguments too. Asked for help, it gives that and is done.
func parseUpTo(fs *flag.FlagSet, args []string, least, most int, form string, out io.Writer) (rest []string, done bool, err error) {
	var text strings.Builder
	fs.SetOutput(&text)
	fs.Usage = func() {
		text.WriteString(heading(fs.Name(), form))
		fs.PrintDefaults()
	}
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, true, helpOrFault(err, fs.Name(), text.String(), out)
		}
		if args = fs.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	if len(rest) < least || len(rest) > most {
		return nil, true, badInput("trimtab %s: the form is: trimtab %s", fs.Name(), form)
	}
	return rest, false, nil
}

// heading is how the help of a verb begins: what it does and how it is called. The flags follow.
func heading(name, form string) string {
	i := slices.IndexFunc(verbs(), func(v verb) bool { return v.name == name })
	return fmt.Sprintf("%s\n\n  trimtab %s\n\n", verbs()[i].about, form)
}

func helpOrFault(err error, verb, text string, out io.Writer) error {
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(out, text)
		return err
	}
	first, _, _ := strings.Cut(text, "\n")
	return badInput("trimtab %s: %s; `trimtab help %s` lists the flags", verb, first, verb)
}

func planVerb(ctx context.Context, args []string, out io.Writer) error {
	var w where
	local := localPlan{progress: os.Stderr}
	fs := flag.NewFlagSet("plan", flag.ContinueOnError)
	w.flags(fs)
	local.flags(fs)
	format := fs.String("o", "text", "`format`: text or json")
	if _, done, err := parse(fs, args, 0, "plan [-o json] [--prometheus URL [-n NAMESPACE] [--policy FILE]...]", out); done {
		return err
	}
	if err := errors.Join(checkFormat("plan", *format), local.check(w.server)); err != nil {
		return err
	}
	ask := w.plan
	if local.given() {
		local.kubeconfig, local.context = w.kubeconfig, w.context
		ask = local.answer
	}
	answer, err := ask(ctx)
	if err != nil {
		return err
	}
	if *format == "json" {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(answer)
	}
	return reports.PlanText(out, answer.Plan)
}

func explainVerb(ctx context.Context, args []string, out io.Writer) error {
	var w where
	fs := flag.NewFlagSet("explain", flag.ContinueOnError)
	w.flags(fs)
	rest, done, err := parse(fs, args, 1, "explain NAMESPACE/NAME", out)
	if done {
		return err
	}
	answer, err := w.plan(ctx)
	if err != nil {
		return err
	}
	a, err := answer.find(rest[0])
	if err != nil {
		return err
	}
	return reports.ExplainText(out, a, answer.Plan)
}
