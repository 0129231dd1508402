package simulator

import _ "embed" // for the built-in fleet

//go:embed fleet.yaml
var builtin string // never changed

// Builtin is the fleet file that is simulated unless another one is given: twelve models of a search
// platform for property over four weeks.
func Builtin() []byte { return []byte(builtin) }
