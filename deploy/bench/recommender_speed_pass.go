package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/sizing"
)

const (
	passFleet = 10_000 // containers at once
	passParts = 10     // such fleets, one after the other, for the figure of 100,000
	passWarm  = 28 * 24 * time.Hour
	passEvery = 30 * time.Minute // between the samples of the warm weeks; then one a minute
)

// passFigures are what a pass over a fleet takes.
type passFigures struct {
	usual, turn, hour float64 // us a container
	use               float64 // us a container, of what is shown as measured
	tenth, hundred    float64 // seconds
	bytes, texts      float64 // of plans, a container
}

// pricedFleet is a fleet as the daemon has it: workloads of one container each, what was measured of them and what stands
// of their plans.
type pricedFleet struct {
	history   *recommender.History
	plans     *recommender.Plans
	workloads []fleet.Workload
	options   recommender.Options
	now       time.Time
}

// passes measures what the daemon does in a pass for each container that is sized by price: recommender.Judge on
// warm history, whose answer is taken to be followed. A rule for replicas, which the autoscaler has none of, is off.
func (a *advised) passes() (out passFigures, err error) {
	warm, now, err := warmCheckpoints()
	if err != nil {
		return out, err
	}
	for part := range passParts {
		f, err := newJudged(passFleet, warm, now)
		if err != nil {
			return out, err
		}
		f.turnHour()
		f.pass() // the first plans of all, of a fleet that was never planned for
		turn := math.Inf(1)
		for range 2 {
			f.turnHour()
			turn = min(turn, f.pass())
		}
		if out.hundred += turn; part == 0 {
			out.tenth, out.turn = turn, turn/passFleet*1e6
			out.usual, out.hour = f.hour()
			out.use = f.uses()
			out.bytes, out.texts = f.heap()
		}
		a.say("pass %d over 10,000 containers at the turn of an hour: %.2f s", part+1, turn)
	}
	a.say("recommend: %.2f us at a usual minute, %.2f us at the turn of an hour, %.2f us mean of an hour; use: %.2f us", out.usual, out.turn, out.hour, out.use)
	return out, nil
}

// passRef is the workload of a container; all names are of one length.
func passRef(i int) fleet.Ref {
	return fleet.Deployment("namespace", fmt.Sprintf("deployment-%06d", i))
}

// warmCheckpoints are the histories of speedKinds workloads, four weeks long, as the daemon writes them down.
func warmCheckpoints() (out [][]byte, now time.Time, err error) {
	h := recommender.NewHistory()
	for k := range int(passWarm / passEvery) {
		now = calendarStart().Add(time.Duration(k+1) * passEvery)
		for i := range speedKinds {
			if err := addUse(h, i, k, now, passEvery); err != nil {
				return nil, now, err
			}
		}
	}
	for i := range speedKinds {
		out = append(out, h.Checkpoint(passRef(i)))
	}
	return out, now, nil
}

// addUse adds a sample of CPU and one of memory, of so much time.
func addUse(h *recommender.History, i, k int, at time.Time, window time.Duration) error {
	s := fleet.Sample{Ref: passRef(i), Pod: "pod", Container: "server", Signal: fleet.CPU, At: at, Window: window, Mean: useAt(i%speedKinds, k), N: 4}
	s.Max = s.Mean
	if err := h.Add(s, at); err != nil {
		return err
	}
	s.Signal, s.Mean = fleet.Memory, memoryAt(i%speedKinds, k)
	s.Max = s.Mean
	return h.Add(s, at)
}

// pricedOptions are those of a policy with rule: priced.
func pricedOptions() recommender.Options {
	return recommender.Options{
		Class: fleet.Online, Window: 7 * 24 * time.Hour, MinHistory: 24 * time.Hour, StaleAfter: time.Hour,
		RightSize: true, Percentile: 0.95, MinMilliCPU: 10, MinMemory: 32 << 20, Priced: &sizing.Options{Risk: 1, Changes: 24},
	}
}

// newJudged is so many workloads with copies of warm histories.
func newJudged(n int, warm [][]byte, now time.Time) (*pricedFleet, error) {
	f := &pricedFleet{history: recommender.NewHistory(), plans: recommender.NewPlans(), now: now, options: pricedOptions()}
	for i := range n {
		if err := f.history.Restore(renamed(warm[i%len(warm)], passRef(i%len(warm)), passRef(i))); err != nil {
			return nil, err
		}
		f.history.Follow(passRef(i), f.options)
		shape := fleet.PodShape{Containers: []fleet.Container{{Name: "server", Requests: fleet.Resources{MilliCPU: 1000, Memory: 4 << 30}}}}
		f.workloads = append(f.workloads, fleet.Workload{Ref: passRef(i), Template: shape, Replicas: 1,
			Pods: []fleet.Pod{{Name: "pod", Ready: true, Shape: shape, Created: calendarStart()}}})
	}
	return f, nil
}

// renamed is a checkpoint of a workload with another name of the same length.
func renamed(checkpoint []byte, from, to fleet.Ref) []byte {
	end := len(checkpoint) - crc32.Size
	out := bytes.Replace(checkpoint[:end], []byte(from.Name), []byte(to.Name), 1)
	return binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(out))
}

// pass is the seconds that it takes to judge all.
func (f *pricedFleet) pass() float64 {
	begun := time.Now()
	for i, w := range f.workloads {
		for _, r := range recommender.Judge(w, f.history, f.plans, f.options, f.now).Recommendations {
			f.workloads[i] = w.With(r.Target)
		}
	}
	return time.Since(begun).Seconds()
}

// minute goes on to the next, with a sample of each container.
func (f *pricedFleet) minute() {
	f.now = f.now.Add(time.Minute)
	for i := range f.workloads {
		_ = addUse(f.history, i, int(f.now.Unix()/60), f.now, time.Minute) // in order, and new: it is taken
	}
}

// turnHour goes to the first minute of the next hour.
func (f *pricedFleet) turnHour() {
	f.now = f.now.Truncate(time.Hour).Add(57 * time.Minute)
	for f.now.Minute() != 0 {
		f.minute()
	}
}

// hour is the us a container of a pass in a minute in which nothing is due, the fastest of an hour, and the mean of
// all 60.
func (f *pricedFleet) hour() (usual, mean float64) {
	usual = math.Inf(1)
	for range 60 {
		f.minute()
		took := f.pass() * 1e6 / float64(len(f.workloads))
		usual, mean = min(usual, took), mean+took/60
	}
	return usual, mean
}

// uses is the us a container of what a plan shows as measured, of the fastest of some rounds.
func (f *pricedFleet) uses() float64 {
	return fastestOf(speedRounds, len(f.workloads), func(k int) {
		f.history.Use(f.workloads[k].Ref, f.options.Window, f.now, f.options.Percentile)
	}) / 1000
}

// heap is the bytes that plans hold of a container as they are read back, and with what they last came to.
func (f *pricedFleet) heap() (bytes, texts float64) {
	saved := make([][]byte, len(f.workloads))
	for i, w := range f.workloads {
		saved[i] = f.plans.Checkpoint(w.Ref)
	}
	with := liveHeap()
	f.plans = recommender.NewPlans()
	without := liveHeap()
	for _, text := range saved {
		_ = f.plans.Restore(text, nil) // what was just written
	}
	n := float64(len(f.workloads))
	bytes = (liveHeap() - without) / n
	runtime.KeepAlive(f)
	runtime.KeepAlive(saved)
	return bytes, (with - without) / n
}
