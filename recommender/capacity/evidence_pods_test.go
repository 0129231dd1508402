package capacity

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// account is the answer of a server that says all that is read.
const account = `{"model":"m","version":"v1","curve":{"wall":{"form":"linear","fixed_seconds":0.002,"per_row_seconds":0.0005},
"cpu":{"form":"hinge","fixed_seconds":0.001,"per_row_seconds":0.0004},"error":0.02,"samples":500,"updated":"2026-11-21T12:00:00Z","largest_rows":64},
"age_seconds":1,"batcher":{"rate":7},"instances":2,"max_batch_rows":1,
"arrivals":{"seconds":60,"rate":12.5,"burst":1.25,"peak":31,"by_second":[12,13,31],"until":1795262400.25,"rows":1.5,"interactive":0.25,"bulk":0.125}}`

func TestParseAccount(t *testing.T) {
	a, err := ParseAccount([]byte(account))
	want := Arrivals{Seconds: 60, Rate: 12.5, Burst: 1.25, Peak: 31, BySecond: []float64{12, 13, 31}, Until: 1795262400.25, Rows: 1.5, Interactive: 0.25, Bulk: 0.125}
	if err != nil || a.Instances != 2 || a.MaxBatch != 1 || !reflect.DeepEqual(a.Arrivals, want) || a.Curve.Samples != 500 || a.Curve.Wall.At(2) != 0.003 || a.Curve.CPU.At(2) != 0.001 {
		t.Errorf("%+v, %v", a, err)
	}
	older := strings.Replace(account, `"by_second":[12,13,31],"until":1795262400.25,`, "", 1)
	if a, err := ParseAccount([]byte(older)); err != nil || a.Arrivals.Peak != 31 || a.Arrivals.BySecond != nil || a.Arrivals.Until != 0 {
		t.Errorf("of a server that does not tell its seconds: %+v, %v", a, err)
	}
	if a, err := ParseAccount([]byte(`{"curve":{}}`)); err != nil || a.Arrivals.Seconds != 0 || a.Arrivals.Burst != 1 || a.Curve.Known() {
		t.Errorf("of an older server: %+v, %v", a, err)
	}
	for _, tt := range [][2]string{
		{"{", "parse its curve"},
		{strings.Replace(account, "12.5", "-1", 1), "its arrivals have -1 in them"},
		{strings.Replace(account, "13,31", "13,-31", 1), "its arrivals have -31 in them"},
		{strings.Replace(account, "17952", "-17952", 1), "its arrivals have -1.79526"},
		{strings.Replace(account, `"instances":2`, `"instances":-2`, 1), "-2 instances"},
		{strings.Replace(account, "linear", "cubic", 1), "curve form"},
	} {
		if a, err := ParseAccount([]byte(tt[0])); err == nil || !strings.Contains(err.Error(), tt[1]) {
			t.Errorf("want %q: %+v, %v", tt[1], a, err)
		}
	}
}

// FuzzParseAccount: whatever a server says, evidence of it is judged and never breaks the arithmetic.
func FuzzParseAccount(f *testing.F) {
	f.Add([]byte(account))
	f.Add([]byte(`{"curve":{"samples":1,"wall":{"per_row_seconds":-1e308}},"arrivals":{"seconds":60,"rate":1e15,"burst":1e15}}`))
	f.Add([]byte(`{"arrivals":{"seconds":60,"rate":1,"until":9007199254740992,"by_second":[1,2,3,4,5,6,7,8,9,10,11]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseAccount(data)
		if err != nil {
			return
		}
		shifted := a
		shifted.Arrivals.Until++
		e, _ := honest().Together([]Account{a, shifted})
		l := e.busiest(Calendar{})
		for _, v := range []float64{l.Rate, l.Mean, l.Burst, l.Peak, l.Rows, l.Interactive, l.Bulk} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("%s: load %+v", data, l)
			}
		}
		_ = e.Check(200)
	})
}

// TestTogether: 2 pods of 10 a second with 1.5 each have 1.5 together; who has a third of another's rate has a
// quarter of the weight in squared dispersion, shares and rows: 2.25/4 is 0.5625, whose root is 0.75.
func TestTogether(t *testing.T) {
	one := Account{Instances: 1, MaxBatch: 8, Arrivals: Arrivals{Seconds: 60, Rate: 10, Burst: 1.5, Peak: 25, Rows: 1, Interactive: 0.5}}
	e, _ := Evidence{}.Together([]Account{one, one})
	// The busiest seconds, 15 above the rate each, make 20 + 15 x the root of 2.
	want := Load{Rate: 20, Burst: 1.5, Peak: 20 + 15*math.Sqrt2, Rows: 1, Interactive: 0.5}
	if l := e.Arrivals; math.Abs(l.Peak-want.Peak) > 1e-9 || l.Rate != 20 || l.Burst != 1.5 || l.Rows != 1 || l.Interactive != 0.5 || e.Instances != 1 || e.MaxBatch != 8 {
		t.Errorf("%+v, want %+v", e, want)
	}
	busy := Account{Arrivals: Arrivals{Seconds: 60, Rate: 30, Burst: 0, Rows: 5}}
	if e, _ = (Evidence{}).Together([]Account{one, busy}); math.Abs(e.Arrivals.Rows-4) > 1e-9 || e.Arrivals.Interactive != 0.125 || math.Abs(e.Arrivals.Burst-0.75) > 1e-9 {
		t.Errorf("of unlike pods: %+v", e.Arrivals)
	}
	young := one
	young.Arrivals.Seconds = 9
	if e, _ = (Evidence{}).Together([]Account{one, young}); e.Arrivals != (Load{}) {
		t.Errorf("where one is too young to say: %+v", e.Arrivals)
	}
}

// ones is n seconds with one request each, but as many as said in the seconds said, by their place.
func ones(n int, more map[int]float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = cmp.Or(more[i], 1)
	}
	return out
}

// TestBusiestSecond: rates are 2 and peaks are 10 where the seconds do not say, so that 2 pods have 4 + 8 x the
// root of 2, 15.3137.
func TestBusiestSecond(t *testing.T) {
	const alone = 15.313708499
	tests := []struct {
		name string
		pods []Arrivals
		want float64
	}{
		{"one pod", []Arrivals{{BySecond: ones(12, map[int]float64{3: 7}), Until: 112}}, 7},
		{"busy in the same second, 104", []Arrivals{{BySecond: ones(12, map[int]float64{3: 9}), Until: 112}, {BySecond: ones(12, map[int]float64{3: 8}), Until: 112}}, 17},
		{"busy in two", []Arrivals{{BySecond: ones(12, map[int]float64{3: 9}), Until: 112}, {BySecond: ones(12, map[int]float64{4: 8}), Until: 112}}, 10},
		{"asked a second later", []Arrivals{{BySecond: ones(12, map[int]float64{3: 9}), Until: 112.4}, {BySecond: ones(12, map[int]float64{2: 8}), Until: 112.6}}, 17},
		// The first tells 101 to 112, the second 103 to 114: of 101 and 114 only one pod tells.
		{"busy where the other does not tell", []Arrivals{{BySecond: ones(12, map[int]float64{0: 90, 5: 3}), Until: 112}, {BySecond: ones(12, map[int]float64{11: 90}), Until: 114}}, 4},
		{"three, one of them young", []Arrivals{{BySecond: ones(60, map[int]float64{5: 90, 59: 4}), Until: 160}, {BySecond: ones(60, map[int]float64{58: 5}), Until: 161}, {BySecond: ones(10, map[int]float64{9: 6}), Until: 160}}, 15},
		{"9 seconds in common", []Arrivals{{BySecond: ones(12, nil), Until: 112}, {BySecond: ones(12, nil), Until: 115}}, alone},
		{"none in common", []Arrivals{{BySecond: ones(12, nil), Until: 112}, {BySecond: ones(12, nil), Until: 999}}, alone},
		{"one does not tell", []Arrivals{{BySecond: ones(12, nil), Until: 112}, {}}, alone},
	}
	for _, tt := range tests {
		var pods []Account
		for _, a := range tt.pods {
			a.Rate, a.Peak = 2, 10
			pods = append(pods, Account{Arrivals: a})
		}
		got := busiestSecond(pods)
		slices.Reverse(pods)
		if back := busiestSecond(pods); math.Abs(got-tt.want) > 1e-6 || math.Abs(back-got) > 1e-9 {
			t.Errorf("%s: %v, in another order %v, want %v", tt.name, got, back, tt.want)
		}
	}
}

// TestTypical: of batches of 4 rows, which take 3, 3.2, 3.1 and 5 ms, that of 3.1 is in the middle, and the last
// is far from it; one that says nothing is neither.
func TestTypical(t *testing.T) {
	w := Window{Rows: 40, Batches: 10}
	pods := []Account{{Curve: straight(0.001, 0.0005)}, {Curve: straight(0.0012, 0.0005)}, {}, {Curve: straight(0.0011, 0.0005)}, {Curve: straight(0.003, 0.0005)}}
	if c, odd := typical(pods, w); c != pods[3].Curve || !slices.Equal(odd, []int{4}) {
		t.Errorf("%+v, odd %v", c, odd)
	}
	if c, odd := typical([]Account{{}}, w); c.Known() || len(odd) > 0 {
		t.Errorf("of nobody: %+v, %v", c, odd)
	}
}
