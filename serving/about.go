package serving

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"trimtab.dev/trimtab/serving/curve"
	"trimtab.dev/trimtab/serving/engine"
	"trimtab.dev/trimtab/serving/protocol"
	"trimtab.dev/trimtab/serving/router"
)

// serverName is what the server calls itself in its metadata.
const serverName = "trimtab-modelserver"

func (s *Server) about() protocol.Server {
	return protocol.Server{Name: serverName, Version: s.cfg.Build, Extensions: protocol.Extensions()}
}

// aboutServer is GET /v2.
func (s *Server) aboutServer(w http.ResponseWriter, _ *http.Request) error {
	writeBody(w, http.StatusOK, s.about().JSON())
	return nil
}

// metadata is a model's, of any of its versions if none is named.
func (s *Server) metadata(name, version string) (protocol.Model, error) {
	if err := s.known(name, version); err != nil {
		return protocol.Model{}, err
	}
	versions, meta, err := s.router.About(name, version)
	if err != nil { // an alias, whose models differ: they have metadata, it has none
		return protocol.Model{}, refuse(http.StatusNotFound, "%w", err)
	}
	return protocol.About(name, versions, meta), nil
}

// aboutModel is GET /v2/models/{name}.
func (s *Server) aboutModel(w http.ResponseWriter, q *http.Request) error {
	m, err := s.metadata(q.PathValue("name"), q.PathValue("version"))
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, m.JSON())
	return nil
}

// entry is the version that a path names; without a version, the last of the model, which is the newest.
func (s *Server) entry(name, version string) (*router.Entry, error) {
	for _, e := range slices.Backward(s.router.Entries()) {
		if e.Name == name && (version == "" || e.Version == version) {
			return e, nil
		}
	}
	if err := s.known(name, version); err != nil {
		return nil, err
	}
	return nil, refuse(http.StatusNotFound, "%.50q is no model of its own; ask for one of its models", name)
}

func (s *Server) configOf(name, version string) (c protocol.Config, err error) {
	e, err := s.entry(name, version)
	if err != nil {
		return c, err
	}
	l := e.Engine.Limits()
	return protocol.Config{Name: e.Name, Meta: e.Meta(), MaxBatch: l.MaxBatchSize, MaxDelay: l.MaxQueueDelay,
		Instances: e.Engine.Stats().Instances, Batching: l.MaxBatchSize > 1}, nil
}

// modelConfig is Triton's GET /v2/models/{name}/config.
func (s *Server) modelConfig(w http.ResponseWriter, q *http.Request) error {
	c, err := s.configOf(q.PathValue("name"), q.PathValue("version"))
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, c.JSON())
	return nil
}

// statsOf are the statistics of all versions of a model, of all models if none is named.
func (s *Server) statsOf(name, version string) ([]protocol.Stats, error) {
	if name != "" {
		if _, err := s.entry(name, version); err != nil {
			return nil, err
		}
	}
	var list []protocol.Stats
	for _, e := range s.router.Entries() {
		if (name == "" || e.Name == name) && (version == "" || e.Version == version) {
			list = append(list, statsOf(e.Name, e.Version, e.Engine.Stats()))
		}
	}
	return list, nil
}

func statsOf(name, version string, s engine.Stats) protocol.Stats {
	sum := func(s engine.Sum) protocol.Duration {
		return protocol.Duration{Count: uint64(s.Count), NS: uint64(max(s.Took, 0))}
	}
	out := protocol.Stats{Name: name, Version: version, Inferences: uint64(s.Rows), Executions: uint64(s.Batches)}
	if !s.Last.IsZero() {
		out.LastInference = uint64(s.Last.UnixMilli())
	}
	out.Requests = protocol.RequestStats{Success: sum(s.Success), Fail: sum(s.Failed), Queue: sum(s.Queue),
		ComputeInput: sum(s.Gather), ComputeInfer: sum(s.Compute), ComputeOutput: sum(s.Scatter)}
	for _, b := range s.Sizes {
		out.Batches = append(out.Batches, protocol.BatchStats{Rows: uint64(b.Rows), ComputeInput: sum(b.Gather), ComputeInfer: sum(b.Wall), ComputeOutput: sum(b.Scatter)})
	}
	return out
}

// statistics is Triton's GET /v2/models/{name}/stats.
func (s *Server) statistics(w http.ResponseWriter, q *http.Request) error {
	list, err := s.statsOf(q.PathValue("name"), q.PathValue("version"))
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, protocol.Statistics(list))
	return nil
}

func (s *Server) indexed() []protocol.Indexed {
	var list []protocol.Indexed
	for _, m := range s.router.Models() {
		if m.Kind == router.KindModel {
			for _, v := range m.Versions {
				list = append(list, protocol.Indexed{Name: m.Name, Version: v, State: "READY"})
			}
			continue
		}
		list = append(list, protocol.Indexed{Name: m.Name, State: "READY", Reason: string(m.Kind)})
	}
	return list
}

// index is Triton's POST /v2/repository/index. All models are ready: others are not in the index.
func (s *Server) index(w http.ResponseWriter, q *http.Request) error {
	x, back := s.exchange()
	defer back()
	a := &asked{begun: time.Now()}
	defer s.free(a)
	if err := s.read(w, q, a, &x.body); err != nil {
		return err
	}
	if _, err := protocol.DecodeIndex(x.body.Bytes()); err != nil {
		return refuse(http.StatusBadRequest, "%w", err)
	}
	writeBody(w, http.StatusOK, protocol.Index(s.indexed()))
	return nil
}

// curve is GET /v2/models/{name}/curve: what the server knows of the model's speed and how it batches, for
// whoever plans with it. Seconds; age is -1 where no batch was seen yet.
func (s *Server) curve(w http.ResponseWriter, q *http.Request) error {
	e, err := s.entry(q.PathValue("name"), q.PathValue("version"))
	if err != nil {
		return err
	}
	stats, age := e.Engine.Stats(), -1.0
	if stats.Curve.Known() {
		age = time.Since(stats.Curve.Updated).Seconds()
	}
	l, b := e.Engine.Limits(), stats.Batcher
	body, err := json.MarshalIndent(curveOf{
		Model: e.Name, Version: e.Version, Curve: stats.Curve, Age: age,
		Batcher: batcherOf{Enough: b.Enough, Most: b.Most, Inside: b.Inside, Rate: b.Rate, Last: b.Last.String()},
		Limit:   l.MaxBatchSize, Delay: l.MaxQueueDelay.Seconds(), SLO: l.SLO.Seconds(), Instances: stats.Instances,
		MaxRows: e.Engine.Meta().MaxRows, Arrivals: arrivalsOf(stats.Arrivals, time.Now()),
	}, "", "  ")
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, append(body, '\n'))
	return nil
}

// curveOf is a version's curve and what is made of it.
type curveOf struct {
	Model     string      `json:"model"`
	Version   string      `json:"version"`
	Curve     curve.Curve `json:"curve"`
	Age       float64     `json:"age_seconds"`
	Batcher   batcherOf   `json:"batcher"`
	Limit     int         `json:"batch_limit_rows"`
	Delay     float64     `json:"max_delay_seconds"`
	SLO       float64     `json:"slo_seconds"` // 0: none
	Instances int         `json:"instances"`
	MaxRows   int         `json:"max_batch_rows"`     // that the model takes at once; 0: any number, 1: its batch axis is fixed, or it computes no batches
	Arrivals  *arrivals   `json:"arrivals,omitempty"` // absent while the model is younger than a second
}

// arrivals is how requests for this version came, refused ones among them.
type arrivals struct {
	Seconds     int      `json:"seconds"`         // whole seconds that it is of, at most 60
	Rate        float64  `json:"rate"`            // requests a second
	Burst       *float64 `json:"burst,omitempty"` // dispersion in bins of 10 ms: 0 even, 1 by chance, above 1 in bursts; absent where fewer than 30 requests came
	Peak        int      `json:"peak"`            // requests in the busiest second
	BySecond    []int    `json:"by_second"`       // requests of each of the seconds, the oldest first
	Until       float64  `json:"until"`           // when the last of them ended, in seconds of Unix time
	Rows        *float64 `json:"rows,omitempty"`  // mean of a request; absent where none came
	Interactive float64  `json:"interactive"`     // shares of the requests by priority; the rest is default
	Bulk        float64  `json:"bulk"`            // priority batch
}

func arrivalsOf(a engine.Arrivals, now time.Time) *arrivals {
	if a.Seconds == 0 {
		return nil
	}
	out := &arrivals{Seconds: a.Seconds, Rate: a.Rate, Peak: a.Peak, BySecond: a.BySecond, Interactive: a.Interactive, Bulk: a.Bulk}
	out.Until = float64(now.Add(-a.Ago).UnixMilli()) / 1000
	if a.BurstKnown {
		out.Burst = &a.Burst
	}
	if a.Rows > 0 {
		out.Rows = &a.Rows
	}
	return out
}

// batcherOf is what the batcher aims at.
type batcherOf struct {
	Enough int     `json:"enough_rows"`    // rows that are waited for at most
	Most   int     `json:"most_rows"`      // rows that are put into a batch at most
	Inside int     `json:"inside"`         // requests that wait or are computed
	Rate   float64 `json:"rate"`           // requests a second that are expected
	Last   string  `json:"last_departure"` // why the last batch went
}

func (s *Server) grpcAbout(context.Context, []byte) ([]byte, error) { return s.about().Proto(), nil }

// named reads a message that names a model and perhaps a version.
func named(in []byte) (name, version string, err error) {
	if name, version, err = protocol.DecodeGRPCModel(in); err != nil {
		err = refuse(http.StatusBadRequest, "%w", err)
	}
	return name, version, err
}

func (s *Server) grpcAboutModel(_ context.Context, in []byte) ([]byte, error) {
	name, version, err := named(in)
	if err != nil {
		return nil, err
	}
	m, err := s.metadata(name, version)
	if err != nil {
		return nil, err
	}
	return m.Proto(), nil
}

func (s *Server) grpcModelConfig(_ context.Context, in []byte) ([]byte, error) {
	name, version, err := named(in)
	if err != nil {
		return nil, err
	}
	c, err := s.configOf(name, version)
	if err != nil {
		return nil, err
	}
	return c.Proto(), nil
}

func (s *Server) grpcStatistics(_ context.Context, in []byte) ([]byte, error) {
	name, version, err := named(in)
	if err != nil {
		return nil, err
	}
	list, err := s.statsOf(name, version)
	if err != nil {
		return nil, err
	}
	return protocol.StatisticsProto(list), nil
}

func (s *Server) grpcIndex(_ context.Context, in []byte) ([]byte, error) {
	if _, err := protocol.DecodeGRPCIndex(in); err != nil {
		return nil, refuse(http.StatusBadRequest, "%w", err)
	}
	return protocol.IndexProto(s.indexed()), nil
}
