package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestQuantile(t *testing.T) {
	bounds := []time.Duration{10 * ms, 20 * ms, 50 * ms}
	tests := []struct {
		name   string
		counts []int64
		errors int64
		p      float64
		want   Quantile
	}{
		{"the 90th of 100 ends the first bucket", []int64{90, 9, 1, 0}, 0, 0.90, Quantile{10 * ms, 0, 10 * ms}},
		{"the 99th ends the second", []int64{90, 9, 1, 0}, 0, 0.99, Quantile{20 * ms, 10 * ms, 20 * ms}},
		{"the 99th is the first of two in the third", []int64{90, 8, 2, 0}, 0, 0.99, Quantile{35 * ms, 20 * ms, 50 * ms}},
		{"the 50th of 100 that are all in the first", []int64{100, 0, 0, 0}, 0, 0.5, Quantile{5 * ms, 0, 10 * ms}},
		{"empty buckets before it are passed over", []int64{0, 0, 4, 0}, 0, 0.25, Quantile{27500 * time.Microsecond, 20 * ms, 50 * ms}},
		{"an empty bucket between is not where it lies", []int64{99, 0, 1, 0}, 0, 0.99, Quantile{10 * ms, 0, 10 * ms}},
		{"above all bounds", []int64{90, 8, 0, 2}, 0, 0.99, Quantile{50 * ms, 50 * ms, 0}},
		{"an error is slower than all: 98 of 100 answered", []int64{98, 0, 0, 0}, 2, 0.99, Quantile{50 * ms, 50 * ms, 0}},
		{"one error of 100 leaves p99", []int64{90, 9, 0, 0}, 1, 0.99, Quantile{20 * ms, 10 * ms, 20 * ms}},
		{"errors only", []int64{0, 0, 0, 0}, 5, 0.5, Quantile{50 * ms, 50 * ms, 0}},
	}
	for _, tt := range tests {
		q, ok := Window{Latency: Histogram{bounds, tt.counts}, Errors: tt.errors}.Quantile(tt.p)
		if !ok || q != tt.want {
			t.Errorf("%s: %+v %v, want %+v", tt.name, q, ok, tt.want)
		}
	}
	if _, ok := (Window{Latency: Histogram{bounds, make([]int64, 4)}}).Quantile(0.99); ok {
		t.Error("no requests have a quantile")
	}
}

// TestQuantileHoldsTheTrueOne: the value of that rank among the latencies themselves, sorted, is in the
// bucket that is named, and so is the estimate.
func TestQuantileHoldsTheTrueOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		bounds := someBounds(r)
		all := make([]time.Duration, 1+r.IntN(400))
		w := Window{Latency: Histogram{bounds, make([]int64, len(bounds)+1)}}
		for i := range all {
			all[i] = time.Duration(r.ExpFloat64() * float64(100*ms))
			at, _ := slices.BinarySearch(bounds, all[i])
			w.Latency.Counts[at]++
		}
		slices.Sort(all)
		p := float64(1+r.IntN(999)) / 1000
		true := all[int(math.Ceil(p*float64(len(all))-1e-9))-1]
		q, _ := w.Quantile(p)
		if true <= q.From || q.To != 0 && true > q.To || q.At < q.From || q.To != 0 && q.At > q.To {
			t.Fatalf("p%g of %v in %v is %v; the estimate is %+v", 100*p, all, bounds, true, q)
		}
	}
}

func someBounds(r *rand.Rand) []time.Duration {
	var out []time.Duration
	at := time.Duration(0)
	for range 1 + r.IntN(8) {
		at += time.Duration(1+r.IntN(60)) * ms
		out = append(out, at)
	}
	return out
}

// reading is one with n latencies in the first of two buckets.
func reading(at time.Time, n int64) Reading {
	return Reading{
		At: at, Replicas: 2, Answered: n + 4, Errors: 1, Came: n + 7, Rows: 40, Batches: 9, Busy: 2, Compute: 1, CPUSeconds: 3, Memory: 100,
		Latency: Histogram{[]time.Duration{ms}, []int64{n, 4}},
	}
}

func TestSince(t *testing.T) {
	from := reading(time.Unix(100, 0), 10)
	to := Reading{
		At: time.Unix(115, 0), Replicas: 2, Answered: 30, Errors: 3, Came: 36, Rows: 70, Batches: 19, Busy: 4, Compute: 1.75, CPUSeconds: 4.5, Memory: 200,
		Latency: Histogram{[]time.Duration{ms}, []int64{25, 5}},
	}
	w, ok := to.Since(from)
	if !ok || w.Elapsed != 15*time.Second || w.Latency.Total() != 16 || w.Requests() != 18 || w.CPUSeconds != 1.5 || w.Memory != 200 {
		t.Errorf("%+v %v; want 15 s, 15 + 1 answered and 2 not, 1.5 s of CPU, 150 bytes", w, ok)
	}
	if w.Answered != 16 || w.Came != 19 || w.Rows != 30 || w.Batches != 10 || w.Busy != 2 || w.Compute != 0.75 {
		t.Errorf("%+v; want 16 answered of 19, 30 rows in 10 batches, busy for 2 s, 0.75 s of CPU", w)
	}
	if from.Latency.Counts[0] != 10 || to.Latency.Counts[0] != 25 {
		t.Error("the readings were changed")
	}
	for name, spoil := range map[string]func(*Reading){
		"another number of pods": func(r *Reading) { r.Replicas = 3 },
		"other buckets":          func(r *Reading) { r.Latency.Bounds = []time.Duration{2 * ms} },
		"fewer buckets":          func(r *Reading) { r.Latency.Counts = []int64{30} },
		"fewer latencies":        func(r *Reading) { r.Latency.Counts = []int64{9, 90} },
		"fewer errors":           func(r *Reading) { r.Errors = 0 },
		"less CPU":               func(r *Reading) { r.CPUSeconds = 2.9 },
		"less CPU of batches":    func(r *Reading) { r.Compute = 0.9 },
		"less time of batches":   func(r *Reading) { r.Busy = 1.9 },
		"fewer answered":         func(r *Reading) { r.Answered = 13 },
		"fewer that came":        func(r *Reading) { r.Came = 16 },
		"fewer rows":             func(r *Reading) { r.Rows = 39 },
		"fewer batches":          func(r *Reading) { r.Batches = 8 },
		"earlier":                func(r *Reading) { r.At = time.Unix(99, 0) },
	} {
		other := to
		spoil(&other)
		if w, ok := other.Since(from); ok {
			t.Errorf("%s: still a window, %+v", name, w)
		}
	}
}

func TestMet(t *testing.T) {
	bounds := []time.Duration{10 * ms, 20 * ms, 50 * ms}
	for _, tt := range []struct {
		counts []int64
		errors int64
		within time.Duration
		want   float64
	}{
		{[]int64{90, 8, 2, 0}, 0, 20 * ms, 0.98},
		{[]int64{90, 8, 2, 0}, 0, 35 * ms, 0.99}, // half of the bucket from 20 to 50, so one of two
		{[]int64{90, 8, 2, 0}, 100, 35 * ms, 0.495},
		{[]int64{90, 8, 0, 2}, 0, time.Second, 0.98}, // how long those above all bounds took is not known
		{[]int64{90, 8, 2, 0}, 0, 5 * ms, 0.45},
		{[]int64{0, 0, 0, 0}, 0, 5 * ms, 1},
		{[]int64{90, 8, 2, 0}, 9, 0, 1},
	} {
		if got := (Window{Latency: Histogram{bounds, tt.counts}, Errors: tt.errors}).Met(tt.within); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v and %d errors within %s: %v, want %v", tt.counts, tt.errors, tt.within, got, tt.want)
		}
	}
}

func TestQuantileInWords(t *testing.T) {
	for q, want := range map[Quantile]string{
		{38 * ms, 30 * ms, 50 * ms}:             "38 ms (between 30 ms and 50 ms)",
		{9900 * time.Microsecond, 0, 10 * ms}:   "9.9 ms (at most 10 ms)",
		{50 * ms, 30 * ms, 50 * ms}:             "50 ms",
		{10 * time.Second, 10 * time.Second, 0}: "above 10 s",
	} {
		if got := q.bounded(); got != want {
			t.Errorf("%+v is %q, want %q", q, got, want)
		}
	}
}

// TestNearest: of 20 to 50 ms nobody knows more than that.
func TestNearest(t *testing.T) {
	q := Quantile{At: 43 * ms, From: 20 * ms, To: 50 * ms}
	for d, want := range map[time.Duration]time.Duration{10 * ms: 20 * ms, 33 * ms: 33 * ms, 60 * ms: 50 * ms} {
		if got := q.nearest(d); got != want {
			t.Errorf("%s: %s, want %s", d, got, want)
		}
	}
}
