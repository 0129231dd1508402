package main

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/recommender/replay"
)

// ownUse is what the containers of a workload used, window by window: of the hottest replica, since all replicas
// get the same request.
type ownUse struct {
	by   map[ownSeries]*ownLine
	pods map[string]bool
	gpus bool
}

// ownSeries is one container, whichever pod it ran in and whichever image it had.
type ownSeries struct {
	ref       fleet.Ref
	container string
	unit      string // replay.Cores or replay.Bytes
}

func (a ownSeries) compare(b ownSeries) int {
	return cmp.Or(-cmp.Compare(a.unit, b.unit), a.ref.Compare(b.ref), cmp.Compare(a.container, b.container)) // cores first
}

type ownLine struct {
	at   []int64
	used []float64
}

func newOwnUse() *ownUse { return &ownUse{by: map[ownSeries]*ownLine{}, pods: map[string]bool{}} }

// add takes samples, which come in order of time, as a usage.External gives them.
func (u *ownUse) add(samples []fleet.Sample) {
	for _, s := range samples {
		u.gpus = u.gpus || s.Signal == fleet.GPU || s.Signal == fleet.GPUMemory
		unit, used := replay.Cores, s.Mean
		switch s.Signal {
		case fleet.CPU:
		case fleet.Memory:
			unit, used = replay.Bytes, s.Max // what kills is the largest moment
		default:
			continue
		}
		if !(used >= 0) || math.IsInf(used, 1) {
			continue // no use at all is no such number
		}
		u.pods[s.Pod] = true
		u.line(ownSeries{s.Ref, s.Container, unit}).add(s.At.Unix(), used)
	}
}

func (u *ownUse) line(of ownSeries) *ownLine {
	if u.by[of] == nil {
		u.by[of] = &ownLine{}
	}
	return u.by[of]
}

// add keeps the largest of what is of one time.
func (l *ownLine) add(at int64, used float64) {
	if n := len(l.at); n > 0 && l.at[n-1] >= at {
		l.used[n-1] = max(l.used[n-1], used)
		return
	}
	l.at, l.used = append(l.at, at), append(l.used, used)
}

// series are those of CPU, then those of memory, each by workload and container. Granted is what live pods
// request, by workload.
func (u *ownUse) series(granted map[fleet.Ref]fleet.PodShape) []replay.Series {
	var out []replay.Series
	for _, of := range slices.SortedFunc(maps.Keys(u.by), ownSeries.compare) {
		s := replay.Series{ID: of.ref.String() + "/" + of.container, Unit: of.unit, Floor: replay.FloorOf(of.unit), At: u.by[of].at, Used: u.by[of].used}
		if c, ok := granted[of.ref].Container(of.container); ok {
			s.Granted = grantOf(c.Requests, of.unit)
		}
		out = append(out, s)
	}
	return out
}

// grantOf is 0, unknown, where nothing is requested.
func grantOf(r fleet.Resources, unit string) float64 {
	if unit == replay.Bytes {
		return float64(r.Memory)
	}
	return float64(r.MilliCPU) / 1000
}

// gaps says what a replay lacks, of what the server lacks.
func (u *ownUse) gaps(ofServer []string) []string {
	out := slices.DeleteFunc(slices.Clone(ofServer), func(gap string) bool {
		return !strings.HasPrefix(gap, "no container_cpu_usage") && !strings.HasPrefix(gap, "no container_memory") && !strings.HasPrefix(gap, "no kube_replicaset_owner")
	})
	if u.gpus {
		out = append(out, "it has GPUs: they are no part of a replay, nor do its CPU and memory say what they do")
	}
	return out
}

// longEnough parts what can be scored from what is too short for it.
func longEnough(all []replay.Series) (enough, short []replay.Series) {
	for _, s := range all {
		none := slices.Repeat([]float64{math.NaN()}, len(s.At))
		if replay.Score(s, none, replay.Standard(0)).Without >= leastOwnScored {
			enough = append(enough, s)
		} else {
			short = append(short, s)
		}
	}
	return enough, short
}

// leastOwnScored is how many samples of a series must count for a replay to sum it up.
const leastOwnScored = 100

// longest is the longest time from the first sample of a series to its last.
func longest(all []replay.Series) time.Duration {
	var out time.Duration
	for _, s := range all {
		if n := len(s.At); n > 0 {
			out = max(out, time.Duration(s.At[n-1]-s.At[0])*time.Second)
		}
	}
	return out
}
