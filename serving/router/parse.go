package router

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

const (
	mostRows    = 1 << 30
	mostWeight  = 1000
	weightParts = 10_000 // a weight is kept in 1/10000
)

// ParseConfig reads a configuration. What it does not say is as in standing. Keys that mean nothing to the
// server are ignored and returned with their paths, sorted. It returns every fault, joined, each with the
// path of its value and the line.
func ParseConfig(data []byte, standing Standing) (c Config, ignored []string, err error) {
	root, err := parseTree(data)
	if err != nil {
		return Config{}, nil, err
	}
	r := &reading{standing: standing}
	r.file(place{n: root})
	if len(r.faults) == 0 {
		r.faults = r.config.faults()
	}
	slices.Sort(r.ignored)
	if err := errors.Join(r.faults...); err != nil {
		return Config{}, r.ignored, err
	}
	r.config.Default = r.config.fallback()
	return r.config, r.ignored, nil
}

// reading collects what a file says, what is wrong with it, and what in it means nothing.
type reading struct {
	standing Standing
	config   Config
	faults   []error
	ignored  []string
}

// place is a value and the way to it.
type place struct {
	path string
	n    *node
}

func (p place) key(f field) place {
	if p.path == "" {
		return place{f.key, f.value}
	}
	return place{p.path + "." + f.key, f.value}
}

func (p place) item(i int) place { return place{fmt.Sprintf("%s[%d]", p.path, i), p.n.items[i]} }

func (r *reading) fault(p place, format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("%s: line %d: %s", p.path, p.n.line, fmt.Sprintf(format, args...)))
}

// keys reads the known keys of an object, in the file's order, and names the others.
func (r *reading) keys(p place, known map[string]func(place)) bool {
	if p.n.kind != object {
		r.fault(p, "%s is not an object", p.n)
		return false
	}
	seen := map[string]bool{}
	for _, f := range p.n.fields {
		at := p.key(f)
		read, ok := known[f.key]
		switch {
		case seen[f.key]:
			r.fault(at, "the key is there twice")
		case ok:
			read(at)
		default:
			r.ignored = append(r.ignored, at.path)
		}
		seen[f.key] = true
	}
	return true
}

func (r *reading) items(p place, read func(place)) {
	if p.n.kind != list {
		r.fault(p, "%s is not a list", p.n)
		return
	}
	for i := range p.n.items {
		read(p.item(i))
	}
}

// file reads the top level. Its settings hold for all models, so they are read before those.
func (r *reading) file(p place) {
	var general said
	var models *place
	known := r.settings(&general)
	known[KeyGeneration] = func(p place) { r.config.Generation = whole[int64](r, p, math.MinInt64, math.MaxInt64, "") }
	known[KeyModels] = func(p place) { models = &p }
	known[KeyRoutes] = func(p place) { r.items(p, r.route) }
	known[KeyChains] = func(p place) { r.items(p, r.chain) }
	r.keys(p, known)
	if models == nil {
		r.flags(general)
		return
	}
	r.items(*models, func(p place) { r.model(p, general) })
	if models.n.kind == list && len(models.n.items) == 0 {
		r.fault(*models, "it is empty; leave it out for the model of the flags")
	}
}

// flags takes the models of the flags, under the settings of the file.
func (r *reading) flags(general said) {
	for _, m := range r.standing.Models {
		m.Versions = slices.Clone(m.Versions)
		weights := int64(0)
		for i := range m.Versions {
			v := &m.Versions[i]
			v.Settings = r.standing.settle(general, said{}, said{})
			v.Runtime = cmp.Or(v.Runtime, r.standing.Runtime, "auto")
			weights += v.Weight
		}
		if n := len(m.Versions); weights == 0 && n > 0 {
			m.Versions[n-1].Weight = 1
		}
		r.config.Models = append(r.config.Models, m)
	}
}

func (r *reading) model(p place, general said) {
	var m ModelConfig
	var own said
	var versions *place
	known := r.settings(&own)
	known["name"] = func(p place) { m.Name = r.text(p) }
	known["default"] = func(p place) { m.Default = r.truth(p) }
	known["versions"] = func(p place) { versions = &p }
	if !r.keys(p, known) {
		return
	}
	r.needed(p, "name", m.Name)
	weighted := 0
	if versions != nil {
		r.items(*versions, func(p place) {
			v, has := r.version(p, general, own)
			m.Versions = append(m.Versions, v)
			weighted += has
		})
	}
	switch n := len(m.Versions); {
	case n == 0 && (versions == nil || versions.n.kind == list):
		r.fault(p, "there is no version")
	case weighted != 0 && weighted != n:
		r.fault(*versions, "%d of %d versions have a weight; give each one, 0 where it is for requests that name it", weighted, n)
	case weighted == 0 && n > 0:
		m.Versions[n-1].Weight = 1
	}
	r.config.Models = append(r.config.Models, m)
}

// version reads a version, and counts 1 if it has a weight.
func (r *reading) version(p place, general, model said) (v VersionConfig, weighted int) {
	v.Runtime = cmp.Or(r.standing.Runtime, "auto")
	var own said
	known := r.settings(&own)
	known["version"] = func(p place) { v.Version = r.text(p) }
	known["file"] = func(p place) { v.File = r.text(p) }
	known["runtime"] = func(p place) { v.Runtime = r.oneOf(p, "auto", "builtin", "onnx", "sim") }
	known["weight"] = func(p place) { v.Weight, weighted = r.weight(p), 1 }
	if r.keys(p, known) {
		r.needed(p, "version", v.Version)
		r.needed(p, "file", v.File)
	}
	v.Settings = r.standing.settle(general, model, own)
	return v, weighted
}

func (r *reading) route(p place) {
	var to Route
	known := map[string]func(place){
		"model":     func(p place) { to.Alias = r.text(p) },
		"default":   func(p place) { to.Default = r.truth(p) },
		"field":     func(p place) { to.Field = r.text(p) },
		"header":    func(p place) { to.Header = r.text(p) },
		"is":        func(p place) { to.Is = r.texts(p) },
		"otherwise": func(p place) { to.Otherwise = r.text(p) },
	}
	if !r.keys(p, known) {
		return
	}
	r.needed(p, "model", to.Alias)
	switch {
	case (to.Field == "") == (to.Header == ""):
		r.fault(p, "a rule has either a field or a header")
	case to.Is == nil && to.Header == "":
		r.fault(p, "there is no is")
	case to.Is == nil && to.Otherwise == "":
		to.Otherwise = to.Alias
	}
	r.config.Routes = append(r.config.Routes, to)
}

func (r *reading) chain(p place) {
	var c ChainConfig
	known := map[string]func(place){
		"name":    func(p place) { c.Name = r.text(p) },
		"default": func(p place) { c.Default = r.truth(p) },
		"steps":   func(p place) { r.items(p, func(p place) { c.Steps = append(c.Steps, r.text(p)) }) },
		"slo":     func(p place) { c.SLO = r.span(p) },
	}
	if !r.keys(p, known) {
		return
	}
	r.needed(p, "name", c.Name)
	if len(c.Steps) < 2 {
		r.fault(p, "it has %d steps; at least 2", len(c.Steps))
	}
	r.config.Chains = append(r.config.Chains, c)
}
