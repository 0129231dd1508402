package serving

import (
	"net/http"
	"slices"
	"strings"

	"trimtab.dev/trimtab/serving/protocol"
)

// predict is the article's POST /predict, for the model that is the default or that a route chooses, or with a
// name behind it for that one.
func (s *Server) predict(w http.ResponseWriter, q *http.Request, a *asked) error {
	x, back := s.exchange()
	defer back()
	fields := s.router.Fields()
	if err := s.find(w, q, a, x, q.PathValue("name"), ""); err != nil {
		return err
	}
	if now := s.router.Fields(); !slices.Equal(now, fields) { // settings changed meanwhile: either is right
		fields = slices.Concat(fields, now)
	}
	meta := a.target.Meta()
	several, err := protocol.DecodePredict(x.body.Bytes(), meta, meta.Features, fields, &x.in)
	if err != nil {
		return refuse(http.StatusBadRequest, "%w", err)
	}
	out, err := s.compute(q.Context(), a, &x.in)
	if err != nil {
		return err
	}
	answer := protocol.Answer{Model: a.model, Version: a.version, Specs: meta.Outputs, Outputs: out, Wanted: x.in.Outputs}
	x.out = protocol.AppendPredict(x.out[:0], answer, several)
	writeBody(w, http.StatusOK, x.out)
	return nil
}

// predictV1 is KServe's POST /v1/models/{name}:predict.
func (s *Server) predictV1(w http.ResponseWriter, q *http.Request, a *asked) error {
	name, ok := strings.CutSuffix(q.PathValue("call"), ":predict")
	if !ok {
		return refuse(http.StatusNotFound, "nothing at %.100q; a model predicts at /v1/models/NAME:predict", q.URL.Path)
	}
	x, back := s.exchange()
	defer back()
	if err := s.find(w, q, a, x, name, ""); err != nil {
		return err
	}
	meta := a.target.Meta()
	if err := protocol.DecodeV1(x.body.Bytes(), meta, meta.Features, &x.in); err != nil {
		return refuse(http.StatusBadRequest, "%w", err)
	}
	out, err := s.compute(q.Context(), a, &x.in)
	if err != nil {
		return err
	}
	x.out = protocol.AppendV1(x.out[:0], protocol.Answer{Model: a.model, Version: a.version, Specs: meta.Outputs, Outputs: out, Wanted: x.in.Outputs})
	writeBody(w, http.StatusOK, x.out)
	return nil
}

// listV1 is GET /v1/models.
func (s *Server) listV1(w http.ResponseWriter, _ *http.Request) error {
	var names []string
	for _, m := range s.router.Models() {
		names = append(names, m.Name)
	}
	writeBody(w, http.StatusOK, protocol.V1Models(names))
	return nil
}

// readyV1 is GET /v1/models/{name}, which shares its path with predictV1's.
func (s *Server) readyV1(w http.ResponseWriter, q *http.Request) error {
	name := q.PathValue("call")
	if err := s.unready(); err != nil {
		return err
	}
	if err := s.known(name, ""); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, protocol.ModelReady(name, true))
	return nil
}
