package simulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// most is the largest quantity that a fleet file may name: a petabyte, or as many of anything.
const most = 1 << 50

// quantity reads a number as Kubernetes writes it ("500m", "1.5", "2Gi"), in thousandths.
func quantity(s string) (int64, error) {
	number, scale := s, 1.0
	for _, suffix := range []struct {
		name  string
		scale float64
	}{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}} {
		if n, ok := strings.CutSuffix(s, suffix.name); ok {
			number, scale = n, suffix.scale
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.ContainsAny(number, "xXpP_") || !(v >= 0 && v*scale <= most) {
		return 0, fmt.Errorf("%q is not a quantity; write 500m, 2 or 1Gi", s)
	}
	return int64(math.Round(v * scale * 1000)), nil
}

// whole reads a quantity that has no thousandths: bytes or a count.
func whole(s string) (int64, error) {
	v, err := quantity(s)
	if err == nil && v%1000 != 0 {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return v / 1000, err
}

// resources turns {cpu, memory, nvidia.com/gpu} into Resources; fault is told of each bad part.
func resources(in map[string]string, fault func(key, text string)) fleet.Resources {
	var r fleet.Resources
	var ext []fleet.Extended
	for _, key := range sortedKeys(in) {
		v, err := whole(in[key])
		if key == "cpu" {
			v, err = quantity(in[key])
		}
		switch {
		case err != nil:
			fault(key, err.Error())
		case key == "cpu":
			r.MilliCPU = v
		case key == "memory":
			r.Memory = v
		case !strings.Contains(key, "/"):
			fault(key, fmt.Sprintf("unknown resource %q; there are cpu, memory and extended ones such as nvidia.com/gpu", key))
		default:
			ext = append(ext, fleet.Extended{Name: key, Count: v})
		}
	}
	r.Extended = fleet.SortExtended(ext)
	return r
}
