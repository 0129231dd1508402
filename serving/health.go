package serving

import (
	"net/http"

	"trimtab.dev/trimtab/serving/runtime"
)

// aboutServer is GET /v2.
func (s *Server) aboutServer(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]any{"name": "trimtab-modelserver", "version": s.cfg.Build, "extensions": []string{}})
}

// live is GET /v2/health/live: the process answers. It stays so while it loads and drains.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

// ready is GET /v2/health/ready.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if err := s.unready(); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]bool{"ready": true})
}

// unready says why the server should get no new requests: before the model is loaded, and from the
// moment it drains. It is nil when it should.
func (s *Server) unready() error {
	switch {
	case s.draining.Load():
		return refuse(http.StatusServiceUnavailable, "server is draining")
	case s.meta.Load() == nil:
		return refuse(http.StatusServiceUnavailable, "model is loading")
	}
	return nil
}

// modelReady is GET /v2/models/{name}/ready.
func (s *Server) modelReady(w http.ResponseWriter, q *http.Request) error {
	if err := s.named(q); err != nil {
		return err
	}
	if err := s.unready(); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]any{"name": s.cfg.Name, "ready": true})
}

// tensorMetadata describes a tensor; -1 stands for any number of rows.
type tensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

// aboutModel is GET /v2/models/{name}.
func (s *Server) aboutModel(w http.ResponseWriter, q *http.Request) error {
	if err := s.named(q); err != nil {
		return err
	}
	meta := s.meta.Load()
	if meta == nil {
		return refuse(http.StatusServiceUnavailable, "model is loading")
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"name": s.cfg.Name, "versions": []string{s.cfg.Version}, "platform": "trimtab_" + meta.Name,
		"inputs": metadataOf(meta.Input), "outputs": metadataOf(meta.Outputs...),
	})
}

func metadataOf(tensors ...runtime.Tensor) []tensorMetadata {
	var out []tensorMetadata
	for _, t := range tensors {
		out = append(out, tensorMetadata{t.Name, "FP32", append([]int{-1}, t.Shape...)})
	}
	return out
}

// named refuses a path that names another model or version than ours.
func (s *Server) named(q *http.Request) error {
	if name := q.PathValue("name"); name != s.cfg.Name {
		return refuse(http.StatusNotFound, "no model %.50q; there is %q", name, s.cfg.Name)
	}
	if v := q.PathValue("version"); v != "" && v != s.cfg.Version {
		return refuse(http.StatusNotFound, "no version %.50q of model %q; there is %q", v, s.cfg.Name, s.cfg.Version)
	}
	return nil
}
