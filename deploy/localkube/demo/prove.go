package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// standing is one workload as the daemon sees it.
type standing struct {
	name, capacity string
	simulated      bool // its pods are on nodes that are not real
	pods           int64
	milliCPU       int64 // requests of all its live pods
	memory         int64 // bytes
	monthly        int64 // millionths of a dollar, whole cents
}

// fleet is every workload of the plan as it stands, by name.
func (d *demo) fleet(ctx context.Context) ([]standing, error) {
	raw, err := d.trimtab(ctx, "plan", "-o", "json")
	if err != nil {
		return nil, err
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	return a.standings(), nil
}

// standings is every workload of an answer as it stands.
func (a answer) standings() []standing {
	var out []standing
	for _, w := range a.Plan.Assessments {
		s := standing{name: w.Ref.Name, capacity: w.Workload.Capacity, simulated: w.Simulated, pods: int64(len(w.Workload.Pods)), monthly: inCents(w.Now.Amount)}
		for _, p := range w.Workload.Pods {
			for _, c := range p.Shape.Containers {
				s.milliCPU += c.Requests.MilliCPU
				s.memory += c.Requests.Memory
			}
		}
		out = append(out, s)
	}
	return out
}

// prove shows what the cluster itself says, beside what it said before: requests and money, restarts
// and lost requests.
func (d *demo) prove(ctx context.Context, before []standing) error {
	after, err := d.fleet(ctx)
	if err != nil {
		return err
	}
	say("")
	say("== Before and after, as the cluster has it")
	say("%s", table(before, after))
	restarts, err := d.kubectl(ctx, "", "-n", "ml-production", "get", "pods", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}")
	if err != nil {
		return err
	}
	total := int64(0)
	for _, n := range strings.Fields(string(restarts)) {
		total += number(n)
	}
	sent, failed, err := d.losses(ctx)
	if err != nil {
		return err
	}
	say("containers restarted: %d; requests sent meanwhile: %d, failed: %d", total, sent, failed)
	d.times["demo.requests_sent"], d.times["demo.requests_failed"], d.times["demo.restarts"] = float64(sent), float64(failed), float64(total)
	text, err := d.trimtab(ctx, "history")
	if err != nil {
		return err
	}
	say("")
	say("$ trimtab history")
	say("%s", strings.TrimRight(string(text), "\n"))
	return nil
}

// table sets the two states of every workload side by side; one that is new has no before.
func table(before, after []standing) string {
	var lines []string
	line := func(name, pods, cpu, memory, where, dollars string) {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%-22s %-9s %-18s %-20s %-22s %s", name, pods, cpu, memory, where, dollars), " "))
	}
	line("workload", "pods", "cores", "GiB", "capacity", "$ a month")
	var was, is standing
	for _, a := range after {
		b := standing{name: a.name}
		for _, o := range before {
			if o.name == a.name {
				b = o
			}
		}
		if a.simulated {
			a.capacity, b.capacity = a.capacity+", SIMULATED", ""
		} else {
			was, is = was.plus(b), is.plus(a)
		}
		line(a.name, arrow(b.pods, a.pods, whole), arrow(b.milliCPU, a.milliCPU, cores), arrow(b.memory, a.memory, gibs), words(b.capacity, a.capacity), arrow(b.monthly, a.monthly, cents))
	}
	line("together, real ones", arrow(was.pods, is.pods, whole), arrow(was.milliCPU, is.milliCPU, cores), arrow(was.memory, is.memory, gibs), "", arrow(was.monthly, is.monthly, cents))
	return strings.Join(lines, "\n")
}

func (s standing) plus(o standing) standing {
	return standing{pods: s.pods + o.pods, milliCPU: s.milliCPU + o.milliCPU, memory: s.memory + o.memory, monthly: s.monthly + o.monthly}
}

func arrow(was, is int64, show func(int64) string) string {
	if show(was) == show(is) {
		return show(is)
	}
	return show(was) + " -> " + show(is)
}

func words(was, is string) string {
	if was == is || was == "" {
		return is
	}
	return was + " -> " + is
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }
func cores(n int64) string { return strconv.FormatFloat(float64(n)/1000, 'f', 3, 64) }
func gibs(n int64) string  { return strconv.FormatFloat(float64(n)/(1<<30), 'f', 2, 64) }
func cents(n int64) string { return strconv.FormatFloat(float64(n)/1e6, 'f', 2, 64) }

// inCents is a cost in whole cents, half a cent up, as Trimtab adds costs up: what is shown is what is summed.
func inCents(n int64) int64 { return (n + 5_000) / 10_000 * 10_000 }

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// sums is what a load generator prints every ten seconds: what was sent and what failed since the last line.
var sums = regexp.MustCompile(`sent=(\d+) ok=\d+ failed=(\d+)`)

// losses adds up what every load generator has printed since it began.
func (d *demo) losses(ctx context.Context) (sent, failed int64, err error) {
	for _, s := range append([]stream{managedStream}, streams...) {
		text, err := d.kubectl(ctx, "", "-n", "demo-load", "logs", "deployment/load-"+s.service, "--tail=-1")
		if err != nil {
			return 0, 0, err
		}
		for _, m := range sums.FindAllStringSubmatch(string(text), -1) {
			sent, failed = sent+number(m[1]), failed+number(m[2])
		}
	}
	return sent, failed, nil
}

// mail has the daemon send its report, and saves it as it was received.
func (d *demo) mail(ctx context.Context) error {
	say("")
	say("== The weekly report, sent now: SMTP with STARTTLS and a password, to a mail server in the cluster")
	text, err := d.trimtab(ctx, "report", "--send", "weekly", "--period", "30m")
	if err != nil {
		return err
	}
	say("%s", strings.TrimSpace(string(text)))
	const sink = "/api/v1/namespaces/demo-mail/services/mailsink:http/proxy"
	var received []struct{ ID string }
	err = until(ctx, time.Minute, time.Second, "the mail's arrival", func() (bool, error) {
		raw, err := d.kubectl(ctx, "", "get", "--raw", sink+"/messages")
		if err != nil {
			return false, err
		}
		return json.Unmarshal(raw, &received) == nil && len(received) >= 2, nil
	})
	if err != nil {
		return err
	}
	eml, err := d.kubectl(ctx, "", "get", "--raw", sink+"/messages/"+received[0].ID)
	if err != nil {
		return err
	}
	if err := d.saveFile("report.eml", eml); err != nil {
		return err
	}
	page, err := htmlPart(eml)
	if err != nil {
		return err
	}
	if err := d.saveFile("report.html", page); err != nil {
		return err
	}
	say("received by %d recipients; saved as %s and %s", len(received), d.near("report.eml"), d.near("report.html"))
	return nil
}
