package cost

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// Row is the price of one instance type.
type Row struct {
	InstanceType string         `json:"instanceType"`
	Region       string         `json:"region,omitempty"` // empty: any
	Capacity     fleet.Capacity `json:"capacity"`
	Hourly       Money          `json:"hourly"`
	MilliCPU     int64          `json:"milliCPU,omitempty"` // of the machine, thousandths of a core; 0: the node's allocatable
	Memory       int64          `json:"memory,omitempty"`   // of the machine, bytes; 0: the node's allocatable
	GPUs         int64          `json:"gpus,omitempty"`     // of the machine; used when MilliCPU is given
	Source       string         `json:"source"`             // who published the price
	Date         string         `json:"date,omitempty"`     // when it was true, "2026-07-20"
}

// Prices is what machines cost. The zero value knows no price at all.
type Prices struct {
	layers [][]Row // the strongest first; each sorted, no key twice
}

// With is p with rows on top: they win over every row that p has for the same type and capacity,
// whatever its region, so that an operator's own price for any region beats a list price.
// Of two rows with the same key the later one holds. A row that gives no size takes the size that
// p knows for its type. p itself is not changed.
func (p Prices) With(rows ...Row) Prices {
	if len(rows) == 0 {
		return p
	}
	layer := make([]Row, 0, len(rows))
	for _, r := range slices.Backward(rows) {
		layer = append(layer, p.sized(r))
	}
	slices.SortStableFunc(layer, compareRows)
	layer = slices.CompactFunc(layer, func(a, b Row) bool { return compareRows(a, b) == 0 })
	return Prices{layers: append([][]Row{layer}, p.layers...)}
}

// sized is r with the machine's size filled in from another row of its type, where r has none.
func (p Prices) sized(r Row) Row {
	if r.MilliCPU != 0 {
		return r
	}
	for _, known := range slices.Concat(p.layers...) {
		if known.InstanceType == r.InstanceType && known.MilliCPU != 0 {
			r.MilliCPU, r.Memory, r.GPUs = known.MilliCPU, known.Memory, known.GPUs
			return r
		}
	}
	return r
}

// Find is the row for an instance type: of its region first, then the one for any region. An
// unknown capacity is looked up as on-demand, which is the list price.
func (p Prices) Find(instanceType, region string, c fleet.Capacity) (Row, bool) {
	if c == "" {
		c = fleet.OnDemand
	}
	for _, layer := range p.layers {
		for _, r := range []string{region, ""} {
			key := Row{InstanceType: instanceType, Region: r, Capacity: c}
			if i, ok := slices.BinarySearchFunc(layer, key, compareRows); ok {
				return layer[i], true
			}
		}
	}
	return Row{}, false
}

// Used is the rows that nodes are priced by, sorted, each once: where an amount comes from.
func (p Prices) Used(nodes []fleet.Node) []Row {
	var rows []Row
	for _, n := range nodes {
		if r, ok := p.Find(n.InstanceType, n.Region, n.Capacity); ok && n.InstanceType != "" {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, compareRows)
	return slices.CompactFunc(rows, func(a, b Row) bool { return compareRows(a, b) == 0 })
}

// String is the price of one row for people, with its source and date.
func (r Row) String() string {
	s := fmt.Sprintf("%s %s, %s an hour: %s", r.Capacity, r.InstanceType, r.Hourly.Exact(), r.Source)
	if r.Region != "" {
		s = strings.Replace(s, ", ", " in "+r.Region+", ", 1)
	}
	if r.Date != "" {
		s += ", " + r.Date
	}
	return s
}

// unpriced names what has no price: "x9.huge in mars-1", "spot m5.large in eu-west-1".
func unpriced(n fleet.Node) string {
	if n.InstanceType == "" {
		return "node " + n.Name + " (no instance type)"
	}
	s := n.InstanceType
	if n.Capacity == fleet.Spot {
		s = "spot " + s
	}
	if n.Region != "" {
		s += " in " + n.Region
	}
	return s
}

func compareRows(a, b Row) int {
	return cmp.Or(
		cmp.Compare(a.InstanceType, b.InstanceType),
		cmp.Compare(a.Region, b.Region),
		cmp.Compare(a.Capacity, b.Capacity),
	)
}
