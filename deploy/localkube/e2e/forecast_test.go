//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The calendar of the forecast: hours of twenty seconds, counted from 1970 as the daemon does, because a policy's lead
// is an hour at most and a pod on a busy machine may take longer than ten. There are three peaks a day, so that a rise
// comes every 160 s. A replica answers 25 a second, as the policy says: at the peak three do with one to lose, else one
// and one.
const (
	calendarSpace    = "calendar"
	calendarHour     = 20 * time.Second
	calendarDay      = 24 * calendarHour
	valleyHours      = 5 // and three of a peak
	valley           = valleyHours * calendarHour
	peakRate         = 60
	valleyRate       = 6
	atPeak, inValley = 4, 2
	learner          = "calendar-learner"
	follower         = "calendar-follower"
)

// peaks tells whether an hour of the day is one: from 5 to 8, from 13 to 16 and from 21 to 24.
func peaks(hour int) bool { return hour%8 >= valleyHours }

// nextRise is the first beginning of a peak that is not before t.
func nextRise(t time.Time) time.Time {
	const turn = int64(8 * calendarHour)
	n := (t.UnixNano() - int64(valley) + turn - 1) / turn
	return time.Unix(0, n*turn+int64(valley))
}

// calendarBegins puts up two servers and their requests, which go on until forecast, and a daemon that measures them
// and writes nothing. A forecast wants a day to learn from, which passes while other steps are tested.
func calendarBegins(_ *testing.T, r *rig) {
	r.calendarMode("recommend")
	r.kubectl("apply", "-f", filepath.Join(r.root, "deploy/localkube/e2e/testdata/calendar.yaml"))
	for _, name := range []string{"follows", "advised"} {
		r.kubectl("-n", calendarSpace, "rollout", "status", "deployment/"+name, "--timeout=180s")
	}
	hour := time.Now().Add(5 * time.Second).Truncate(calendarHour).Add(calendarHour) // time enough to begin both
	for _, name := range []string{"follows", "advised"} {
		r.calendarLoad(name, hour)
	}
	time.Sleep(time.Until(hour)) // what is measured before would count as an hour without requests
	r.calendarDaemon(learner, freePort(r.t), "--leader-elect=false")
	r.eventually("the daemon has its store", 2*time.Minute, func() bool { return exists(r.calendarStore()) })
}

func (r *rig) calendarMode(mode string) {
	r.t.Helper()
	r.template("calendar-policy.yaml", "MODE", mode)
}

// calendarLoad sends a server the calendar's requests from an hour on, until it is ended.
func (r *rig) calendarLoad(name string, hour time.Time) {
	r.t.Helper()
	ip := r.kubectl("-n", calendarSpace, "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
	var rows strings.Builder
	fmt.Fprintln(&rows, "t,req_per_s")
	for h := range int64(24) {
		at := hour.Add(time.Duration(h) * calendarHour)
		rate := valleyRate
		if peaks(int(at.Unix() / int64(calendarHour/time.Second) % 24)) {
			rate = peakRate
		}
		fmt.Fprintf(&rows, "%d,%d\n", int64(at.Sub(hour).Seconds()), rate)
	}
	trace := write(r.t, r.calendarTrace(name), rows.String())
	line := []string{"exec", filepath.Join(r.root, "bin", "modelserver"), "load", "--target", "http://" + ip, "--model", "recommendation",
		"--trace", trace, "--repeat", "--every", "10s", "--report", r.calendarReport(name)}
	go func() { // until it is ended, in another step
		time.Sleep(time.Until(hour))
		r.run("localkube", line...)
	}()
}

func (r *rig) calendarReport(name string) string {
	return filepath.Join(r.out, "calendar-"+name+".json")
}

// calendarDaemon runs a daemon by the calendar's hours on the calendar's store.
func (r *rig) calendarDaemon(identity, port string, flags ...string) {
	r.t.Helper()
	r.process(identity, port, r.t.TempDir(), append([]string{"--hour=" + calendarHour.String(), "--sample-every=1s", "--resolution=2s",
		"--settle=12s", "--store=" + r.calendarStore()}, flags...)...)
}

// forecast: what a daemon that writes nothing has measured of a day, the next one on the same store acts on. Replicas
// go where few requests are foreseen, not below what a budget and a loss ask for, and are ready again before the
// rise; no request fails. Of the server that has an HPA the daemon says how it should be set, and writes nothing.
func forecast(t *testing.T, r *rig) {
	begun := r.calendarBegun()
	t.Cleanup(r.calendarEnds)
	rise := nextRise(later(time.Now().Add(valley), begun.Add(calendarDay+calendarHour)))
	t.Logf("measured since %s, the rise is at %s", begun.Format(time.TimeOnly), rise.Format(time.TimeOnly))
	time.Sleep(time.Until(rise.Add(-valley))) // the last peak ends
	r.signal(syscall.SIGKILL, "trimtab-crash", learner)
	since := time.Now()
	r.standby()
	t.Cleanup(func() { // before the other comes back
		r.signal(syscall.SIGKILL, "trimtab-crash", follower)
		r.kubectl("-n", "trimtab", "delete", "configmap", "calendar")
	})
	r.calendarMode("enforce")
	port := freePort(t)
	r.calendarDaemon(follower, port, "--enforce")
	r.watched(rise)
	r.foreseen(port)
	r.autoscalerAdvised(port, since)
	r.calendarAnswered()
}

// calendarBegun is when the daemon began to measure. Where the steps before were left out it begins now.
func (r *rig) calendarBegun() time.Time {
	r.t.Helper()
	if !exists(r.calendarStore()) {
		calendarBegins(r.t, r)
	}
	info, err := os.Stat(r.calendarTrace("advised"))
	if err != nil {
		r.t.Fatal(err)
	}
	return info.ModTime().Add(2 * calendarHour) // the load waited for its hour, and then the daemon began
}

func (r *rig) calendarStore() string { return filepath.Join(r.out, "calendar-store") }

func (r *rig) calendarTrace(name string) string { return filepath.Join(r.out, "calendar-"+name+".csv") }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// watched looks at the replicas until a little after the rise: they went down before it, never too far, and those that
// the peak takes were ready when it came.
func (r *rig) watched(rise time.Time) {
	r.t.Helper()
	fewest, atRise, up := atPeak, -1, time.Time{}
	for now := time.Now(); now.Before(rise.Add(calendarHour)); now = time.Now() {
		spec, ready := r.replicas("follows")
		if ready < inValley || spec < inValley {
			r.t.Fatalf("%d replicas, %d ready: a budget and a loss ask for %d", spec, ready, inValley)
		}
		if fewest = min(fewest, ready); fewest < atPeak && ready >= atPeak && up.IsZero() {
			up = now
		}
		if now.Before(rise) {
			atRise = ready
		}
		time.Sleep(500 * time.Millisecond)
	}
	if fewest != inValley {
		r.t.Errorf("at least %d replicas in the valley, want %d", fewest, inValley)
	}
	if atRise < atPeak || up.IsZero() {
		r.t.Errorf("%d replicas were ready when the rise came, want %d", atRise, atPeak)
	}
	r.t.Logf("down to %d, and %d ready again %.1f s before the rise", fewest, atPeak, rise.Sub(up).Seconds())
}

// foreseen: the ledger has the way down and the way up, for one reason.
func (r *rig) foreseen(port string) {
	r.t.Helper()
	var a struct{ Entries []entry }
	r.asked(&a, port, "history", calendarSpace+"/follows")
	for _, e := range a.Entries {
		r.t.Logf("%s %v %s %s", e.Begun.Format(time.TimeOnly), e.Change.Reasons, e.Outcome, e.Detail)
		if !slices.Equal(e.Change.Reasons, []string{"replica-forecast"}) || e.Outcome != "done" {
			r.t.Errorf("ledger: %+v", e)
		}
	}
	if len(a.Entries) < 2 {
		r.t.Errorf("%d changes, want one down and one up at least", len(a.Entries))
	}
}

// asked has the daemon that answers on a port of the cluster's network answer.
func (r *rig) asked(v any, port string, words ...string) {
	r.t.Helper()
	line := append([]string{"exec", filepath.Join(r.root, "bin", "trimtab")}, words...)
	out := r.must("localkube", append(line, "-o", "json", "--server", "http://127.0.0.1:"+port)...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		r.t.Fatalf("trimtab %v: %v\n%s", words, err, out)
	}
}

// replicas are those that a Deployment asks for, and those of them that are ready and stay.
func (r *rig) replicas(name string) (spec, ready int) {
	r.t.Helper()
	var d struct {
		Spec   struct{ Replicas int }
		Status struct{ ReadyReplicas int }
	}
	r.get(&d, "deployment/"+name, "-n", calendarSpace)
	return d.Spec.Replicas, d.Status.ReadyReplicas
}

// autoscalerAdvised: the plan says how the HPA should be set, and nobody has set it.
func (r *rig) autoscalerAdvised(port string, since time.Time) {
	r.t.Helper()
	var a answer
	r.asked(&a, port, "plan")
	w := a.of("advised")
	if len(w.Advice) != 1 || !strings.HasPrefix(w.Advice[0].Text, "HPA advised: minReplicas 1 -> 2, maxReplicas 10 -> 4, target 80 % -> ") || len(w.Verdicts) > 0 {
		r.t.Errorf("advised: %+v", w)
	} else {
		r.t.Log(w.Advice[0].Text)
	}
	if got := r.kubectl("-n", calendarSpace, "get", "hpa", "advised", "-o", "jsonpath={.spec.minReplicas} {.spec.maxReplicas} {.spec.metrics[0].resource.target.averageUtilization}"); got != "1 10 80" {
		r.t.Errorf("the HPA is set to %s, was 1 10 80", got)
	}
	for _, w := range r.writes(daemonUser, since) {
		if w.Namespace == calendarSpace && w.Name != "follows" {
			r.t.Errorf("beside the replicas that are Trimtab's: %s", w)
		}
	}
}

// calendarAnswered ends the load: all it sent since it began was answered.
func (r *rig) calendarAnswered() {
	r.t.Helper()
	r.signal(syscall.SIGTERM, "modelserver", "load", filepath.Join(r.out, "calendar-"))
	for _, name := range []string{"follows", "advised"} {
		r.eventually("the load's report on "+name, 45*time.Second, func() bool { return exists(r.calendarReport(name)) })
		var report struct {
			Sent  int            `json:"sent"`
			OK    int            `json:"ok"`
			Codes map[string]int `json:"codes"`
		}
		text, err := os.ReadFile(r.calendarReport(name))
		if err == nil {
			err = json.Unmarshal(text, &report)
		}
		if err != nil || report.Sent == 0 || report.OK != report.Sent {
			r.t.Errorf("%s: %d of %d requests were answered: %v %v", name, report.OK, report.Sent, report.Codes, err)
		}
		r.t.Logf("%s: %d requests, %d answered", name, report.Sent, report.OK)
	}
}

// calendarEnds takes away all that the calendar made, however the step ended.
func (r *rig) calendarEnds() {
	r.signal(syscall.SIGKILL, "trimtab-crash", learner)
	r.signal(syscall.SIGKILL, "modelserver", "load", filepath.Join(r.out, "calendar-"))
	r.kubectl("delete", "namespace", calendarSpace, "--wait=false")
}

// signal sends it to the processes of this cluster that have the words on their command lines.
func (r *rig) signal(s syscall.Signal, words ...string) {
	r.t.Helper()
	for _, pid := range processes(words...) {
		if r.ours(pid) {
			_ = syscall.Kill(pid, s)
		}
	}
}
