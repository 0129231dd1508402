package main

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"trimtab.dev/trimtab/recommender/capacity"
)

// standings tells how the tuning of the servers that Trimtab owns stands, for any goroutine.
type standings interface {
	Standing(namespace, name string) (capacity.Standing, bool)
	Standings() []capacity.Standing // sorted by namespace and name
}

// serversAnswer is what GET /api/v1/servers gives: of each plan only what is in force and what is best.
type serversAnswer struct {
	Version string              `json:"version"`
	Servers []capacity.Standing `json:"servers"`
}

// serverAnswer is what GET /api/v1/servers/NAMESPACE/NAME gives.
type serverAnswer struct {
	Version string            `json:"version"`
	Server  capacity.Standing `json:"server"`
	WhatIfs []capacity.WhatIf `json:"whatIfs,omitempty"`
}

// mostWhatIfs bounds the work of one request: each may take a simulation of some milliseconds.
const mostWhatIfs = 16

// whatIfSeparator is between what-ifs in one value of the query: the API server's service proxy as
// kube.ServiceProxy asks it carries one value of each name.
const whatIfSeparator = ";"

// serversAPI adds the servers to the daemon's answers.
func serversAPI(of standings) func(*http.ServeMux) {
	return func(mux *http.ServeMux) {
		mux.HandleFunc("GET /api/v1/servers", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, func(w http.ResponseWriter) error { return sendJSON(w, listServers(of)) })
		})
		mux.HandleFunc("GET /api/v1/servers/{namespace}/{name}", func(w http.ResponseWriter, r *http.Request) {
			answer(w, func(w http.ResponseWriter) error {
				a, err := oneServer(of, r)
				if err != nil {
					return err
				}
				return sendJSON(w, a)
			})
		})
	}
}

func listServers(of standings) serversAnswer {
	a := serversAnswer{Version: version, Servers: []capacity.Standing{}}
	for _, s := range of.Standings() {
		a.Servers = append(a.Servers, s.Brief())
	}
	return a
}

// oneServer is a server with what its query's what-ifs would do: what-if=replicas=2,batch=16, again for
// each further one, or behind a semicolon.
func oneServer(of standings, r *http.Request) (serverAnswer, error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	s, ok := of.Standing(namespace, name)
	if !ok {
		return serverAnswer{}, statusError{http.StatusNotFound, unknownServer(namespace+"/"+name, of.Standings())}
	}
	a := serverAnswer{Version: version, Server: s}
	var asked []string
	for _, value := range r.URL.Query()["what-if"] {
		asked = append(asked, strings.Split(value, whatIfSeparator)...)
	}
	err := askable(s, asked)
	if err == nil {
		a.WhatIfs, err = s.WhatIfs(asked)
	}
	if err != nil {
		return serverAnswer{}, statusError{http.StatusBadRequest, err.Error()}
	}
	return a, nil
}

// askable tells why what-ifs cannot be answered, whatever they ask for.
func askable(s capacity.Standing, asked []string) error {
	switch {
	case len(asked) > mostWhatIfs:
		return fmt.Errorf("%d what-ifs are too many; ask for at most %d at once", len(asked), mostWhatIfs)
	case len(asked) > 0 && !s.Known:
		return fmt.Errorf("no what-if of %s can be computed yet: %s", s.Ref(), s.Missing)
	}
	return nil
}

// unknownServer says which servers there are.
func unknownServer(asked string, known []capacity.Standing) string {
	var names []string
	for _, s := range known {
		names = append(names, s.Ref())
	}
	return fmt.Sprintf("there is no inference server %s; there are %s", asked,
		cmp.Or(strings.Join(names, ", "), "none: Trimtab keeps those of InferenceServer documents"))
}
