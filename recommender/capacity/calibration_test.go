package capacity

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// cameTrue is a pair whose realised latency is e^log times what was predicted.
func cameTrue(log float64) Pair {
	const d = 10 * time.Millisecond
	return Pair{Predicted: d, Realised: time.Duration(float64(d) * math.Exp(log))}
}

func learnt(logs ...float64) (c Calibration) {
	for _, log := range logs {
		c = c.Add(cameTrue(log))
	}
	return c
}

func TestCalibrationOfNothing(t *testing.T) {
	var c Calibration
	if got := c.Correct(10*time.Millisecond, 0); got.Value != 10*time.Millisecond || got.Low != 8_623_880 || got.High != 11_595_709 {
		t.Errorf("10 ms are %+v, want 10 ms times e^±0.14805", got) // 8.623880 and 11.595709 ms
	}
	// ln(1.16/1)/0.09 = 1.649: 0.950. At the prediction itself: a half.
	for most, want := range map[time.Duration]float64{11_600_000: 0.9504, 10_000_000: 0.5, 0: 0, -5: 0} {
		if got := c.Chance(10*time.Millisecond, most); math.Abs(got-want) > 1e-3 {
			t.Errorf("the chance of at most %s is %v, want %v", most, got, want)
		}
	}
	if got := c.Chance(0, time.Millisecond); got != 1 {
		t.Errorf("nothing takes longer than a millisecond with a chance of %v", 1-got)
	}
	if got := c.Add(Pair{Predicted: time.Second}); len(got.Pairs) != 0 {
		t.Errorf("half a pair was learnt: %+v", got)
	}
}

// TestPace: four pairs of 5 % beside what was seen, the older of which counts 2^(-1/8), and of which 15 % is the most.
func TestPace(t *testing.T) {
	for _, tt := range []struct {
		cores [][2]float64
		want  float64
	}{
		{nil, 0.05},
		{[][2]float64{{1, 1.08}}, 0.0564},              // sqrt((4*0.0025 + 0.07696²)/5)
		{[][2]float64{{1, 0.5}, {2, 2}}, 0.0720},       // sqrt((0.01 + 0.917*0.15²)/5.917)
		{[][2]float64{{0, 1}, {1, 0}}, 0.05},           // neither says anything
		{[][2]float64{{1, 1}, {1, 1}, {1, 1}}, 0.0384}, // sqrt(0.01/(4 + 2.758))
	} {
		var c Calibration
		for _, p := range tt.cores {
			c = c.Add(Pair{Predicted: time.Second, Realised: time.Second, Cores: p})
		}
		if got := c.Pace(); math.Abs(got-tt.want) > 1e-4 {
			t.Errorf("%v: %.4f, want %.4f", tt.cores, got, tt.want)
		}
	}
}

// TestCalibrationByHand. One pair of 0.3: the variance about it is (0 + 4*0.0036)/(0 + 4) = 0.0036, and four times that as it
// is from one pair, 0.0144; a bias usually has 0.01, so that 0.3*0.01/0.0244 = 0.1230 is believed. The width is
// sqrt((0.177² + 4*0.0036)/4) = 0.1069. Two of 0.3 have weights of 0.917 and 1, which count as 1.9963 pairs:
// (0 + 2*0.0036)/(1.917*(1 - 1/1.9963) + 2) = 0.002435; times 1.5009² and of the mean, 0.002748; 0.3*0.01/0.012748 =
// 0.2353. 0.3 and -0.1 have a mean of 0.0913 and a chance of 0.0320, more than its square.
func TestCalibrationByHand(t *testing.T) {
	for _, tt := range []struct {
		logs        []float64
		bias, width float64
	}{
		{[]float64{0.3}, 0.1230, 0.1069},
		{[]float64{0.3, 0.3}, 0.2353, 0.0717},
		{[]float64{0.3, -0.1}, 0, 0.1837},
		{[]float64{-0.1, 0.3}, 0, 0.1897},
		{[]float64{0.1}, 0, 0.0781}, // no more than chance makes of nothing
	} {
		if c := learnt(tt.logs...); math.Abs(c.Bias-tt.bias) > 1e-4 || math.Abs(c.Width-tt.width) > 1e-4 {
			t.Errorf("%v: bias %.4f, width %.4f; want %.4f and %.4f", tt.logs, c.Bias, c.Width, tt.bias, tt.width)
		}
	}
}

// TestSteepCounts: what the pace explains is believed less and widens less. 0.3 where the latency was as steep as 0.06/0.05 =
// 1.2 has twice the variance, so that of the mean is 2*0.0144: 0.3*0.01/0.0388 = 0.0773 is believed; the width is
// sqrt(((0.3 - 0.0773)²/2 + 4*0.0036)/4) = 0.0990. Windows that agree are believed however steep they are, and a flat one
// among steep ones counts most. The interval of a prediction that is as steep holds the pace as well, where it is longer.
func TestSteepCounts(t *testing.T) {
	steep := func(log, by float64) Pair {
		p := cameTrue(log)
		p.Steep = by
		return p
	}
	if c := (Calibration{}).Add(steep(0.3, 1.2)); math.Abs(c.Bias-0.0773) > 1e-4 || math.Abs(c.Width-0.0990) > 1e-4 {
		t.Errorf("bias %.4f, width %.4f; want 0.0773 and 0.0990", c.Bias, c.Width)
	}
	var agree Calibration
	for range 16 {
		agree = agree.Add(steep(0.3, 5))
	}
	if agree.Bias < 0.15 || agree.Bias > 0.3 {
		t.Errorf("16 windows of 0.3: bias %.4f", agree.Bias)
	}
	if c := agree.Add(cameTrue(0)); c.Bias > agree.Bias/2 {
		t.Errorf("one flat window came as predicted, and the bias goes from %.4f to %.4f", agree.Bias, c.Bias)
	}
	// hypot(0.09, 1.2*0.05) = 0.10817; 1.645 of that is 0.17793, and e^0.17793 = 1.19474.
	// Where it is shorter it is as steep as 1 at most: hypot(0.09, 0.05)*1.645 = 0.16936, and e^-0.16936 = 0.84420.
	if got := (Calibration{}).Correct(10*time.Millisecond, 1.2); math.Abs(float64(got.High)-11_947_400) > 1000 || math.Abs(float64(got.Low)-8_442_000) > 1000 {
		t.Errorf("%s to %s, want 8.442 to 11.947 ms", got.Low, got.High)
	}
}

// TestSteep: 10 ms that are 12.1 ms where computing takes 1.1 times as long are ln(1.21)/ln(1.1) = 2 as steep.
func TestSteep(t *testing.T) {
	for _, tt := range []struct {
		s    Slowed
		want float64
	}{
		{Slowed{Times: 1.1, Tail: 12_100 * time.Microsecond}, 2},
		{Slowed{Times: 1.1, Tail: 10 * time.Millisecond}, 0}, // waiting alone
		{Slowed{Times: 1.1, Tail: 9 * time.Millisecond}, 0},  // chance
		{Slowed{Times: 1.1, Tail: time.Minute}, 10},
		{Slowed{Times: 1.1, Full: true}, 10},
		{Slowed{Times: 1, Tail: 12 * time.Millisecond}, 0},
		{Slowed{}, 0},
	} {
		if got := tt.s.Steep(10 * time.Millisecond); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%+v: %g, want %g", tt.s, got, tt.want)
		}
	}
}

func TestSlowedInWords(t *testing.T) {
	for want, s := range map[string]Slowed{
		"":                            {},
		"12 ms (9 % slower)":          {Times: 1.09, Tail: 12 * time.Millisecond},
		"too much comes (9 % slower)": {Times: 1.09, Tail: time.Second, Full: true},
	} {
		if got := s.words(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestCalibrationIsShrunk: a bias is between 0 and the mean; more windows that agree move it more, windows that are
// farther apart about the same mean move it less, and where they are farther apart than it is large, not at all.
func TestCalibrationIsShrunk(t *testing.T) {
	for _, mean := range []float64{-0.4, -0.1, 0.05, 0.2, 0.5} {
		before := 0.0
		for n := 1; n <= 12; n++ {
			bias := learnt(slices.Repeat([]float64{mean}, n)...).Bias / mean
			if bias < before || bias > 1 || n == 12 && bias < 0.9 {
				t.Errorf("%d windows of %g: %g of it, with one fewer %g", n, mean, bias, before)
			}
			before = bias
		}
		for apart := 0.0; apart < 0.5; apart += 0.02 {
			// Four in such an order that their weights do not favour a side much.
			bias := learnt(mean+apart, mean-apart, mean-apart, mean+apart).Bias / mean
			if bias < 0 || bias > before+1e-3 || apart > 2.5*math.Abs(mean) && bias != 0 {
				t.Errorf("four windows %g about %g: %g of it, nearer %g", apart, mean, bias, before)
			}
			before = bias
		}
	}
}

// TestCalibrationForgets: what was 40 pairs ago is not kept; after 16 pairs of another bias the old one is a quarter.
func TestCalibrationForgets(t *testing.T) {
	var logs []float64
	for range 40 {
		logs = append(logs, 0)
	}
	for range 16 {
		logs = append(logs, 0.2)
	}
	if c := learnt(logs...); len(c.Pairs) != pairsKept || c.Bias < 0.14 || c.Bias > 0.2 {
		t.Errorf("%d pairs, bias %v; want %d, and between 0.14 and 0.2", len(c.Pairs), c.Bias, pairsKept)
	}
}

// TestCalibrationOutlier: one pair of twenty that is off by e moves nothing.
func TestCalibrationOutlier(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	var logs []float64
	for range 20 {
		logs = append(logs, 0.05+0.03*r.NormFloat64())
	}
	logs[15] = 1
	if c := learnt(logs...); math.Abs(c.Bias-0.05) > 0.03 || c.Width > 0.07 {
		t.Errorf("bias %v, width %v; want about 0.05 and 0.03", c.Bias, c.Width)
	}
}

// TestCalibrationCovers: whatever the bias and the noise of a server, the next latency is in the 90 % interval 85 to
// 95 times of 100 once eight pairs are known, and at least 75 times before; with one outlier in twenty as well.
func TestCalibrationCovers(t *testing.T) {
	for _, noise := range []float64{0.03, 0.08, 0.2} {
		for _, outliers := range []float64{0, 0.05} {
			early, late := coverage(noise, outliers)
			if early < 0.75 || late < 0.85 || late > 0.95+0.01 {
				t.Errorf("noise %v, outliers %v: %.3f of the first eight and %.3f of the others are in their interval", noise, outliers, early, late)
			}
		}
	}
}

// coverage is the share in their interval of the first eight pairs and of the others, over many servers.
func coverage(noise, outliers float64) (early, late float64) {
	const first, last = 8, 40
	const servers = 150.0
	r := rand.New(rand.NewPCG(17, uint64(noise*1000)))
	for range int(servers) {
		bias := 0.08 * r.NormFloat64()
		var c Calibration
		for i := range last {
			log := bias + noise*r.NormFloat64()
			if r.Float64() < outliers {
				log += 0.7
			}
			p, in := cameTrue(log), 0.0
			if e := c.Correct(p.Predicted, 0); e.Low <= p.Realised && p.Realised <= e.High {
				in = 1
			}
			if i < first {
				early += in / first / servers
			} else {
				late += in / (last - first) / servers
			}
			c = c.Add(p)
		}
	}
	return early, late
}

// TestCalibrationIsOrdered: the chance grows with what is allowed, falls with what is predicted, and the interval
// holds its value, whatever was learnt; learning changes no other calibration.
func TestCalibrationIsOrdered(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		var c Calibration
		for range r.IntN(50) {
			before := Calibration{append([]Pair(nil), c.Pairs...), c.Bias, c.Width}
			next := c.Add(Pair{Predicted: time.Duration(1 + r.Int64N(1e10)), Realised: time.Duration(1 + r.Int64N(1e10))})
			if len(c.Pairs) > 0 && !reflect.DeepEqual(before, c) {
				t.Fatal("learning changed what was known before")
			}
			c = next
		}
		d := time.Duration(1 + r.Int64N(1e10))
		e := c.Correct(d, r.Float64())
		if !(0 <= e.Low && e.Low <= e.Value && e.Value <= e.High) {
			t.Errorf("seed %d: %s is %+v", seed, d, e)
		}
		for most := d / 4; most < 4*d; most += d / 8 {
			low, high, harder := c.Chance(d, most), c.Chance(d, most+d/8), c.Chance(d+d/8, most)
			if !(0 <= low && low <= high && high <= 1 && harder <= low) {
				t.Errorf("seed %d: chances %v, %v, %v", seed, low, high, harder)
			}
		}
	}
}

// TestWidened: what is shown as sure holds what the windows left open, and is never narrower than the prediction.
func TestWidened(t *testing.T) {
	e := Estimate{Value: 10 * ms, Low: 9 * ms, High: 11 * ms}
	if got := (Calibration{}).widened(e, 0); got != e {
		t.Errorf("nothing was learnt, and it is %v", got)
	}
	// Five windows between 1.05 and 21 times the prediction: a bias of 1 or more, shrunk, and a width of about a half.
	var wild Calibration
	for _, by := range []time.Duration{105, 400, 2100, 460, 1260} {
		wild = wild.Add(Pair{Predicted: 10 * ms, Realised: by * ms / 10})
	}
	if got := wild.widened(e, 0); got.Value != e.Value || got.Low > e.Low || got.High < 2*e.Value || got.High != wild.Correct(e.Value, 0).High {
		t.Errorf("windows between 1.05 and 21 times give %v", got)
	}
	// One window that came as predicted says less than the curve's own error does.
	same := Calibration{}.Add(Pair{Predicted: 10 * ms, Realised: 10 * ms})
	if got := same.widened(Estimate{Value: 10 * ms, Low: ms, High: 100 * ms}, 0); got.Low != ms || got.High != 100*ms {
		t.Errorf("the prediction's own interval was narrowed to %v", got)
	}
}
