package protocol

import (
	"encoding/json"

	"google.golang.org/protobuf/encoding/protowire"

	"trimtab.dev/trimtab/serving/runtime"
)

// The bodies here are small and rare, so encoding/json writes them. Each type has its JSON in its tags and JSON(),
// and the fields of the gRPC message of the same meaning in Proto().

// Server is the server's metadata: GET /v2, ServerMetadataResponse.
type Server struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// Extensions are the names of those of Triton's extensions that this package carries.
func Extensions() []string {
	return []string{"binary_tensor_data", "model_configuration", "model_repository", "parameters", "schedule_policy", "statistics"}
}

// JSON is the body of GET /v2.
func (s Server) JSON() []byte {
	s.Extensions = append([]string{}, s.Extensions...) // [] where there are none
	return encoded(s)
}

// Proto is a ServerMetadataResponse.
func (s Server) Proto() []byte {
	dst := appendText(appendText(nil, 1, s.Name), 2, s.Version)
	return appendTexts(dst, 3, s.Extensions)
}

// Model is a model's metadata: GET /v2/models/{name}, ModelMetadataResponse.
type Model struct {
	Name     string   `json:"name"`
	Versions []string `json:"versions,omitempty"`
	Platform string   `json:"platform"`
	Inputs   []Tensor `json:"inputs"`
	Outputs  []Tensor `json:"outputs"`
}

// Tensor describes an input or output of a model.
type Tensor struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"` // the batch axis first; -1 is any length
	is       runtime.Type
}

// About is the metadata of a model with a Meta.
func About(name string, versions []string, meta runtime.Meta) Model {
	return Model{name, versions, meta.Platform, tensors(meta.Inputs), tensors(meta.Outputs)}
}

func tensors(specs []runtime.Spec) []Tensor {
	list := make([]Tensor, 0, len(specs))
	for _, s := range specs {
		list = append(list, Tensor{s.Name, s.Type.String(), append([]int{-1}, s.Shape...), s.Type})
	}
	return list
}

// JSON is the body of GET /v2/models/{name}.
func (m Model) JSON() []byte { return encoded(m) }

// Proto is a ModelMetadataResponse.
func (m Model) Proto() []byte {
	dst := appendTexts(appendText(nil, 1, m.Name), 2, m.Versions)
	dst = appendText(dst, 3, m.Platform)
	for num, list := range [][]Tensor{4: m.Inputs, 5: m.Outputs} {
		for _, t := range list {
			dst = appendMessage(dst, protowire.Number(num), func(dst []byte) []byte { return appendTensor(dst, t.Name, t.is, t.Shape...) })
		}
	}
	return dst
}

// Live is the body of GET /v2/health/live.
func Live(yes bool) []byte {
	return encoded(struct {
		Live bool `json:"live"`
	}{yes})
}

// Ready is the body of GET /v2/health/ready. (The specification's example says "live", which nobody reads.)
func Ready(yes bool) []byte {
	return encoded(struct {
		Ready bool `json:"ready"`
	}{yes})
}

// ModelReady is the body of GET /v2/models/{name}/ready, and of V1's GET /v1/models/{name}.
func ModelReady(name string, yes bool) []byte {
	return encoded(struct {
		Name  string `json:"name"`
		Ready bool   `json:"ready"`
	}{name, yes})
}

// V1Models is the body of V1's GET /v1/models.
func V1Models(names []string) []byte {
	return encoded(struct {
		Models []string `json:"models"`
	}{append([]string{}, names...)})
}

// Error is the body of every answer that is an error.
func Error(text string) []byte {
	return append(appendString([]byte(`{"error":`), text), '}')
}

// Indexed is one model of the repository's index: POST /v2/repository/index, RepositoryIndexResponse.
type Indexed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"`  // READY, LOADING, UNLOADING or UNAVAILABLE
	Reason  string `json:"reason"` // why it is not READY
}

// Index is the repository's index as JSON.
func Index(models []Indexed) []byte { return encoded(append([]Indexed{}, models...)) }

// IndexProto is a RepositoryIndexResponse.
func IndexProto(models []Indexed) (dst []byte) {
	for _, m := range models {
		dst = appendMessage(dst, 1, func(dst []byte) []byte {
			for i, s := range []string{m.Name, m.Version, m.State, m.Reason} {
				dst = appendText(dst, protowire.Number(i+1), s)
			}
			return dst
		})
	}
	return dst
}

// DecodeIndex reads the body of POST /v2/repository/index, which may be empty: whether only the models that are
// ready are asked for.
func DecodeIndex(body []byte) (ready bool, err error) {
	s := scanner{text: body}
	if s.peek() == 0 && s.at == len(body) {
		return false, nil
	}
	err = s.object(func(name []byte) (err error) {
		if string(name) != "ready" {
			return s.skip()
		}
		ready, err = s.boolean()
		return err
	})
	if err != nil {
		return false, err
	}
	return ready, s.ended()
}

func encoded(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // unreachable unless bug: only strings, integers and lists of them
	}
	return text
}

func appendTexts(dst []byte, num protowire.Number, list []string) []byte {
	for _, s := range list {
		dst = appendBytes(dst, num, []byte(s))
	}
	return dst
}
