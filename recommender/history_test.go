package recommender

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// noon is a full hour, so that minutes and hours of a test begin where it says.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

var ref = fleet.Deployment("ml", "recommendation-model")

const mib = 1 << 20

func sample(signal fleet.Signal, pod string, at time.Time, mean float64) fleet.Sample {
	s := fleet.Sample{Ref: ref, Pod: pod, Container: "model-server", Signal: signal, At: at, Window: 15 * time.Second, Mean: mean, Max: mean, N: 1}
	switch signal {
	case fleet.Requests:
		s.Container = ""
	case fleet.GPU:
		s.Container = fleet.GPUName(0)
	}
	return s
}

func feed(t testing.TB, h *History, samples ...fleet.Sample) {
	t.Helper()
	for _, s := range samples {
		if err := h.Add(s, s.At); err != nil {
			t.Fatal(err)
		}
	}
}

// steady is one value every 15 s until now, for the given time.
func steady(signal fleet.Signal, pod string, now time.Time, long time.Duration, mean float64) []fleet.Sample {
	var out []fleet.Sample
	for at := now.Add(-long + 15*time.Second); !at.After(now); at = at.Add(15 * time.Second) {
		out = append(out, sample(signal, pod, at, mean))
	}
	return out
}

// merged is the samples in the order in which a cycle reads them.
func merged(lists ...[]fleet.Sample) []fleet.Sample {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b fleet.Sample) int { return a.At.Compare(b.At) })
	return all
}

func TestAddRefuses(t *testing.T) {
	good := sample(fleet.CPU, "a", noon, 0.1)
	for name, spoil := range map[string]func(*fleet.Sample){
		"NaN":             func(s *fleet.Sample) { s.Mean = math.NaN() },
		"NaN max":         func(s *fleet.Sample) { s.Max = math.NaN() },
		"infinite":        func(s *fleet.Sample) { s.Max = math.Inf(1) },
		"negative":        func(s *fleet.Sample) { s.Mean = -0.1 },
		"future":          func(s *fleet.Sample) { s.At = noon.Add(31 * time.Second) },
		"no time":         func(s *fleet.Sample) { s.At = time.Time{} },
		"no readings":     func(s *fleet.Sample) { s.N = 0 },
		"negative window": func(s *fleet.Sample) { s.Window = -1 },
		"window of years": func(s *fleet.Sample) { s.Window = 1e6 * time.Hour },
		"unknown signal":  func(s *fleet.Sample) { s.Signal = "heat" },
		"no pod":          func(s *fleet.Sample) { s.Pod = "" },
		"no workload":     func(s *fleet.Sample) { s.Ref = fleet.Ref{} },
	} {
		h, s := NewHistory(), good
		spoil(&s)
		if err := h.Add(s, noon); err == nil || errors.Is(err, ErrRepeated) {
			t.Errorf("%s: got %v", name, err)
		}
		if len(h.Refs()) != 0 || !h.Last().IsZero() {
			t.Errorf("%s: the history was changed", name)
		}
	}
}

func TestAddCountsOnce(t *testing.T) {
	h := NewHistory()
	feed(t, h, sample(fleet.CPU, "a", noon, 0.1), sample(fleet.CPU, "b", noon, 0.2))
	before := h.Use(ref, time.Hour, noon, 0.95)
	for _, at := range []time.Duration{0, -time.Second} {
		if err := h.Add(sample(fleet.CPU, "a", noon.Add(at), 0.9), noon); !errors.Is(err, ErrRepeated) {
			t.Errorf("a sample of %s later: got %v", at, err)
		}
	}
	feed(t, h, sample(fleet.CPU, "a", noon.Add(20*time.Minute), 0.1))
	if err := h.Add(sample(fleet.CPU, "c", noon, 0.9), noon); err == nil || errors.Is(err, ErrRepeated) {
		t.Errorf("a sample 20 minutes late: got %v", err)
	}
	if after := h.Use(ref, 21*time.Minute, noon.Add(20*time.Minute), 0.95); before[0].Samples != 2 || after[0].Samples != 3 || after[0].Mean >= 0.9 {
		t.Errorf("counted %d, then %d", before[0].Samples, after[0].Samples)
	}
}

// TestUse: pod a uses 100m and 300m in turn, a minute each; pod b 200m. The hottest replica of the
// four minutes is b, a, b, a: mean (200+300+200+300)/4 = 250m, p50 200m, peak 300m; the sum of
// both is 300m and 500m in turn: 400m.
func TestUse(t *testing.T) {
	h := NewHistory()
	for i := range 16 {
		at := noon.Add(time.Duration(i+1) * 15 * time.Second)
		a := 0.1
		if i/4%2 == 1 {
			a = 0.3
		}
		feed(t, h, sample(fleet.CPU, "a", at, a), sample(fleet.CPU, "b", at, 0.2))
	}
	now := noon.Add(4 * time.Minute)
	got := h.Use(ref, 8*time.Minute, now, 0.95)
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	u := got[0]
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean", u.Mean, 0.25}, {"p50", u.P50, 0.2}, {"p95", u.Percentile, 0.3}, {"peak", u.Peak, 0.3},
		{"total", u.Total, 0.4}, {"samples", float64(u.Samples), 32}, {"pods", float64(u.Pods), 2}, {"coverage", u.Coverage, 0.5},
	} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if !u.From.Equal(noon) || !u.To.Equal(now) || u.Container != "model-server" || u.Signal != fleet.CPU {
		t.Errorf("from %s to %s of %s %s", u.From, u.To, u.Container, u.Signal)
	}
	if last, ok := h.LastOf(ref); !ok || !last.Equal(now) || !h.Last().Equal(now) {
		t.Errorf("last is %s, %v", last, ok)
	}
	if _, ok := h.LastOf(fleet.Deployment("ml", "other")); ok {
		t.Error("another workload has a last sample")
	}
}

// naive keeps every sample and knows no buckets.
type naive []fleet.Sample

// window gives mean, sum over pods, peak and percentile of (from, end of time) by the definition in
// the package comment: minutes, each spoken for by its hottest pod.
func (n naive) window(from time.Time, q float64) (mean, total, peak, percentile float64) {
	minutes := map[int64]map[string][]float64{}
	for _, s := range n {
		if !s.At.After(from) {
			continue
		}
		m := s.At.Add(-1).Unix() / 60
		if minutes[m] == nil {
			minutes[m] = map[string][]float64{}
		}
		minutes[m][s.Pod] = append(minutes[m][s.Pod], s.Mean)
		peak = max(peak, s.Max)
	}
	var values []float64
	for _, pods := range minutes {
		var hot []float64
		for _, vs := range pods {
			total += average(vs)
			if average(vs) > average(hot) {
				hot = vs
			}
		}
		mean += average(hot)
		values = append(values, hot...)
	}
	slices.Sort(values)
	n0 := float64(len(minutes))
	return mean / n0, total / n0, peak, values[max(0, int(math.Ceil(q*float64(len(values))-1e-9))-1)]
}

func average(vs []float64) float64 {
	if len(vs) == 0 {
		return -1
	}
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	return sum / float64(len(vs))
}

// joinings is how often the shares of a histogram can be rounded up, by 2 % each time (see tails): as a minute's, and
// in each unit.
const joinings = 1 + len(units)

// TestHistoryAgreesWithNaiveTwin over 13 days of three replicas that change by the day: windows
// that begin where buckets do give the same mean and total to 0.01 % and the same peak, and percentiles that are not
// less, and at most 5 % more than that of a share a little nearer to 1; the median at most 22 % more.
func TestHistoryAgreesWithNaiveTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	h, all := NewHistory(), naive{}
	start, end := noon.Add(-13*24*time.Hour), noon.Add(7*time.Minute)
	for at := start.Add(30 * time.Second); !at.After(end); at = at.Add(30 * time.Second) {
		for p := range 3 {
			pod := fmt.Sprintf("day%d-%d", at.YearDay(), p)
			s := sample(fleet.CPU, pod, at, 0.2*math.Exp(r.NormFloat64()*0.7))
			s.Window, s.Max = 30*time.Second, s.Mean*1.5
			feed(t, h, s)
			all = append(all, s)
		}
	}
	for _, c := range []struct {
		name string
		from time.Time
	}{
		{"1m", end.Add(-time.Minute)}, {"10m", end.Add(-10 * time.Minute)}, {"17m", end.Add(-17 * time.Minute)},
		{"1h", noon.Add(-50 * time.Minute)}, {"12h", noon.Add(-12 * time.Hour)},
		{"36h", noon.Add(-36 * time.Hour)}, {"6.5d", noon.Add(-156 * time.Hour)},
		{"11.5d", noon.Add(-276 * time.Hour)}, {"13d", start},
	} {
		d, ok := h.Distribution(ref, "model-server", fleet.CPU, end.Sub(c.from), end)
		if !ok {
			t.Fatalf("%s: nothing", c.name)
		}
		for q, wide := range map[float64]float64{0.5: math.Pow(growth, 4), 0.9: growth, 0.95: growth, 0.99: growth} {
			mean, total, peak, exact := all.window(c.from, q)
			_, _, _, nearer := all.window(c.from, 1-(1-q)/math.Pow(1.02, float64(joinings)))
			if off(d.Mean, mean) > 1e-4 || off(d.Total, total) > 1e-4 || off(d.Peak, peak) > 1e-6 {
				t.Errorf("%s: mean %v total %v peak %v, want %v, %v, %v", c.name, d.Mean, d.Total, d.Peak, mean, total, peak)
			}
			if got := d.Percentile(q); got < exact*(1-1e-4) || got > nearer*wide*(1+1e-4) {
				t.Errorf("%s: p%g %v, want %v to %v", c.name, 100*q, got, exact, nearer*wide)
			}
		}
		if d.Spent != end.Sub(c.from) {
			t.Errorf("%s: measured for %s", c.name, d.Spent)
		}
	}
}

func off(a, b float64) float64 { return math.Abs(a-b) / b }

// TestWindowBeginsWithItsBucket: a window that begins inside a stretch counts the whole of it.
func TestWindowBeginsWithItsBucket(t *testing.T) {
	h := NewHistory()
	for at := noon.Add(-30 * 24 * time.Hour); !at.After(noon); at = at.Add(time.Minute) {
		s := sample(fleet.CPU, "a", at, 0.1)
		s.Window = time.Minute
		feed(t, h, s)
	}
	for _, c := range []struct{ window, want time.Duration }{
		{5*time.Minute + 30*time.Second, 6 * time.Minute},     // minutes
		{35 * time.Minute, 40 * time.Minute},                  // 10 minutes
		{5*time.Hour + time.Minute, 6 * time.Hour},            // hours
		{20 * time.Hour, 24 * time.Hour},                      // 6 hours: noon is on one
		{5 * 24 * time.Hour, 5*24*time.Hour + 12*time.Hour},   // days
		{14 * 24 * time.Hour, 15*24*time.Hour + 12*time.Hour}, // 4 days: 16 June 2026 is day 4 x 5,155 of the epoch
	} {
		if d, _ := h.Distribution(ref, "model-server", fleet.CPU, c.window, noon); d.Spent != c.want {
			t.Errorf("%s: counted %s, want %s", c.window, d.Spent, c.want)
		}
	}
}

// TestHotterThanAnyOne: the mean is never below that of any replica that was measured all along.
func TestHotterThanAnyOne(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		h, sums := NewHistory(), [3]float64{}
		for i := range 40 {
			for p := range 3 {
				v := r.Float64()
				sums[p] += v / 40
				feed(t, h, sample(fleet.CPU, fmt.Sprint(p), noon.Add(time.Duration(i+1)*15*time.Second), v))
			}
		}
		d, _ := h.Distribution(ref, "model-server", fleet.CPU, 10*time.Minute, noon.Add(10*time.Minute))
		if hottest := max(sums[0], sums[1], sums[2]); d.Mean < hottest-1e-9 {
			t.Fatalf("mean %v is below a replica's %v", d.Mean, hottest)
		}
	}
}

// TestOrderOfPodsDoesNotMatter: samples of the same time may come in any order, and those of
// different pods up to two minutes apart.
func TestOrderOfPodsDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var a, b []fleet.Sample
	for _, s := range merged(steady(fleet.CPU, "a", noon, 3*time.Hour, 0.2), steady(fleet.CPU, "b", noon, 3*time.Hour, 0.2), steady(fleet.CPU, "c", noon, 3*time.Hour, 0.2)) {
		s.Mean *= 0.5 + r.Float64()
		s.Max = s.Mean
		a, b = append(a, s), append(b, s)
	}
	delay := map[string]time.Duration{"a": 0, "b": 50 * time.Second, "c": 100 * time.Second}
	slices.SortStableFunc(b, func(x, y fleet.Sample) int {
		return x.At.Add(delay[x.Pod]).Compare(y.At.Add(delay[y.Pod]))
	})
	one, other := NewHistory(), NewHistory()
	feed(t, one, a...)
	feed(t, other, b...)
	x, y := one.Use(ref, 3*time.Hour, noon, 0.9), other.Use(ref, 3*time.Hour, noon, 0.9)
	if !reflect.DeepEqual(x, y) {
		t.Errorf("%+v\n%+v", x, y)
	}
}

// TestHourSamplesAndSeconds: a sample of an hour and samples of seconds live in one history. 40
// minutes at 100m, in one sample, then 20 minutes at 400m: (40×100 + 20×400)/60 = 200m.
func TestHourSamplesAndSeconds(t *testing.T) {
	h := NewHistory()
	long := sample(fleet.CPU, "a", noon.Add(40*time.Minute), 0.1)
	long.Window = 40 * time.Minute
	feed(t, h, long)
	end := noon.Add(time.Hour)
	feed(t, h, steady(fleet.CPU, "a", end, 20*time.Minute, 0.4)...)
	d, _ := h.Distribution(ref, "model-server", fleet.CPU, 2*time.Hour, end)
	if off(d.Mean, 0.2) > 1e-6 || d.Spent != time.Hour {
		t.Errorf("mean %v over %s", d.Mean, d.Spent)
	}
	if p := d.Percentile(0.5); off(p, 0.1) > 1e-6 {
		t.Errorf("p50 %v", p)
	}
}

// TestGapsAreNotMeasured: two minutes, a day of silence, two minutes.
func TestGapsAreNotMeasured(t *testing.T) {
	h := NewHistory()
	feed(t, h, steady(fleet.CPU, "a", noon.Add(-24*time.Hour), 2*time.Minute, 0.1)...)
	feed(t, h, steady(fleet.CPU, "b", noon, 2*time.Minute, 0.1)...)
	d, _ := h.Distribution(ref, "model-server", fleet.CPU, 48*time.Hour, noon)
	if d.Spent != 4*time.Minute {
		t.Errorf("measured for %s", d.Spent)
	}
}

func TestForget(t *testing.T) {
	h := NewHistory()
	other := sample(fleet.CPU, "x", noon.Add(-40*24*time.Hour), 0.1)
	other.Ref = fleet.Deployment("ml", "gone")
	feed(t, h, other)
	feed(t, h, steady(fleet.CPU, "a", noon, 3*time.Hour, 0.1)...)
	h.Forget(noon.Add(-time.Hour))
	if refs := h.Refs(); !slices.Equal(refs, []fleet.Ref{ref}) {
		t.Errorf("left: %v", refs)
	}
	if d, _ := h.Distribution(ref, "model-server", fleet.CPU, 24*time.Hour, noon); d.Spent != time.Hour {
		t.Errorf("left: %s", d.Spent)
	}
	h.Forget(noon.Add(time.Second))
	if len(h.Refs()) != 0 || !h.Last().IsZero() {
		t.Error("something is left")
	}
}

func TestRetention(t *testing.T) {
	h := NewHistory()
	for at := noon.Add(-50 * 24 * time.Hour); !at.After(noon); at = at.Add(time.Hour) {
		s := sample(fleet.CPU, "a", at, 0.1)
		s.Window = time.Hour
		feed(t, h, s)
	}
	d, _ := h.Distribution(ref, "model-server", fleet.CPU, 100*24*time.Hour, noon)
	if d.Spent < Retention-time.Hour || d.Spent > Retention+4*24*time.Hour {
		t.Errorf("kept %s", d.Spent)
	}
}

// fiveWeeks is five weeks of one container, a minute apart, as a busy server shows them.
func fiveWeeks(t testing.TB, pods int) *History {
	h, r := NewHistory(), rand.New(rand.NewPCG(4, 4))
	for at := noon.Add(-Retention); !at.After(noon); at = at.Add(time.Minute) {
		day := 1 + 0.5*math.Sin(float64(at.Unix()%86400)/86400*2*math.Pi)
		for p := range pods {
			pod := fmt.Sprint("recommendation-model-7d4b9c6f5-abcd", p)
			feed(t, h, sample(fleet.CPU, pod, at, 0.2*day*math.Exp(r.NormFloat64()*0.3)),
				sample(fleet.Memory, pod, at, 300*mib*(1+0.02*r.Float64())))
		}
	}
	return h
}

// TestReadingsHaveBounds: of more readings than a sample can have 65,535 count.
func TestReadingsHaveBounds(t *testing.T) {
	h := NewHistory()
	s := sample(fleet.CPU, "a", noon, 0.1)
	s.N = 70_000
	feed(t, h, s)
	if got := h.Use(ref, time.Hour, noon, 0.5)[0].Samples; got != 65_535 {
		t.Errorf("%d readings", got)
	}
}

// TestSize holds five weeks of a container whose use is noisy, two signals, three pods, to 3.5 KB as a checkpoint.
func TestSize(t *testing.T) {
	h := fiveWeeks(t, 3)
	for _, s := range h.of(ref) {
		buckets, cells := 0, 0
		r := s.past.reader(floorOf(s.signal()))
		for b := (bucket{}); r.next(&b, true); buckets++ {
			cells += len(b.hist)
		}
		t.Logf("%s: %d buckets, %d cells, %d bytes, room for %d, %d open", s.signal(), buckets, cells, len(s.past), cap(s.past), len(s.open))
	}
	size := len(h.Checkpoint(ref))
	if t.Logf("%d bytes as a checkpoint", size); size > 3_500 {
		t.Errorf("%d bytes as a checkpoint", size)
	}
}

func BenchmarkAdd(b *testing.B) {
	h := NewHistory()
	s := sample(fleet.CPU, "a", noon, 0.2)
	for i := range b.N {
		s.At = noon.Add(time.Duration(i) * 15 * time.Second)
		s.Pod, s.Mean = [3]string{"a", "b", "c"}[i%3], 0.1+float64(i%7)/10
		if err := h.Add(s, s.At); err != nil {
			b.Fatal(err)
		}
	}
}

// TestLongWindowIsNotCountedTwice: a pod's sample of a day is known again hours later, while its
// slot is open.
func TestLongWindowIsNotCountedTwice(t *testing.T) {
	h := NewHistory()
	day := sample(fleet.CPU, "a", noon, 0.1)
	day.Window = 24 * time.Hour
	feed(t, h, day)
	feed(t, h, steady(fleet.CPU, "b", noon.Add(3*time.Hour), 3*time.Hour, 0.1)...)
	if err := h.Add(day, noon.Add(3*time.Hour)); !errors.Is(err, ErrRepeated) {
		t.Errorf("got %v", err)
	}
}
