package serving

import (
	"errors"
	"net/http"

	"trimtab.dev/trimtab/serving/protocol"
	"trimtab.dev/trimtab/serving/router"
)

// live is GET /v2/health/live: the process answers. It stays so while it loads and drains.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	writeBody(w, http.StatusOK, protocol.Live(true))
	return nil
}

// ready is GET /v2/health/ready.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if err := s.unready(); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, protocol.Ready(true))
	return nil
}

// unready says why the server should get no new requests: before its models are loaded, and from the
// moment it drains. It is nil when it should.
func (s *Server) unready() error {
	switch {
	case s.draining.Load() != nil:
		return refuse(http.StatusServiceUnavailable, "server is draining")
	case !s.router.Ready():
		return refuse(http.StatusServiceUnavailable, "model is loading")
	}
	return nil
}

// known says why nothing answers to a name and a version (empty: any).
func (s *Server) known(name, version string) error {
	switch err := s.router.Known(name, version); {
	case err == nil:
		return nil
	case errors.Is(err, router.ErrLoading):
		return refuse(http.StatusServiceUnavailable, "%w", err)
	default:
		return refuse(http.StatusNotFound, "%w", err)
	}
}

// modelReady is GET /v2/models/{name}/ready.
func (s *Server) modelReady(w http.ResponseWriter, q *http.Request) error {
	if err := s.known(q.PathValue("name"), q.PathValue("version")); err != nil {
		return err
	}
	if err := s.unready(); err != nil {
		return err
	}
	writeBody(w, http.StatusOK, protocol.ModelReady(q.PathValue("name"), true))
	return nil
}
