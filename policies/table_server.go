package policies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// mostRows is the largest batch that a server may be given.
const mostRows = 1024

func readServer(w *walk, doc document, into *Documents) {
	s := DefaultServer()
	s.Name, s.Source = doc.name, w.source
	read(w, doc.spec, serverFields(), &s)
	checkServer(w, s)
	if s.SLO.Latency == 0 {
		s.SLO = fleet.SLO{}
	}
	into.Servers = []Server{s}
}

// DefaultServer is what an InferenceServer document starts from.
func DefaultServer() Server {
	return Server{
		Mode: Recommend, Replicas: 1, SLO: fleet.SLO{Percentile: 0.99},
		Batch: Batching{Size: 1, MaxDelay: 5 * time.Millisecond, Trial: 2 * time.Minute},
		Tune:  Tune{Probability: 0.95, Margin: 0.2, Changes: 6}, OnDelete: OnDeleteDelete,
	}
}

// serverFields is the spec of an InferenceServer.
func serverFields() []field[Server] {
	return []field[Server]{
		choice("mode", "How far Trimtab may go: recommend only shows what it would make; enforce makes, keeps and tunes the server, where the daemon is started with enforcement too.",
			func(s *Server) *Mode { return &s.Mode }, Recommend, Enforce),
		toggle("paused", "Whether the server is left alone: while true nothing of it is written, neither kept nor tuned.",
			func(s *Server) *bool { return &s.Paused }),
		toggle("adopt", "Whether a Deployment of this name that is there already, with its Service, PodDisruptionBudget and settings, is taken over as it is, without a restart. The document says what it runs.",
			func(s *Server) *bool { return &s.Adopt }),
		choice("onDelete", "What becomes of the server when this document goes: delete takes its objects away too; keep leaves them to serve on, on their own.",
			func(s *Server) *OnDelete { return &s.OnDelete }, OnDeleteDelete, OnDeleteKeep),
		must("the name of a namespace", word("namespace", "The namespace of every object of the server.", wrongGoverned,
			func(s *Server) *string { return &s.Namespace })),
		must("the reference of an image, with its tag", word("image", "The model server's image.", wrongImage,
			func(s *Server) *string { return &s.Image })),
		must("the name of a model, such as recommendation", word("model", "The model that the server loads.", wrongToken,
			func(s *Server) *string { return &s.Model })),
		must("the model's version, such as v1", word("version", "The version of the model, which its clients and metrics name.", wrongToken,
			func(s *Server) *string { return &s.Version })),
		must("online or batch", choice("class", "How it is called: online answers people, batch may wait and be interrupted.",
			func(s *Server) *fleet.Class { return &s.Class }, fleet.Online, fleet.Batch)),
		group("slo", "The latency that is promised, which no tuning may break.",
			duration("latency", "Answers that take longer break the promise; left out: nothing is promised.",
				time.Millisecond, 10*time.Minute, func(s *Server) *time.Duration { return &s.SLO.Latency }),
			number("percentile", "share", "The share of answers that must be within latency.",
				span{low: 0.5, high: 0.9999, example: "a share such as 0.99"}, func(s *Server) *float64 { return &s.SLO.Percentile })),
		count("replicas", "How many pods it has; with autoscale, how many it begins with.", replicaSpan(),
			func(s *Server) *int32 { return &s.Replicas }),
		must("it with cpu and memory under it", group("requests", "What each pod asks for.",
			must("a quantity such as 500m", quantity("cpu", "CPU of one pod.", cpu(1, 512_000), func(s *Server) *int64 { return &s.Requests.MilliCPU })),
			must("a quantity such as 256Mi", quantity("memory", "Memory of one pod.", memory(1<<20, 16<<40), func(s *Server) *int64 { return &s.Requests.Memory })))),
		group("limits", "The most that each pod may use.",
			quantity("cpu", "CPU of one pod; left out: no limit.", cpu(1, 512_000), func(s *Server) *int64 { return &s.Limits.MilliCPU }),
			quantity("memory", "Memory of one pod; left out: no limit.", memory(1<<20, 16<<40), func(s *Server) *int64 { return &s.Limits.Memory })),
		group("batch", "How rows are put together, and what the tuner may try.", batchFields()...),
		group("autoscale", "Keeps a HorizontalPodAutoscaler, whose target of CPU comes from the measured capacity; left out: replicas says how many pods there are.", autoscaleFields()...),
		group("tune", "What the tuner may choose beside batch.sizes, and how careful it is; needs slo.latency.", tuneFields()...),
	}
}

func batchFields() []field[Server] {
	rows := span{low: 1, high: mostRows, example: "a number such as 8"}
	return []field[Server]{
		count("size", "The rows of a batch to begin with; one of sizes, where these are given.", rows,
			func(s *Server) *int { return &s.Batch.Size }),
		duration("maxDelay", "The longest that a row waits for others.", 0, time.Second,
			func(s *Server) *time.Duration { return &s.Batch.MaxDelay }),
		counts("sizes", "The sizes that the tuner may try, the smallest first; left out: size stays as it is.", rows,
			func(s *Server) *[]int { return &s.Batch.Sizes }),
		duration("trial", "How long each size is measured under live traffic.", 5*time.Second, time.Hour,
			func(s *Server) *time.Duration { return &s.Batch.Trial }),
	}
}

// checkServer is what no single field can tell.
func checkServer(w *walk, s Server) {
	if text := wrongService(s.Name); s.Name != "" && text != "" {
		w.fault(w.at("metadata.name"), "%q %s", s.Name, text)
	}
	sound := func(paths ...string) bool { return !slices.ContainsFunc(paths, w.faulty) }
	_, promised := w.lines["spec.slo.latency"]
	if _, ok := w.lines["spec.slo.percentile"]; ok && !promised {
		w.fault(w.at("spec.slo.percentile"), "says nothing without spec.slo.latency; write that too")
	}
	if sound("spec.batch") && len(s.Batch.Sizes) > 0 {
		if !slices.Contains(s.Batch.Sizes, s.Batch.Size) {
			w.fault(w.at("spec.batch.size"), "%d is not one of sizes, %v; the tuner could not go back to it", s.Batch.Size, s.Batch.Sizes)
		}
		if !promised {
			w.fault(w.at("spec.batch.sizes"), "needs spec.slo.latency: without a promise any size would do; write it, such as 200ms")
		}
	}
	for _, r := range []struct {
		name           string
		request, limit int64
		unit           amount
	}{{"cpu", s.Requests.MilliCPU, s.Limits.MilliCPU, cpu(0, 0)}, {"memory", s.Requests.Memory, s.Limits.Memory, memory(0, 0)}} {
		if sound("spec.requests", "spec.limits") && r.limit > 0 && r.request > r.limit {
			w.fault(w.at("spec.limits."+r.name), "%s is below the request of %s; raise it or lower the request", r.unit.exact(r.limit), r.unit.exact(r.request))
		}
	}
	checkTune(w, s)
}

// wrongService says what is wrong with a name that a Service and a label's value get, or nothing.
func wrongService(name string) string {
	text := wrongName(name, 63, "")
	if text == "" && name[0] <= '9' {
		return "begins with a digit, which no Service may; begin with a letter"
	}
	return text
}

// wrongImage says what is wrong with the reference of an image, or nothing.
func wrongImage(s string) string {
	odd := strings.IndexFunc(s, func(r rune) bool { return r > '~' || !isLetter(byte(r)) && !strings.ContainsRune("-._:/@", r) })
	switch {
	case s == "" || len(s) > 512:
		return "is not the reference of an image; write one such as registry.example.com/team/server:v1"
	case odd >= 0:
		return fmt.Sprintf("is not the reference of an image: %q is not allowed in it", s[odd:][:1])
	}
	return ""
}

// wrongToken says what is wrong with a word that becomes a label's value, or nothing.
func wrongToken(s string) string {
	if s == "" || !isLabel(s) {
		return "is not the value of a label, which it becomes; write up to 63 letters, digits, dashes, dots or underscores"
	}
	return ""
}
