package router

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

const (
	mostName     = 253 // bytes of a name; it stands in paths and in metrics
	mostVersions = 64  // of one model
)

// Check returns every fault of c, joined, or nil.
func (c Config) Check() error { return errors.Join(c.faults()...) }

// checking collects faults, each with its path.
type checking struct{ faults []error }

func (c *checking) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

// name tells what is wrong with a name or a version; they stand in paths.
func (c *checking) name(path, name string) {
	switch {
	case name == "":
		c.fault("%s: it is empty", path)
	case len(name) > mostName:
		c.fault("%s: it is longer than %d bytes", path, mostName)
	case strings.ContainsAny(name, "/:?#%") || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		c.fault("%s: %.40q stands in paths; leave out /, :, ?, #, %% and spaces", path, name)
	}
}

func (c Config) faults() []error {
	var k checking
	if len(c.Models) == 0 {
		k.fault("there is no model: name one in %s, or by a flag", KeyModels)
	}
	known := map[string][]string{} // versions of each model; none for a chain
	for i, m := range c.Models {
		path := fmt.Sprintf("%s[%d]", KeyModels, i)
		if _, twice := known[m.Name]; twice {
			k.fault("%s.name: there is another model %q", path, m.Name)
		}
		known[m.Name] = k.model(path, m)
	}
	targets := maps.Clone(known)
	for i, ch := range c.Chains {
		path := fmt.Sprintf("%s[%d]", KeyChains, i)
		if _, taken := targets[ch.Name]; taken {
			k.fault("%s.name: there is another model or chain %q", path, ch.Name)
		}
		k.chain(path, ch, known)
		targets[ch.Name] = nil
	}
	for i, r := range c.Routes {
		k.route(fmt.Sprintf("%s[%d]", KeyRoutes, i), r, targets)
	}
	k.fallback(c)
	return k.faults
}

func (k *checking) model(path string, m ModelConfig) (versions []string) {
	k.name(path+".name", m.Name)
	if n := len(m.Versions); n == 0 || n > mostVersions {
		k.fault("%s: it has %d versions; from 1 to %d", path, n, mostVersions)
	}
	var sum int64
	for i, v := range m.Versions {
		at := fmt.Sprintf("%s.versions[%d]", path, i)
		k.name(at+".version", v.Version)
		if slices.Contains(versions, v.Version) {
			k.fault("%s.version: there is another version %q", at, v.Version)
		}
		for line := range strings.Lines(message(v.Limits.Check())) {
			k.fault("%s: %s", at, strings.TrimSpace(line))
		}
		if v.Weight < 0 || v.Weight > mostWeight*weightParts {
			k.fault("%s.weight: it is %d; from 0 to %d", at, v.Weight, mostWeight*weightParts)
		}
		sum += v.Weight
		versions = append(versions, v.Version)
	}
	if sum == 0 && len(m.Versions) > 0 {
		k.fault("%s: all weights are 0; leave them out, and the last version takes all", path)
	}
	return versions
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (k *checking) chain(path string, c ChainConfig, models map[string][]string) {
	k.name(path+".name", c.Name)
	for i, s := range c.Steps {
		k.target(fmt.Sprintf("%s.steps[%d]", path, i), s, models, "model")
	}
}

func (k *checking) route(path string, r Route, targets map[string][]string) {
	k.name(path+".model", r.Alias)
	for _, value := range slices.Sorted(maps.Keys(r.Is)) {
		k.target(path+".is."+value, r.Is[value], targets, "model or chain")
	}
	if r.Otherwise != "" {
		k.target(path+".otherwise", r.Otherwise, targets, "model or chain")
	}
}

// target tells when nothing is called so.
func (k *checking) target(path, target string, known map[string][]string, what string) {
	name, version := splitTarget(target)
	versions, ok := known[name]
	switch {
	case !ok:
		k.fault("%s: there is no %s %q", path, what, name)
	case version != "" && !slices.Contains(versions, version):
		k.fault("%s: %q has no version %q", path, name, version)
	}
}

// splitTarget cuts "model/version"; the version may be empty.
func splitTarget(target string) (name, version string) {
	name, version, _ = strings.Cut(target, "/")
	return name, version
}

// fallback tells when several want to be the default.
func (k *checking) fallback(c Config) {
	if names := c.defaults(); len(names) > 1 {
		k.fault("%s are each the default; mark one", strings.Join(names, ", "))
	}
}

// defaults are the names marked so, each once.
func (c Config) defaults() (names []string) {
	for _, m := range c.Models {
		if m.Default {
			names = append(names, m.Name)
		}
	}
	for _, ch := range c.Chains {
		if ch.Default {
			names = append(names, ch.Name)
		}
	}
	for _, r := range c.Routes {
		if r.Default {
			names = append(names, r.Alias)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fallback is the name of requests that name none: the one marked, else the first alias, else the first model.
func (c Config) fallback() string {
	first := ""
	if names := c.defaults(); len(names) > 0 {
		first = names[0]
	}
	if len(c.Routes) > 0 {
		first = cmp.Or(first, c.Routes[0].Alias)
	}
	if len(c.Models) > 0 {
		first = cmp.Or(first, c.Models[0].Name)
	}
	return first
}
