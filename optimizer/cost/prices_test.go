package cost

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

const gib = 1 << 30

func TestBuiltinRows(t *testing.T) {
	rows := Builtin().layers[0]
	if len(rows) != 12 {
		t.Errorf("%d rows, want 12", len(rows))
	}
	day := regexp.MustCompile(`^20\d\d-\d\d-\d\d$`)
	for _, r := range rows {
		if r.Hourly <= 0 || r.MilliCPU <= 0 || r.Memory <= 0 || r.Region == "" || r.Source == "" || !day.MatchString(r.Date) {
			t.Errorf("%+v is not whole", r)
		}
		od, ok := Builtin().Find(r.InstanceType, r.Region, fleet.OnDemand)
		if !ok || r.Capacity == fleet.Spot && r.Hourly >= od.Hourly {
			t.Errorf("%s: spot %s is not below on-demand %s", r.InstanceType, r.Hourly.Exact(), od.Hourly.Exact())
		}
	}
	if !slices.IsSortedFunc(rows, compareRows) {
		t.Error("rows are not sorted")
	}
}

func TestFind(t *testing.T) {
	p := Builtin().With(
		Row{InstanceType: "m5.large", Capacity: fleet.OnDemand, Hourly: 80_000, Source: "own"},                        // any region
		Row{InstanceType: "m5.large", Region: "eu-west-1", Capacity: fleet.OnDemand, Hourly: 1, Source: "own"},        // said twice:
		Row{InstanceType: "m5.large", Region: "eu-west-1", Capacity: fleet.OnDemand, Hourly: 90_000, Source: "own"},   // the later holds
		Row{InstanceType: "c5.xlarge", Region: "eu-west-1", Capacity: fleet.OnDemand, Hourly: 180_000, Source: "own"}, // not us-east-1's
	)
	for _, c := range []struct {
		name, typ, region string
		capacity          fleet.Capacity
		want              Money // 0: none
	}{
		{"exact region before any", "m5.large", "eu-west-1", fleet.OnDemand, 90_000},
		{"any region of one's own before a list price", "m5.large", "us-east-1", fleet.OnDemand, 80_000},
		{"any region", "m5.large", "mars-1", fleet.OnDemand, 80_000},
		{"spot is not overridden by on-demand", "m5.large", "us-east-1", fleet.Spot, 38_200},
		{"unknown capacity is on-demand", "m5.large", "eu-west-1", "", 90_000},
		{"list price below", "c5.xlarge", "us-east-1", fleet.OnDemand, 170_000},
		{"another region's own", "c5.xlarge", "eu-west-1", fleet.OnDemand, 180_000},
		{"no row for the region", "g5.2xlarge", "eu-west-1", fleet.OnDemand, 0},
		{"no spot row", "g5.2xlarge", "us-east-1", fleet.Spot, 0},
		{"unknown type", "x9.huge", "us-east-1", fleet.OnDemand, 0},
	} {
		r, ok := p.Find(c.typ, c.region, c.capacity)
		if r.Hourly != c.want || ok != (c.want != 0) {
			t.Errorf("%s: got %d, %v, want %d", c.name, r.Hourly, ok, c.want)
		}
	}
	if r, _ := p.Find("m5.large", "mars-1", fleet.OnDemand); r.MilliCPU != 2000 || r.Memory != 8*gib {
		t.Errorf("a row without a size took %dm, %d bytes, not those of its type", r.MilliCPU, r.Memory)
	}
	if n := len(Builtin().layers[0]); n != 12 {
		t.Errorf("With changed its receiver: %d rows", n)
	}
}

// TestSplit: shares at default rates, scaled to the price. m5.large: 2 × 0.031611 = 0.063222 and
// 8 × 0.004237 = 0.033896 make 0.097118; times 0.096 / 0.097118: 0.062494 + 0.033506.
// g4dn.xlarge: 0.126444 + 0.067792 + 0.95 = 1.144236; times 0.526 / 1.144236.
func TestSplit(t *testing.T) {
	p := Builtin().With(Row{InstanceType: "unit", Capacity: fleet.OnDemand, Hourly: 985_848, MilliCPU: 1000, Memory: gib, GPUs: 1})
	for _, c := range []struct {
		typ  string
		want Shares
	}{
		{"m5.large", Shares{62_494, 33_506, 0}},
		{"g4dn.xlarge", Shares{58_126, 31_163, 436_711}}, // memory takes what rounding left
		{"unit", Shares{31_611, 4_237, 950_000}},
	} {
		got, ok := p.Split(fleet.Node{InstanceType: c.typ, Region: "us-east-1", Capacity: fleet.OnDemand})
		if got != c.want || !ok {
			t.Errorf("%s: got %+v, %v, want %+v", c.typ, got, ok, c.want)
		}
	}
	if _, ok := p.Split(fleet.Node{InstanceType: "x9.huge"}); ok {
		t.Error("a node without a price was split")
	}
}

// TestSplitAddsUp: the shares are the price, and pods that fill a node pay the node.
func TestSplitAddsUp(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2_000 {
		alloc := fleet.Resources{MilliCPU: 1 + r.Int64N(192_000), Memory: 1024 * (1 + r.Int64N(2<<30))}
		if g := r.Int64N(9); g > 0 {
			alloc.Extended = []fleet.Extended{{Name: "nvidia.com/gpu", Count: g}}
		}
		row := Row{InstanceType: "t", Capacity: fleet.OnDemand, Hourly: Money(1 + r.Int64N(100*int64(Dollar)))}
		n := fleet.Node{Name: "n", InstanceType: "t", Allocatable: alloc, Ready: true}
		p := Prices{}.With(row)
		s, ok := p.Split(n)
		if !ok || s.CPU+s.Memory+s.GPU != row.Hourly || s.CPU < 0 || s.Memory < -1 || s.GPU < 0 {
			t.Fatalf("%d splits into %+v", row.Hourly, s)
		}
		if got := p.pod(alloc, n, 1).Amount; got != row.Hourly {
			t.Fatalf("a pod that fills the node pays %d of %d", got, row.Hourly)
		}
		half := fleet.Resources{MilliCPU: alloc.MilliCPU / 2}
		rest := alloc.Sub(half)
		if sum := p.pod(half, n, 1).Add(p.pod(rest, n, 1)).Amount; sum < row.Hourly-1 || sum > row.Hourly+1 {
			t.Fatalf("two pods that fill the node pay %d of %d", sum, row.Hourly)
		}
	}
}

func TestUsed(t *testing.T) {
	node := func(kind string, c fleet.Capacity) fleet.Node {
		return fleet.Node{InstanceType: kind, Region: "us-east-1", Capacity: c}
	}
	rows := Builtin().Used([]fleet.Node{node("m5.large", fleet.Spot), node("m5.large", fleet.OnDemand), node("m5.large", fleet.Spot), node("x9.huge", fleet.OnDemand), {}})
	want := []string{
		"on-demand m5.large in us-east-1, $0.096 an hour: AWS EC2 on-demand list price, 2026-07-20",
		"spot m5.large in us-east-1, $0.0382 an hour: AWS EC2 spot price, observed, 2021-04-06",
	}
	if len(rows) != 2 || rows[0].String() != want[0] || rows[1].String() != want[1] {
		t.Errorf("used %v, want %v", rows, want)
	}
	own := Row{InstanceType: "x9.huge", Capacity: fleet.OnDemand, Hourly: 2 * Dollar, Source: "Prices document"}
	if got := own.String(); got != "on-demand x9.huge, $2.00 an hour: Prices document" {
		t.Error(got)
	}
}
