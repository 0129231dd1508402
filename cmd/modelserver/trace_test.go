package main

import (
	"bytes"
	"compress/gzip"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const sec = time.Second

// TestReadTrace: a made-up file of each form; expected requests are rate times time.
func TestReadTrace(t *testing.T) {
	tests := []struct {
		name, text string
		end        time.Duration
		rows       int
		at         time.Duration // requests before it are
		want       float64
	}{
		{"rates: 10 s of 2/s and 5 s of 4/s", "t,req_per_s\n0,2\n10,4\n", 20 * sec, 2, 15 * sec, 40},
		{"rates with fits", "t,req_per_s,cv,fit,p1,p2\n600,2,1.5,Gamma,0.44,1.1\n610,0,0,,0,0\n620,1,2,Weibull,0.6,0.7\n", 30 * sec, 3, 30 * sec, 30},
		{"rates with cv only", "t,req_per_s,cv\n0,2,0\n10,4,2\n", 20 * sec, 2, 20 * sec, 60},
		{"counts: 30 in 60 s, by the middle 15", "t,requests\n0,30\n60,6\n", 120 * sec, 2, 30 * sec, 15},
		{"counts as floats under another name, from a date on", "\"t\",value\r\n1400000000, 30.0\r\n1400000300,60\r\n", 600 * sec, 2, 600 * sec, 90},
		// The row of 20 s is missing: the row at 10 s counts 10 in 10 s, and its rate stands for 10 s more.
		{"a row is missing", "t,count\n0,5\n10,10\n30,20\n40,1\n", 50 * sec, 4, 30 * sec, 25},
		{"one number on each line: the same rate is one stretch", "3\n3\n0\n7\n", 4 * sec, 3, 2500 * time.Millisecond, 6},
		{"a log in milliseconds", "t_ms,tokens\n100,1\n100,2\n350,9\n", 251 * time.Millisecond, 3, 250 * time.Millisecond, 2},
		{"a log in seconds", "t,status,kind\n1731689870,OK,a\n1731689872,OK,b\n", 3 * sec, 2, sec, 1},
		{"a log of times alone, in parts of seconds", "# made up\n\nt\n0.25\n0.75\n", 501 * time.Millisecond, 2, 500 * time.Millisecond, 1},
	}
	for _, tt := range tests {
		for _, text := range []string{tt.text, zipped(tt.text)} {
			got, bad := readTrace(strings.NewReader(text))
			if len(bad) > 0 {
				t.Errorf("%s: %v", tt.name, bad)
				continue
			}
			if n := len(got.stretches) + len(got.times); n != tt.rows || got.end != tt.end {
				t.Errorf("%s: %d rows until %s, want %d until %s", tt.name, n, got.end, tt.rows, tt.end)
			}
			if n := got.requests(tt.at); math.Abs(n-tt.want) > 1e-6 {
				t.Errorf("%s: %v requests before %s, want %v", tt.name, n, tt.at, tt.want)
			}
		}
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return b.String()
}

func TestTraceLaws(t *testing.T) {
	got, bad := readTrace(strings.NewReader("t,req_per_s,cv,fit,p1,p2\n0,2,9,gamma,0.5,1\n1,2,9,Weibull,0.75,1\n2,2,2,,,\n3,2,,,,\n4,0,0,,0,0\n"))
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	// A cv of 2 is the gamma law of shape 1/2² = 0.25.
	want := []stretch{{law: gamma, shape: 0.5}, {law: weibull, shape: 0.75}, {law: gamma, shape: 0.25}, {}, {}}
	for i, s := range got.stretches {
		if s.law != want[i].law || s.shape != want[i].shape {
			t.Errorf("row %d has law %d of shape %v, want %d of %v", i, s.law, s.shape, want[i].law, want[i].shape)
		}
	}
}

func TestTraceFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "has no rows"},
		{"a header only", "t,requests\n", "has no rows"},
		{"not a trace", "a,b\n1,2\n", `line 1: "a,b" is no form of a trace; it has a header with t and req_per_s`},
		{"a rate under another name", "t,rps\n1,2\n", `line 1: "t,rps" is no form`},
		{"one row", "t,requests\n0,5\n", "has one row; how long a row lasts is seen from two"},
		{"no number", "t,requests\n0,x\n", `line 2: the count is "x"; a number from 0 to 1e+09 is expected`},
		{"below zero", "t,req_per_s\n0,-1\n", `line 2: the rate is "-1"`},
		{"NaN", "5\nNaN\n", `line 2: the count is "NaN"`},
		{"time without end", "t,req_per_s\nInf,1\n", `line 2: the time is "Inf"`},
		{"columns", "t,req_per_s\n0,1,2\n", "line 2: has 3 columns; 2 were expected"},
		{"order", "t,requests\n60,1\n60,2\n", "line 3: the time 60 does not come after the row before; sort the file by time"},
		{"order of a log", "t_ms\n5\n5\n4\n", "line 4: the time 4 does not come after"},
		{"law", "t,req_per_s,cv,fit,p1,p2\n0,1,1,Pareto,1,1\n", `line 2: the fit is "pareto"; Gamma, Weibull or nothing is expected`},
		{"shape", "t,req_per_s,cv,fit,p1,p2\n0,1,1,Gamma,0,1\n", `line 2: p1, the shape of the fit, is "0"`},
		{"cut off", zipped("1\n2\n3\n")[:20], "cannot be read after it: unexpected EOF"},
		{"no gzip", "\x1f\x8bx", "the file begins like gzip and is none"},
		{"a long line", strings.Repeat("7", mostTraceLine+1), "line 1: is longer than 65536 bytes"},
		{"many", "1\n" + strings.Repeat("x\n", 8), "and 3 faults more"},
	}
	for _, tt := range tests {
		got, bad := readTrace(strings.NewReader(tt.text))
		if !strings.Contains(bad.Error(), tt.want) || got.end != 0 {
			t.Errorf("%s: %q, want %q", tt.name, bad.Error(), tt.want)
		}
	}
}

// stepped is 10 s of 2/s, 10 s of 8/s, 10 s of nothing.
func stepped() trace {
	out := trace{stretches: []stretch{{from: 0, rate: 2}, {from: 10 * sec, rate: 8}, {from: 20 * sec, rate: 0}}, end: 30 * sec}
	out.sum()
	return out
}

func TestCutAndBusiest(t *testing.T) {
	log := trace{times: []time.Duration{0, 4 * sec, 5 * sec, 5 * sec, 29 * sec}, end: 30 * sec, grain: sec}
	tests := []struct {
		name         string
		of           trace
		from, length time.Duration
		end          time.Duration
		all          float64
		span         time.Duration
		busiest      float64
	}{
		{"all of it", stepped(), 0, 0, 30 * sec, 100, sec, 8},
		{"the busiest 12 s end with a rate: 2 s of 2/s and 10 s of 8/s", stepped(), 0, 0, 30 * sec, 100, 12 * sec, 84},
		{"the busiest 40 s are all", stepped(), 0, 0, 30 * sec, 100, 40 * sec, 100},
		{"from 5 s: 5 s of 2/s, 10 s of 8/s", stepped(), 5 * sec, 0, 25 * sec, 90, sec, 8},
		{"5 s to 12 s: 5 s of 2/s, 2 s of 8/s", stepped(), 5 * sec, 7 * sec, 7 * sec, 26, sec, 8},
		{"a part of one row", stepped(), 11 * sec, 2 * sec, 2 * sec, 16, sec, 8},
		{"a log", log, 0, 0, 30 * sec, 5, 2 * sec, 3},
		{"a log from 4 s on", log, 4 * sec, 10 * sec, 10 * sec, 3, sec, 2},
	}
	for _, tt := range tests {
		got := tt.of.cut(tt.from, tt.length)
		if n := got.requests(got.end); got.end != tt.end || math.Abs(n-tt.all) > 1e-6 {
			t.Errorf("%s: %v requests until %s, want %v until %s", tt.name, n, got.end, tt.all, tt.end)
		}
		if n := got.busiest(tt.span); math.Abs(n-tt.busiest) > 1e-6 {
			t.Errorf("%s: %v in the busiest %s, want %v", tt.name, n, tt.span, tt.busiest)
		}
	}
}

// all plays a trace to its end.
func all(t *testing.T, of trace, scale float64, seed uint64) (out []time.Duration) {
	t.Helper()
	p := &player{trace: of, scale: scale, chance: rand.New(rand.NewPCG(seed, 1))}
	for {
		at, ok := p.next()
		if !ok {
			if at != of.end {
				t.Fatalf("it ends at %s, not at %s", at, of.end)
			}
			return out
		}
		if n := len(out); n > 0 && at < out[n-1] || at < 0 || at >= of.end {
			t.Fatalf("%s comes after %v of %s", at, out[max(0, n-1):], of.end)
		}
		out = append(out, at)
	}
}

// TestPlayedCounts: of 1000 times the trace, each part has its share: 20 and 80 times 1000, give or take four
// standard deviations, which are the roots.
func TestPlayedCounts(t *testing.T) {
	early, late := 0, 0
	for _, at := range all(t, stepped(), 1000, 1) {
		switch {
		case at < 10*sec:
			early++
		case at < 20*sec:
			late++
		default:
			t.Fatalf("a request at %s, when nothing comes", at)
		}
	}
	if math.Abs(float64(early)-20e3) > 4*math.Sqrt(20e3) || math.Abs(float64(late)-80e3) > 4*math.Sqrt(80e3) {
		t.Errorf("%d and %d requests, want 20000 and 80000", early, late)
	}
	if a, b := all(t, stepped(), 1, 5), all(t, stepped(), 1, 5); !slices.Equal(a, b) {
		t.Error("the same seed gives other times")
	}
	if a, b := all(t, stepped(), 1, 5), all(t, stepped(), 1, 6); slices.Equal(a, b) {
		t.Error("another seed gives the same times")
	}
}

// TestPlayedOverShortRows: gaps of 0.2 s go over many rows of 10 ms. In 1000 s there are 5000 requests, give or take
// four standard deviations.
func TestPlayedOverShortRows(t *testing.T) {
	of := trace{end: 1000 * sec}
	for from := time.Duration(0); from < of.end; from += 10 * time.Millisecond {
		of.stretches = append(of.stretches, stretch{from: from, rate: 5})
	}
	of.sum()
	if n := len(all(t, of, 1, 2)); math.Abs(float64(n)-5000) > 4*math.Sqrt(5000) {
		t.Errorf("%d requests, want 5000", n)
	}
}

// TestPlayedLaws: the rate and the coefficient of variation of 100,000 gaps. Of gamma that is 1/√shape; of weibull
// with shape 0.5 it is √(Γ(5)/Γ(3)² - 1) = √(24/4 - 1) = √5, with shape 2 √(Γ(2)/Γ(1.5)² - 1) = √(4/π - 1) = 0.5227.
func TestPlayedLaws(t *testing.T) {
	for _, tt := range []struct {
		law   law
		shape float32
		cv    float64
	}{{poisson, 0, 1}, {gamma, 0.25, 2}, {gamma, 1, 1}, {gamma, 4, 0.5}, {weibull, 0.5, math.Sqrt(5)}, {weibull, 2, 0.5227}} {
		of := trace{stretches: []stretch{{rate: 50, law: tt.law, shape: tt.shape}}, end: 1000 * sec}
		of.sum()
		times := all(t, of, 2, 3)
		mean, square := 0.0, 0.0
		for i := 1; i < len(times); i++ {
			gap := (times[i] - times[i-1]).Seconds()
			mean += gap
			square += gap * gap
		}
		mean /= float64(len(times) - 1)
		cv := math.Sqrt(square/float64(len(times)-1)-mean*mean) / mean
		if math.Abs(mean*100-1) > 0.03 || math.Abs(cv/tt.cv-1) > 0.05 {
			t.Errorf("law %d of shape %v: mean gap %v and cv %v, want 0.01 and %v", tt.law, tt.shape, mean, cv, tt.cv)
		}
	}
}

// TestPlayedLog: a log comes as it is, within its clock's grain; of half of it each request has the chance of a
// coin, and of three times of it the others come until the next row.
func TestPlayedLog(t *testing.T) {
	fine := trace{times: []time.Duration{0, 5 * sec, 5 * sec, 9 * sec}, end: 10 * sec}
	if got := all(t, fine, 1, 1); !slices.Equal(got, fine.times) {
		t.Errorf("played at %v", got)
	}
	coarse := fine
	coarse.grain = sec
	for i, at := range all(t, coarse, 1, 1) {
		if at < fine.times[i] || at >= fine.times[i]+sec {
			t.Errorf("request %d of %s is played at %s", i, fine.times[i], at)
		}
	}
	thrice := all(t, fine, 3, 1)
	if len(thrice) != 12 || thrice[2] >= 5*sec || slices.Index(thrice, 5*sec) != 3 || thrice[4] != 5*sec || thrice[5] == 5*sec || thrice[9] != 9*sec {
		t.Errorf("three times of it: %v", thrice)
	}
	n := 0
	for seed := range uint64(1000) {
		n += len(all(t, fine, 0.5, seed))
	}
	if math.Abs(float64(n)-2000) > 4*math.Sqrt(4000*0.25) {
		t.Errorf("%d of 4000 requests, want half", n)
	}
}

// TestRepeated: each round has the trace's requests, a trace's length later.
func TestRepeated(t *testing.T) {
	p := &player{trace: trace{times: []time.Duration{0, 4 * sec}, end: 10 * sec}, scale: 1, repeat: true, chance: rand.New(rand.NewPCG(1, 1))}
	var got []time.Duration
	for range 5 {
		at, ok := p.next()
		if !ok {
			t.Fatal("it ends")
		}
		got = append(got, at)
	}
	if want := []time.Duration{0, 4 * sec, 10 * sec, 14 * sec, 20 * sec}; !slices.Equal(got, want) {
		t.Errorf("played at %v, want %v", got, want)
	}
}

// FuzzTrace: whatever is read plays in order, and within its length.
func FuzzTrace(f *testing.F) {
	for _, text := range []string{
		"t,req_per_s,cv,fit,p1,p2\n600,2,1.5,Gamma,0.44,1.1\n610,0,0,,0,0\n", "t,requests\n0,30\n60,6\n", "3\n3\n0\n7\n",
		"t_ms,tokens\n100,1\n100,2\n350,9\n", "t\n0.25\n0.75\n", "t,a,b\n1,2,3\n", zipped("5\n"),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		of, bad := readTrace(strings.NewReader(text))
		if len(bad) > 0 {
			return
		}
		most := of.requests(of.end)
		if of.end <= 0 || math.IsNaN(most) || most < 0 {
			t.Fatalf("%v requests in %s", most, of.end)
		}
		for i, s := range of.stretches {
			if !(s.rate >= 0) || s.from >= of.until(i) {
				t.Fatalf("stretch %d from %s to %s has rate %v", i, s.from, of.until(i), s.rate)
			}
		}
		p := &player{trace: of, scale: 0.7, chance: rand.New(rand.NewPCG(1, 1))}
		last := time.Duration(0)
		for range 1000 {
			at, ok := p.next()
			if at < last || at > of.end || ok && at == of.end {
				t.Fatalf("%s after %s of %s", at, last, of.end)
			}
			if last = at; !ok {
				break
			}
		}
		if half := of.cut(of.end/2, 0); math.Abs(half.requests(half.end)+of.requests(of.end/2)-most) > 1e-6*most {
			t.Fatalf("%v and %v are not %v", of.requests(of.end/2), half.requests(half.end), most)
		}
		if b := of.busiest(sec); !(b >= 0 && b <= most*(1+1e-9)) {
			t.Fatalf("%v of %v in a second", b, most)
		}
	})
}
