package recommender

import (
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// TestDecimal: five digits are kept, more are rounded to them, and next to nothing is nothing.
func TestDecimal(t *testing.T) {
	for _, c := range []struct{ in, want float64 }{
		{0, 0}, {1e-13, 0}, {1, 1}, {0.1, 0.1}, {12345, 12345}, {123.454, 123.45}, {99999.6, 100000}, {1e-12, 1e-12},
		{1e18, 1e18}, {9e29, 9e29}, {1e40, 9.9999e30},
	} {
		if got := amountOf(decimalOf(c.in)); math.Abs(got-c.want) > 1e-9*c.want {
			t.Errorf("%g: got %g, want %g", c.in, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		v := math.Exp(80*r.Float64() - 25)
		back := amountOf(decimalOf(v))
		if off(back, v) > 5.0001e-5 || amountOf(decimalOf(back)) != back {
			t.Fatalf("%g comes back as %g, then as %g", v, back, amountOf(decimalOf(back)))
		}
	}
}

// TestTails: a share comes back as the next larger one of the table, 2 % more at most down to 2 %, 12 % below.
func TestTails(t *testing.T) {
	for _, c := range []struct {
		share float64
		place byte
	}{{1, 0}, {0.99, 0}, {1 / 1.02, 1}, {0.5, 35}, {0.1, 116}, {1e-9, 255}} {
		if got := tailOf(c.share); got != c.place {
			t.Errorf("%g: got %d, want %d", c.share, got, c.place)
		}
	}
	for share := 1.0; share > tails[255]; share *= 0.997 {
		most := 1.02
		if share < 0.02 {
			most = 1.12
		}
		if back := tails[tailOf(share)]; back < share*(1-1e-5) || back > share*most*(1+1e-5) {
			t.Fatalf("%g comes back as %g", share, back)
		}
	}
}

// someBuckets are buckets of an hour one after the other, some with silence before them.
func someBuckets(r *rand.Rand, n int) (bs []bucket) {
	to := uint32(noon.Unix())
	for range n {
		to += 3600 * uint32(1+r.IntN(10)/9)
		b := bucket{to: to, from: to - 3600, span: 3600, samples: 60, weight: 3600, pods: uint32(1 + r.IntN(3)), peak: float32(r.IntN(2)) * 9 * r.Float32()}
		if r.IntN(4) == 0 {
			b.from, b.span, b.samples, b.weight = to-3000+uint32(r.IntN(100)), 1800, uint32(r.IntN(1000)), float32(1+r.IntN(1800))
		}
		var cells []cell
		for range 1 + r.IntN(40) {
			v := float32(0.001 * math.Exp(9*r.Float64()))
			cells = append(cells, cellOf(v, float32(r.IntN(9)+1), 0.001))
		}
		b.hist = newHistogram(cells)
		mean := amountOf(decimalOf(math.Exp(20*r.Float64()-4))) / 1000
		total := amountOf(decimalOf(1000*mean*float64(1+r.IntN(2)))) / 1000 // twice a decimal may be none
		b.sum, b.total = mean*float64(b.weight), total*float64(b.weight)
		if b.even = b.total / float64(b.pods); b.pods > 1 && r.IntN(3) == 0 {
			b.even = amountOf(decimalOf(700*mean)) / 1000 * float64(b.weight)
		}
		bs = append(bs, b)
	}
	return bs
}

// TestPastSizes by hand: the head is 7 bytes. The first bucket is its marks, 4 bytes of minutes since 1970 and one of its
// span, 4 of a mean of 250 floors, place 1,275,001 among decimals, and one of a peak that is the mean. Then each is:
func TestPastSizes(t *testing.T) {
	at := uint32(noon.Unix())
	minute := bucket{to: at, from: at - aMinute, span: aMinute, samples: 1, pods: 1, weight: aMinute, peak: 0.25, sum: 15, total: 15, even: 15}
	for _, row := range []struct {
		name string
		turn func(b *bucket)
		size int
	}{
		{"alike", func(*bucket) {}, 3}, // marks, mean, peak
		{"without a peak", func(b *bucket) { b.peak = 0 }, 2},
		{"0.04 % more", func(b *bucket) { b.sum *= 1.0004; b.total, b.peak = b.sum, 0 }, 2},                 // 10 places
		{"a third more", func(b *bucket) { b.sum *= 4. / 3; b.total, b.peak = b.sum, 0 }, 4},                // 8,333 places
		{"two pods alike", func(b *bucket) { b.pods, b.samples, b.total, b.peak = 2, 2, 30, 0 }, 2 + 4 + 3}, // pods, 25,000 places; 3 rates
		{"begun 53 s early", func(b *bucket) { b.from, b.peak = b.from-53, 0 }, 2 + 3},
		{"an hour later", func(b *bucket) { b.to, b.from, b.peak = b.to+3540, b.from+3540, 0 }, 2 + 2}, // step and span
	} {
		next := minute
		next.to, next.from = at+aMinute, at
		row.turn(&next)
		next.even = next.total / float64(next.pods)
		first := past(nil).append(minute, widths{}, 0.001)
		if both := first.append(next, widths{}, 0.001); len(first) != 7+11 || len(both)-len(first) != row.size {
			t.Errorf("%s: %d and %d bytes, want 18 and %d", row.name, len(first), len(both)-len(first), row.size)
		}
	}
}

// TestPastKeepsBuckets: what is put in comes out, a histogram with no percentile smaller.
func TestPastKeepsBuckets(t *testing.T) {
	for seed := range uint64(50) {
		bs := someBuckets(rand.New(rand.NewPCG(seed, 1)), 20)
		var p past
		for _, b := range bs {
			same := b
			same.hist = slices.Clone(b.hist)
			p = p.append(same, fine, 0.001)
		}
		r := p.reader(0.001)
		for i, b := 0, (bucket{}); r.next(&b, true); i++ {
			slices.Reverse(b.hist)
			for _, q := range []float64{0, 0.5, 0.9, 0.95, 0.99, 1} {
				got, want := b.hist.percentile(q), bs[i].hist.percentile(q)
				if got < want*(1-1e-6) || q == 1 && got > want*growth*(1+1e-6) {
					t.Fatalf("seed %d, bucket %d, p%g: got %g, want %g", seed, i, 100*q, got, want)
				}
			}
			got, want := b, bs[i]
			got.hist, want.hist = nil, nil
			if off(got.even, want.even) > 1e-6 {
				t.Fatalf("seed %d, bucket %d: %g on average, want %g", seed, i, got.even, want.even)
			}
			if off(got.sum, want.sum) > 1e-6 || off(got.total, want.total) > 1e-6 {
				t.Fatalf("seed %d, bucket %d: %+v, want %+v", seed, i, got, want)
			}
			if got.sum, got.total, got.even = want.sum, want.total, want.even; !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, bucket %d: %+v, want %+v", seed, i, got, want)
			}
		}
		if r.broken {
			t.Fatalf("seed %d: the bytes are refused", seed)
		}
	}
}

// TestThinnedOnceIsEnough: joining ranges again, by the same widths, makes no percentile larger than a group of ranges
// is wide: 1.05^4.
func TestThinnedOnceIsEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		var cells []cell
		for range 100 {
			cells = append(cells, cellOf(float32(math.Exp(r.NormFloat64())), 1+r.Float32(), 0.001))
		}
		h := newHistogram(cells)
		thin := slices.Clone(h)
		for range 9 {
			thin = thin.thinned(fine)
		}
		for q := 0.01; q < 1; q += 0.01 {
			was, is := h.percentile(q), thin.percentile(q)
			if is < was || is > was*math.Pow(growth, 4) {
				t.Fatalf("p%g was %g and is %g", 100*q, was, is)
			}
		}
		if off(thin.weight(), h.weight()) > 1e-5 {
			t.Fatalf("weight %g of %g", thin.weight(), h.weight())
		}
	}
}

// TestWideHistogramFits: 1,024 ranges do not fit into a histogram's bytes; it is then told apart less finely.
func TestWideHistogramFits(t *testing.T) {
	var cells []cell
	for r := range ranges {
		cells = append(cells, cell{top: float32(rangeEnds[r] / 1000), weight: float32(r%7 + 1), in: uint16(r)})
	}
	p := past(nil).append(bucket{to: 6000, span: 60, weight: 60, samples: 1, hist: cells}, fine, 0.001)
	r := p.reader(0.001)
	if b := (bucket{}); !r.next(&b, true) || len(b.hist) < 60 || b.hist[0].in != ranges-1 {
		t.Errorf("%d cells, broken %v", len(b.hist), r.broken)
	}
}

// TestCoarsenedCopiesTheRest: after a tick only what is joined is written anew, and nothing is lost.
func TestCoarsenedCopiesTheRest(t *testing.T) {
	now := uint32(noon.Unix())
	for _, row := range []struct {
		hist histogram
		want []uint32
	}{
		// 10:20 to 11:00 (its 10 minutes of 10:20 are one) is older than an hour, then 10 minutes each to 11:50, then minutes.
		{histogram{cellOf(1, aMinute, 0.001)}, []uint32{41, 10, 10, 10, 10, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{nil, []uint32{101}}, // six hours that have passed
	} {
		var p past
		for at := now - 100*aMinute; at <= now; at += aMinute {
			p = p.append(bucket{to: at, from: at - aMinute, span: aMinute, samples: 1, weight: aMinute, pods: 2, peak: 1, sum: aMinute, total: aMinute, hist: row.hist}, fine, 0.001)
		}
		all := p.coarsened(int64(now), fine, 0.001).entries(nil, 0.001)
		var spans []uint32
		samples := uint32(0)
		for i, b := range all {
			spans, samples = append(spans, b.span/aMinute), samples+b.samples
			if last := i == len(all)-1; b.peak > 0 && b.bucket.to+10*aMinute < now && !last {
				t.Errorf("bucket %d to %d keeps a peak that a later one has too", i, b.bucket.to)
			}
		}
		if !slices.Equal(spans, row.want) || samples != 101 {
			t.Errorf("minutes %v, want %v; %d samples", spans, row.want, samples)
		}
	}
}

// TestRestoresVersion2: three hours of a sample a minute of two pods, 100m but 200m in every tenth minute, and 300 MiB,
// as version 2 wrote it. Of 181 minutes 19 were at 200m: mean (162 × 100m + 19 × 200m) / 181 = 110.497m.
func TestRestoresVersion2(t *testing.T) {
	data, err := os.ReadFile("testdata/history-2.bin")
	if err != nil {
		t.Fatal(err)
	}
	var h History
	if err := h.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	uses := h.Use(ref, 7*24*time.Hour, noon, 0.95)
	if len(uses) != 2 {
		t.Fatalf("got %+v", uses)
	}
	cpu, memory := uses[0], uses[1]
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"mean", cpu.Mean, 0.110497}, {"p50", cpu.P50, 0.1}, {"p95", cpu.Percentile, 0.2}, {"peak", cpu.Peak, 0.2},
		{"total", cpu.Total, 0.220994}, {"samples", float64(cpu.Samples), 362}, {"pods", float64(cpu.Pods), 2},
		{"memory", memory.Mean, 300 * mib}, {"p50 of memory", memory.P50, 300 * mib}, {"peak of memory", memory.Peak, 300 * mib},
	} {
		if off(c.got, c.want) > 1e-4 {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	if !cpu.From.Equal(noon.Add(-181*time.Minute)) || !cpu.To.Equal(noon) {
		t.Errorf("from %s to %s", cpu.From, cpu.To)
	}
	feed(t, &h, sample(fleet.CPU, "a", noon.Add(time.Minute), 0.1), sample(fleet.CPU, "c", noon.Add(20*time.Minute), 0.1))
}
