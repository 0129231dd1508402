package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// actWithin is how long everything that the demo waits for may take together.
const actWithin = 6 * time.Minute

// act lets the daemon do what it proposed, tells what happens as it happens, and ends with the mail and
// the sums before and after.
func (d *demo) act(ctx context.Context) error {
	begun := time.Now()
	before, err := d.fleet(ctx)
	if err != nil {
		return err
	}
	say("")
	say("== Trimtab acts: the second switch, mode: enforce, is set in the policy; the first is the daemon's flag --enforce")
	enforce := func(text string) string { return strings.Replace(text, "mode: recommend", "mode: enforce", 1) }
	if err := d.apply(ctx, enforce, "demo/policy.yaml"); err != nil {
		return err
	}
	if err := d.apply(ctx, asIs, "demo/governance.yaml", "demo/server.yaml"); err != nil {
		return err
	}
	if err := d.follow(ctx, begun); err != nil {
		return err
	}
	d.times["demo.acted_s"] = time.Since(begun).Seconds()
	if err := d.prove(ctx, before); err != nil {
		return err
	}
	return d.mail(ctx)
}

// waiting says what is still waited for before the demo goes on; empty: nothing.
func (d *demo) waiting(ctx context.Context, seen stage) ([]string, error) {
	var waits []string
	for _, name := range []string{"recommendation-model", "image-batch"} {
		if !seen.ended[name] {
			waits = append(waits, name)
		}
	}
	if !seen.tuned {
		waits = append(waits, "the tuning of "+managedServer+" (why it does not go on is told by `bin/trimtab tune ml-production/"+managedServer+"`)")
	}
	if !seen.governed {
		waits = append(waits, "the quota of ml-research")
	}
	if !seen.advised {
		waits = append(waits, "GPU advice")
	}
	return waits, nil
}

// managedServer is the one that deploy/demo/server.yaml asks for.
const managedServer = "price-quotes"

// stage is what the demo has seen so far.
type stage struct {
	ended                    map[string]bool
	tuned, governed, advised bool
	load, exporter           bool // started by the demo meanwhile
	said                     map[string]bool
}

// follow prints each Event that Trimtab writes on a workload and each change in what it keeps, until
// all of it is done.
func (d *demo) follow(ctx context.Context, begun time.Time) error {
	seen := stage{ended: map[string]bool{}, said: map[string]bool{}}
	tell := func(key, format string, args ...any) {
		if !seen.said[key] {
			seen.said[key] = true
			sayAt(begun, fmt.Sprintf(format, args...))
		}
	}
	var waits []string
	err := until(ctx, actWithin, 2*time.Second, "everything that was proposed", func() (bool, error) {
		for _, step := range []func(context.Context, *stage, func(string, string, ...any)) error{d.events, d.keeps, d.meanwhile} {
			if err := step(ctx, &seen, tell); err != nil {
				return false, err
			}
		}
		var err error
		waits, err = d.waiting(ctx, seen)
		return len(waits) == 0, err
	})
	if err != nil && len(waits) > 0 {
		return fmt.Errorf("%w; still waiting for %s", err, strings.Join(waits, ", "))
	}
	return err
}

// events tells what the daemon wrote on workloads, in its own words.
func (d *demo) events(ctx context.Context, seen *stage, tell func(string, string, ...any)) error {
	var items []struct {
		Metadata       struct{ Name, CreationTimestamp string }
		InvolvedObject struct{ Namespace, Name string }
		Reason         string
		Message        string
	}
	if err := d.objects(ctx, &items, "events", "-A", "--sort-by=.metadata.creationTimestamp"); err != nil {
		return err
	}
	for _, e := range items {
		if !strings.HasPrefix(e.Reason, "Trimtab") {
			continue
		}
		tell("event "+e.Metadata.Name, "%s: %s", e.InvolvedObject.Name, e.Message)
		if e.Reason == "TrimtabDone" {
			seen.ended[e.InvolvedObject.Name] = true
		}
	}
	return nil
}

// howFar is the end of a tuning step that is being measured: how much of the window has passed.
var howFar = regexp.MustCompile(`: \d+ s of .*$`)

// keeps tells how the objects that Trimtab owns come to be as their documents ask, and what it says of GPUs.
func (d *demo) keeps(ctx context.Context, seen *stage, tell func(string, string, ...any)) error {
	raw, err := d.trimtab(ctx, "plan", "-o", "json")
	if err != nil {
		return nil // the daemon may be busy; the next look will tell
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	tuning, deployed, kept := false, false, 0
	for _, k := range a.Plan.Kept {
		switch text := fmt.Sprintf("%s: %s %s/%s %s", k.Document, k.Kind, k.Namespace, k.Name, k.State); k.State {
		case "created", "repaired", "refused":
			tell("kept "+text+k.Detail, "%s", strings.TrimSuffix(text+": "+k.Detail, ": "))
		case "tuning":
			for step := range strings.SplitSeq(k.Detail, "; ") {
				step = howFar.ReplaceAllString(step, "")
				tell("tuning "+step, "%s: %s", k.Document, step)
			}
		}
		tuning = tuning || k.State == "tuning"
		if k.Namespace == "ml-research" && k.State == "as-asked" {
			kept++
		}
		deployed = deployed || k.Name == managedServer && k.Kind == "Deployment" && k.State == "as-asked"
	}
	seen.governed = kept >= 2
	seen.tuned = deployed && !tuning && seen.ended[managedServer]
	seen.advise(a, tell)
	return nil
}

// advise tells what the plan says about GPUs.
func (seen *stage) advise(a answer, tell func(string, string, ...any)) {
	for _, w := range a.Plan.Assessments {
		for _, h := range w.Holds {
			if h.Reason == "gpu-unknown" && len(w.Advice) == 0 {
				tell("gpu unknown", "%s (SIMULATED node): %s", w.Ref.Name, h.Detail)
			}
		}
		for _, advice := range w.Advice {
			seen.advised = true
			tell("gpu advice", "%s (SIMULATED node): %s", w.Ref.Name, advice.Text)
		}
	}
}

// meanwhile starts what waits for something of Trimtab's: the load on the managed server once it
// answers, and the GPU metrics once Trimtab has said that it misses them.
func (d *demo) meanwhile(ctx context.Context, seen *stage, tell func(string, string, ...any)) error {
	if !seen.load {
		ready, err := d.kubectl(ctx, "", "-n", "ml-production", "get", "deployment", managedServer, "--ignore-not-found", "-o", "jsonpath={.status.readyReplicas}")
		if err != nil {
			return err
		}
		if string(ready) != "" && string(ready) != "0" {
			seen.load = true
			tell("load", "load on %s: %s", managedServer, managedStream.about)
			if err := d.startLoad(ctx, managedStream); err != nil {
				return err
			}
		}
	}
	if !seen.exporter && seen.said["gpu unknown"] && time.Since(d.start) > 0 {
		seen.exporter = true
		tell("exporter", "connecting a dcgm-exporter (SIMULATED: there is no GPU here)")
		return d.startExporter(ctx)
	}
	return nil
}

// saveFile writes a file of demo-out.
func (d *demo) saveFile(name string, text []byte) error {
	if err := os.WriteFile(filepath.Join(d.out, name), text, 0o644); err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}
