package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/optimizer/kube/managed"
	"trimtab.dev/trimtab/policies"
	"trimtab.dev/trimtab/recommender/capacity"
)

// sketch is a server that need not run anywhere: its document, the curve of its model and what is to come to it.
type sketch struct {
	document, curve         string
	rate, burst, peak, rows float64
	coreMonth, gibMonth     float64
}

// sketchFlags are the flags that ask for a sketch.
var sketchFlags = []string{"document", "curve", "rate", "burst", "peak", "rows", "core-month", "gib-month"}

func (s *sketch) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.document, "document", "", "plan without a daemon: the InferenceServer document in this `file`; - is standard input")
	fs.StringVar(&s.curve, "curve", "", "with --document: the answer of GET /v2/models/NAME/curve in this `file`, - for standard input, or a model server's http URL")
	fs.Float64Var(&s.rate, "rate", 0, "with --document: `requests` a second in the busiest minute")
	fs.Float64Var(&s.burst, "burst", 1, "with --document: `variation` of the gaps between requests: 0 even, 1 independent clients, above 1 bursts")
	fs.Float64Var(&s.peak, "peak", 0, "with --document: `requests` in the busiest second; 0: what --burst gives")
	fs.Float64Var(&s.rows, "rows", 1, "with --document: mean `rows` of a request")
	fs.Float64Var(&s.coreMonth, "core-month", 0, "with --document: `dollars` a month for a core; 0: by a list price")
	fs.Float64Var(&s.gibMonth, "gib-month", 0, "with --document: `dollars` a month for a GiB of memory; 0: by a list price")
}

// given is the sketch's flags that were given, in the order of sketchFlags.
func given(fs *flag.FlagSet) []string {
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	var out []string
	for _, name := range sketchFlags {
		if set[name] {
			out = append(out, "--"+name)
		}
	}
	return out
}

// check gives every fault of the sketch's flags at once.
func (s sketch) check(fs *flag.FlagSet, name string) error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, badInput("trimtab tune: "+format, args...))
		}
	}
	fault(name != "", "%s: for a plan without the daemon, but %s is a server of the daemon; leave one of them out", strings.Join(given(fs), ", "), name)
	fault(s.document == "", "%s: for a plan of a document; name its file with --document", strings.Join(given(fs), ", "))
	fault(s.curve == "", "--curve is missing: the answer of GET /v2/models/NAME/curve, as a file or a model server's URL")
	fault(s.document == "-" && s.curve == "-", "--document and --curve cannot both be standard input; name a file for one of them")
	const most = 1e9 // far above anything that is served
	fault(!(s.rate > 0 && s.rate <= most), "--rate %g: give the requests a second in the busiest minute, such as 400", s.rate)
	fault(!(s.burst >= 0 && s.burst <= 100), "--burst %g: give a variation such as 1.5", s.burst)
	fault(s.peak != 0 && !(s.peak >= s.rate && s.peak <= most), "--peak %g: the busiest second has no fewer than --rate; give more, or leave it out", s.peak)
	fault(!(s.rows >= 1 && s.rows <= 1024), "--rows %g: give a mean such as 1", s.rows)
	fault(!(s.coreMonth >= 0 && s.coreMonth <= most), "--core-month %g: give dollars such as 26.28", s.coreMonth)
	fault(!(s.gibMonth >= 0 && s.gibMonth <= most), "--gib-month %g: give dollars such as 2.63", s.gibMonth)
	fault((s.coreMonth > 0) != (s.gibMonth > 0), "--core-month and --gib-month go together; give both or neither")
	return errors.Join(faults...)
}

const planned = `Planned from %s and %s alone; nothing was measured under traffic.
Assumed: a request takes %g us of CPU and %g us in all beside the model.
Prices: %s.

`

// offline shows the plan of a sketch, or all that is wrong with it: flags, what-ifs, document and curve.
func (a tuneAsk) offline(ctx context.Context, flags error, out io.Writer) error {
	doc, service, unread := a.sketch.read(ctx)
	begun := capacity.Standing{Question: capacity.Question{Now: managed.Goal(doc).Start}}
	_, wrong := begun.Asked(a.whatIfs)
	if err := errors.Join(flags, whatIfFault(wrong), unread); err != nil {
		return err
	}
	s := a.sketch.standing(doc, service)
	asked, err := s.WhatIfs(a.whatIfs)
	if err != nil {
		return err
	}
	if _, source := a.sketch.price(); a.format != "json" {
		_, err := fmt.Fprintf(out, planned, a.sketch.document, a.sketch.curve, 1e6*assumedPath, 1e6*assumedReach, source)
		if err != nil {
			return err
		}
	}
	return a.show(serverAnswer{Version: version, Server: s, WhatIfs: asked}, out)
}

// read gives the document and the curve with all that is wrong in them. Left out is what no flag names, which is said
// already, and what cannot be read without the other.
func (s sketch) read(ctx context.Context) (doc policies.Server, service capacity.Service, err error) {
	if s.document == "-" && s.curve == "-" {
		return doc, service, nil
	}
	var wrongDoc error
	if s.document != "" {
		doc, wrongDoc = s.server()
	}
	if bare(s.curve) && doc.Model == "" {
		return doc, service, wrongDoc
	}
	service, wrongCurve := s.service(ctx, doc)
	return doc, service, errors.Join(wrongDoc, wrongCurve)
}

// standing is what the plan of a document comes to.
func (s sketch) standing(doc policies.Server, service capacity.Service) capacity.Standing {
	price, _ := s.price()
	goal := managed.Goal(doc)
	q := capacity.Question{
		Now: goal.Start, Service: service, SLO: goal.SLO, Probability: goal.Probability, Room: goal.Room, Price: price,
		Load: capacity.Load{Rate: s.rate, Burst: s.burst, Peak: s.peak, Rows: s.rows},
	}
	return capacity.Standing{
		Namespace: doc.Namespace, Name: doc.Name, Model: doc.Model, Version: doc.Version, Mode: string(doc.Mode),
		Known: true, Question: q, Plan: capacity.Best(q),
	}
}

// server is the document of the sketch. Its faults are as `trimtab validate` prints them.
func (s sketch) server() (policies.Server, error) {
	data, err := read(s.document)
	if err != nil {
		return policies.Server{}, badInput("%s: cannot be read: %v", s.document, err)
	}
	docs, faults := policies.Parse(policies.Raw{Source: s.document, Data: data}, checks())
	var all []error
	for _, f := range faults {
		all = append(all, badInput("%s", f))
	}
	if len(faults) == 0 && len(docs.Servers) != 1 {
		all = append(all, badInput("%s: is a %s; write an InferenceServer document", s.document, docs.Kind))
	}
	if len(all) > 0 {
		return policies.Server{}, errors.Join(all...)
	}
	return docs.Servers[0], nil
}

// price is what machines cost, and where that is from.
func (s sketch) price() (capacity.Price, string) {
	if s.coreMonth > 0 {
		return capacity.Price{Core: inMoney(s.coreMonth), GiB: inMoney(s.gibMonth)}, "as given by --core-month and --gib-month"
	}
	node := fleet.Node{InstanceType: "m5.large", Region: "us-east-1", Capacity: fleet.OnDemand}
	row, _ := cost.Builtin().Find(node.InstanceType, node.Region, node.Capacity)
	shares, ok := cost.Builtin().Split(node)
	if !ok {
		return capacity.Price{Unpriced: []string{node.InstanceType}}, "none" // unreachable unless bug: it is built in
	}
	return capacity.Price{
		Core: shares.CPU.Times(cost.MonthHours*1000, row.MilliCPU), GiB: shares.Memory.Times(cost.MonthHours<<30, row.Memory),
	}, row.String() + ";\n--core-month and --gib-month give yours"
}

func inMoney(v float64) cost.Money { return cost.Money(v*float64(cost.Dollar) + 0.5) }
