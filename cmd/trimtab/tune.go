package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"trimtab.dev/trimtab/recommender/capacity"
)

const tuneForm = "tune [NAMESPACE/NAME] [--what-if replicas=2,batch=16]... [-o json], or tune --document FILE --curve FILE --rate N"

// texts is a flag that may be given again.
type texts []string

func (t *texts) String() string        { return strings.Join(*t, " ") }
func (t *texts) Set(text string) error { *t = append(*t, text); return nil }

// tuneAsk is what `trimtab tune` was asked for.
type tuneAsk struct {
	where
	whatIfs texts
	format  string
	sketch  sketch
}

func (a *tuneAsk) flags(fs *flag.FlagSet) {
	a.where.flags(fs)
	fs.Var(&a.whatIfs, "what-if", "`setting` to compare, such as replicas=2,batch=16; of batch, delay, replicas, cpu, limit, memory, instances, spot; may be given again")
	fs.StringVar(&a.format, "o", "text", "`format`: text or json")
	a.sketch.flags(fs)
}

// tuneVerb shows how a server is tuned: one of the daemon's, all of them, or one that is only planned.
func tuneVerb(ctx context.Context, args []string, out io.Writer) error {
	var a tuneAsk
	fs := flag.NewFlagSet("tune", flag.ContinueOnError)
	a.flags(fs)
	rest, done, err := parseUpTo(fs, args, 0, 1, tuneForm, out)
	if done {
		return err
	}
	name := strings.Join(rest, "")
	faults := a.check(fs, name)
	switch {
	case len(given(fs)) > 0:
		return a.offline(ctx, faults, out)
	case faults != nil:
		return faults
	case name == "":
		return a.list(ctx, out)
	}
	return a.one(ctx, name, out)
}

// check gives every fault of the flags at once, but those of a sketch's what-ifs, which its document has a say in.
func (a tuneAsk) check(fs *flag.FlagSet, name string) error {
	faults := []error{checkFormat("tune", a.format)}
	ns, short, ok := strings.Cut(name, "/")
	if name != "" && (!ok || ns == "" || short == "" || strings.Contains(short, "/")) {
		faults = append(faults, badInput("trimtab tune: %s: write NAMESPACE/NAME", name))
	}
	if len(a.whatIfs) > mostWhatIfs {
		faults = append(faults, badInput("trimtab tune: %d what-ifs are too many; ask for at most %d at once", len(a.whatIfs), mostWhatIfs))
	}
	if len(given(fs)) > 0 {
		return errors.Join(append(faults, a.sketch.check(fs, name))...)
	}
	_, err := capacity.Standing{}.Asked(a.whatIfs) // what is wrong with them wherever they are asked
	faults = append(faults, whatIfFault(err))
	if name == "" && len(a.whatIfs) > 0 {
		faults = append(faults, badInput("trimtab tune: --what-if needs a server; name it: trimtab tune NAMESPACE/NAME"))
	}
	return errors.Join(faults...)
}

// list shows every server of the daemon.
func (a tuneAsk) list(ctx context.Context, out io.Writer) error {
	all, err := a.servers(ctx)
	if err != nil {
		return err
	}
	if a.format == "json" {
		return writeJSON(out, all)
	}
	_, err = io.WriteString(out, capacity.StandingsText(all.Servers))
	return err
}

// one shows one server of the daemon. The list is read first: with it a wrong name and a wrong what-if
// are said to be that, and which names there are.
func (a tuneAsk) one(ctx context.Context, name string, out io.Writer) error {
	all, err := a.servers(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all.Servers, func(s capacity.Standing) bool { return s.Ref() == name })
	if i < 0 {
		return badInput("trimtab tune: %s", unknownServer(name, all.Servers))
	}
	if err := a.whatIfsOf(all.Servers[i]); err != nil {
		return err
	}
	path := "/api/v1/servers/" + name
	if len(a.whatIfs) > 0 {
		path += "?" + url.Values{"what-if": {strings.Join(a.whatIfs, whatIfSeparator)}}.Encode()
	}
	var one serverAnswer
	if err := a.ask(ctx, path, &one); err != nil {
		return err
	}
	return a.show(one, out)
}

// whatIfsOf gives every fault of the what-ifs about a server.
func (a tuneAsk) whatIfsOf(s capacity.Standing) error {
	if err := askable(s, a.whatIfs); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	_, err := s.Asked(a.whatIfs)
	return whatIfFault(err)
}

// whatIfFault is the faults of what-ifs, one a line.
func whatIfFault(err error) error {
	if err == nil {
		return nil
	}
	return badInput("trimtab tune: %s", strings.ReplaceAll(err.Error(), "\n", "\ntrimtab tune: "))
}

func (a tuneAsk) show(one serverAnswer, out io.Writer) error {
	if a.format == "json" {
		return writeJSON(out, one)
	}
	_, err := io.WriteString(out, one.Server.Text(one.WhatIfs))
	return err
}

func (a tuneAsk) servers(ctx context.Context) (serversAnswer, error) {
	var all serversAnswer
	return all, a.ask(ctx, "/api/v1/servers", &all)
}

// ask reads a path of the daemon's API into a value.
func (a tuneAsk) ask(ctx context.Context, path string, into any) error {
	body, err := a.read(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the daemon's servers: %w; are the daemon and this program of one version?", err)
	}
	return nil
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
