package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"trimtab.dev/trimtab/recommender"
	"trimtab.dev/trimtab/recommender/sizing"
)

const (
	speedWarmDays = 28
	speedKinds    = 200 // histories that differ; more containers have copies of them
	speedRounds   = 5
	speedFloor    = 0.01 // cores
)

// keptContainer is all that is kept of one container.
type keptContainer struct {
	cpu    sizing.Track
	memory sizing.Memory
}

// speedFleet is containers with warm histories, at one moment.
type speedFleet struct {
	planner *sizing.Planner
	all     []*keptContainer
	byName  map[string]*keptContainer
	now     int64
}

// useAt is container i's use at its k-th sample, in cores: a base of its own between 20 and 2,000 millicores and
// a ripple of a factor of up to 3, as recommender/rivals gives the autoscaler.
func useAt(i, k int) float64 {
	return float64(int64(20+i%1980)*int64(8+(k*37+i)%17)/8) / 1000
}

// memoryAt is its memory, in bytes.
func memoryAt(i, k int) float64 { return float64(int64(200+i%1800) << 20 / 16 * int64(16+(k*29+i)%5)) }

// warmContainers are containers with four weeks of two samples an hour, planned on as they came, until a moment.
func warmContainers(n int) (all []keptContainer, now int64) {
	p := sizing.NewPlanner(sizing.Options{Floor: speedFloor})
	all, now = make([]keptContainer, n), calendarStart().Unix()
	for i := range all {
		all[i].memory = *sizing.NewMemory(sizing.MemoryOptions{})
	}
	const every = 1800
	for k := range speedWarmDays * 86400 / every {
		now += every
		for i := range all {
			p.Add(&all[i].cpu, now, useAt(i, k), false)
			all[i].memory.Add(now, memoryAt(i, k))
		}
	}
	return all, now
}

// newSpeedFleet is so many containers with copies of warm histories.
func newSpeedFleet(containers int, warm []keptContainer, now int64) *speedFleet {
	f := &speedFleet{planner: sizing.NewPlanner(sizing.Options{Floor: speedFloor}), byName: map[string]*keptContainer{}, now: now}
	for i := range containers {
		c := warm[i%len(warm)]
		f.all = append(f.all, &c)
		f.byName[fmt.Sprintf("namespace/deployment-%06d/server", i)] = &c
	}
	return f
}

// speed measures what one container costs, beside the genuine autoscaler in the same run.
func (a *advised) speed() error {
	vpa, err := a.genuine()
	if err != nil {
		a.say("the genuine autoscaler is left out: %v", err)
	}
	warm, now := warmContainers(speedKinds)
	tracks := heapOf(10_000, warm, now)
	heap, err := a.heaps()
	if err != nil {
		return err
	}
	f := newSpeedFleet(10_000, warm, now)
	again, round := f.add()
	a.say("add: %.0f ns to one container again and again, %.0f ns going round 10,000", again, round)
	runtime.KeepAlive(f)
	p, err := a.passes()
	if err != nil {
		return err
	}
	return errors.Join(
		a.beside("add_sample_ns", again, fmt.Sprintf("ns a CPU sample, one container; %.0f going round 10,000", round), vpa.figures(func(m genuineSpeed) float64 { return m.AddNs })...),
		a.beside("recommend_us", p.usual, "us a recommendation for CPU and memory from warm history, texts included, in a minute like any other, of 10,000", vpa.figures(func(m genuineSpeed) float64 { return m.RecommendUs })...),
		a.beside("recommend_turn_us", p.turn, "us the same in the first pass of an hour, when every plan is made anew"),
		a.beside("recommend_hour_us", p.hour, "us the same, mean of the 60 passes of an hour", vpa.figures(func(m genuineSpeed) float64 { return m.RecommendUs })...),
		a.beside("use_us", p.use, "us for what a plan shows as measured of one container, in each pass"),
		a.beside("plans_b", p.bytes, fmt.Sprintf("B a container of plans beside its history; %.0f with the texts that the newest plan of the fleet shows", p.texts)),
		a.beside("heap_kb", heap.priced, fmt.Sprintf("KB a container sized by price, its whole history with one pod; %.2f with two, %.2f where percentiles are read; what is planned by would take %.2f by itself", heap.two, heap.valued, tracks), vpa.figures(func(m genuineSpeed) float64 { return m.HeapKB })...),
		a.beside("pass_10k_s", p.tenth, "s over 10,000 containers at the turn of an hour, one core", vpa.figures(func(m genuineSpeed) float64 { return m.RecommendUs * 10_000 / 1e6 })...),
		a.beside("pass_100k_s", p.hundred, "s over 100,000 containers at the turn of an hour, one core", vpa.figures(func(m genuineSpeed) float64 { return m.RecommendUs * 100_000 / 1e6 })...),
	)
}

// heapFigures are the KB of a container's history, with one pod but for two.
type heapFigures struct{ priced, two, valued float64 }

func (a *advised) heaps() (out heapFigures, err error) {
	percentiles := pricedOptions()
	percentiles.Priced = nil
	for _, of := range []struct {
		kb   *float64
		pods int
		o    recommender.Options
	}{{&out.priced, 1, pricedOptions()}, {&out.two, 2, pricedOptions()}, {&out.valued, 1, percentiles}} {
		if *of.kb, err = historyHeap(of.pods, of.o); err != nil {
			return out, err
		}
	}
	a.say("heap of a history: %.2f KB, two pods %.2f, with percentiles %.2f", out.priced, out.two, out.valued)
	return out, nil
}

// add is the fastest of some rounds, in ns a sample: to one container, and going round all.
func (f *speedFleet) add() (again, round float64) {
	const n = 200_000
	at, one := f.now, *f.all[0]
	again = fastestOf(speedRounds, n, func(k int) {
		at += 60
		one.cpu.Record(at, useAt(0, k), false)
	})
	round = fastestOf(speedRounds, n, func(k int) {
		i := k % len(f.all)
		if i == 0 {
			f.now += 60
		}
		f.all[i].cpu.Record(f.now, useAt(i, k), false)
	})
	return again, round
}

// heapOf is the KB, of 1,000 bytes, that what is planned by takes for one of so many containers, with its name.
func heapOf(containers int, warm []keptContainer, now int64) float64 {
	before := liveHeap()
	f := newSpeedFleet(containers, warm, now)
	f.all = nil // the map holds them
	after := liveHeap()
	runtime.KeepAlive(f.byName)
	runtime.KeepAlive(warm)
	return (after - before) / 1000 / float64(containers)
}

func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// fastestOf is the time of one call in ns, of the fastest of some rounds.
func fastestOf(rounds, n int, one func(k int)) float64 {
	least := 0.0
	for r := range rounds {
		begun := time.Now()
		for k := range n {
			one(k)
		}
		if took := float64(time.Since(begun).Nanoseconds()) / float64(n); r == 0 || took < least {
			least = took
		}
	}
	return least
}

// genuineSpeed is a line of what recommender/rivals prints.
type genuineSpeed struct {
	Name                                            string
	Containers                                      int
	AddNs, AddPassNs, ScrapeNs, RecommendUs, HeapKB float64
}

// genuineSpeeds is all of it.
type genuineSpeeds []genuineSpeed

func (g genuineSpeeds) figures(of func(genuineSpeed) float64) (out []other) {
	for _, m := range g {
		out = append(out, other{m.Name, of(m)})
	}
	return out
}

// genuine builds and runs recommender/rivals.
func (a *advised) genuine() (genuineSpeeds, error) {
	a.say("building recommender/rivals, which holds the genuine autoscaler: minutes the first time")
	cmd := exec.Command("go", "run", "-trimpath", "-buildvcs=false", ".", "--bench")
	cmd.Dir, cmd.Env = filepath.Join(a.root, "recommender", "rivals"), append(os.Environ(), "CGO_ENABLED=0")
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go run . --bench in recommender/rivals: %w: %s", err, strings.TrimSpace(faults.String()))
	}
	fmt.Printf("%s", out)
	return speedsOf(out)
}

// speedsOf reads one JSON object a line.
func speedsOf(text []byte) (all genuineSpeeds, err error) {
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var m genuineSpeed
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("output of recommender/rivals: %w", err)
		}
		all = append(all, m)
	}
	return all, nil
}
