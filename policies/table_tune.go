package policies

import (
	"fmt"
	"slices"
	"time"
)

// mostReplicas is the largest number of pods that a server may be given.
const mostReplicas = 1000

// replicaSpan is what a number of pods may be.
func replicaSpan() span {
	return span{low: 1, high: mostReplicas, example: "a number such as 2; nothing is scaled to zero"}
}

func autoscaleFields() []field[Server] {
	return []field[Server]{
		must("a number such as 1", count("minReplicas", "The fewest pods.", replicaSpan(), func(s *Server) *int32 { return &s.Autoscale.Min })),
		must("a number such as 6", count("maxReplicas", "The most pods.", replicaSpan(), func(s *Server) *int32 { return &s.Autoscale.Max })),
	}
}

// tuneFields is what the tuner may choose. A pair is given whole.
func tuneFields() []field[Server] {
	return []field[Server]{
		duration("maxDelay", "The longest delay that it may choose for batch.maxDelay; left out: that stays as it is.", time.Millisecond, time.Second,
			func(s *Server) *time.Duration { return &s.Tune.MaxDelay }),
		group("replicas", "How many pods it may choose; left out: replicas stays as it is.",
			must("a number such as 2", count("min", "The fewest.", replicaSpan(), func(s *Server) *int32 { return &s.Tune.Replicas[0] })),
			must("a number such as 6", count("max", "The most.", replicaSpan(), func(s *Server) *int32 { return &s.Tune.Replicas[1] }))),
		group("cpu", "The CPU request of a pod that it may choose; left out: requests.cpu stays as it is.",
			must("a quantity such as 50m", quantity("min", "The least.", cpu(1, 512_000), func(s *Server) *int64 { return &s.Tune.CPU[0] })),
			must(`a quantity such as "2"`, quantity("max", "The most.", cpu(1, 512_000), func(s *Server) *int64 { return &s.Tune.CPU[1] }))),
		group("memory", "The memory request of a pod that it may choose; left out: requests.memory stays as it is.",
			must("a quantity such as 64Mi", quantity("min", "The least.", memory(1<<20, 16<<40), func(s *Server) *int64 { return &s.Tune.Memory[0] })),
			must("a quantity such as 1Gi", quantity("max", "The most.", memory(1<<20, 16<<40), func(s *Server) *int64 { return &s.Tune.Memory[1] }))),
		count("redundancy", "The pods that may be lost in the busiest minute while the promise still holds.", span{high: mostReplicas - 1, example: "a number such as 1"},
			func(s *Server) *int32 { return &s.Tune.Redundancy }),
		number("probability", "share", "The probability with which the promise is to be kept by what it chooses.",
			span{low: 0.5, high: 0.9999, example: "a share such as 0.95"}, func(s *Server) *float64 { return &s.Tune.Probability }),
		number("margin", "share", "The fraction of CPU that is requested on top of what is predicted.",
			span{high: 5, example: "a share such as 0.2"}, func(s *Server) *float64 { return &s.Tune.Margin }),
		count("changesPerDay", "The most changes that it makes in a day.", span{low: 1, high: 100, example: "a number such as 6"},
			func(s *Server) *int { return &s.Tune.Changes }),
	}
}

// bound is a pair of the tuner, or of the autoscaler, with the field whose value lies within it.
type bound struct {
	path, least, most string // of the pair and of its ends
	own               string // path of the field
	low, high, value  int64
	words             func(int64) string
}

// bounds are the pairs of a server.
func bounds(s Server) []bound {
	whole := func(n int64) string { return fmt.Sprint(n) }
	cores := func(n int64) string { return cpu(0, 0).exact(n).String() }
	bytes := func(n int64) string { return memory(0, 0).exact(n).String() }
	return []bound{
		{"spec.autoscale", "minReplicas", "maxReplicas", "spec.replicas", int64(s.Autoscale.Min), int64(s.Autoscale.Max), int64(s.Replicas), whole},
		{"spec.tune.replicas", "min", "max", "spec.replicas", int64(s.Tune.Replicas[0]), int64(s.Tune.Replicas[1]), int64(s.Replicas), whole},
		{"spec.tune.cpu", "min", "max", "spec.requests.cpu", s.Tune.CPU[0], s.Tune.CPU[1], s.Requests.MilliCPU, cores},
		{"spec.tune.memory", "min", "max", "spec.requests.memory", s.Tune.Memory[0], s.Tune.Memory[1], s.Requests.Memory, bytes},
	}
}

// checkTune is what no single field of autoscale and tune can tell.
func checkTune(w *walk, s Server) {
	sound := func(paths ...string) bool { return !slices.ContainsFunc(paths, w.faulty) }
	for _, b := range bounds(s) {
		switch {
		case b.high == 0 || b.value == 0 || !sound(b.path, b.own):
		case b.low > b.high:
			w.fault(w.at(b.path+"."+b.least), "%s is above %s, %s; swap them", b.words(b.low), b.most, b.words(b.high))
		case b.value < b.low:
			w.fault(w.at(b.path+"."+b.least), "%s is above %s, %s; lower it, or begin with more", b.words(b.low), b.own, b.words(b.value))
		case b.value > b.high:
			w.fault(w.at(b.path+"."+b.most), "%s is below %s, %s; raise it, or begin with less", b.words(b.high), b.own, b.words(b.value))
		}
	}
	checkTuned(w, s, sound)
	if _, promised := w.lines["spec.slo.latency"]; s.Tune.chooses() && !promised {
		w.fault(w.at("spec.tune"), "needs spec.slo.latency: without a promise the cheapest server is none; write it, such as 200ms")
	}
}

// checkTuned is checkTune across fields.
func checkTuned(w *walk, s Server, sound func(...string) bool) {
	if t := s.Tune.MaxDelay; t > 0 && sound("spec.tune.maxDelay", "spec.batch.maxDelay", "spec.slo.latency") {
		switch {
		case s.SLO.Latency > 0 && t >= s.SLO.Latency:
			w.fault(w.at("spec.tune.maxDelay"), "%s is not below spec.slo.latency, %s: waiting alone would break the promise; lower it", short(t), short(s.SLO.Latency))
		case s.Batch.MaxDelay > t:
			w.fault(w.at("spec.tune.maxDelay"), "%s is below spec.batch.maxDelay, %s; raise it, or begin with less", short(t), short(s.Batch.MaxDelay))
		}
	}
	if s.Autoscale.On() && s.Tune.Replicas[1] > 0 {
		w.fault(w.at("spec.tune.replicas"), "cannot stand beside spec.autoscale, which sets the replicas; remove one of the two")
	}
	switch lost, most := s.Tune.Redundancy, max(s.Replicas, s.Tune.Replicas[1]); {
	case !sound("spec.replicas", "spec.autoscale", "spec.tune.replicas", "spec.tune.redundancy"):
	case s.Autoscale.On() && lost >= s.Autoscale.Min:
		w.fault(w.at("spec.tune.redundancy"), "%d of the %d pods that spec.autoscale.minReplicas keeps cannot be lost; lower it, or raise minReplicas", lost, s.Autoscale.Min)
	case !s.Autoscale.On() && lost >= most:
		w.fault(w.at("spec.tune.redundancy"), "%d of at most %d pods cannot be lost; lower it, or allow more replicas", lost, most)
	}
	for _, r := range []struct {
		name        string
		most, limit int64
		unit        amount
	}{{"cpu", s.Tune.CPU[1], s.Limits.MilliCPU, cpu(0, 0)}, {"memory", s.Tune.Memory[1], s.Limits.Memory, memory(0, 0)}} {
		if sound("spec.tune."+r.name, "spec.limits."+r.name) && r.limit > 0 && r.most > r.limit {
			w.fault(w.at("spec.tune."+r.name+".max"), "%s is above spec.limits.%s, %s, which no request may be; lower it, or raise the limit", r.unit.exact(r.most), r.name, r.unit.exact(r.limit))
		}
	}
}
