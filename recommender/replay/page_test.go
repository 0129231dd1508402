package replay

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// twoSeries are compared by three rules.
func twoSeries() ([]Series, Comparison, []Drawn) {
	random := generator(2)
	a := made(300, 9, func(at int64) float64 { return 0.2 + float64(random.below(10))/100 })
	b := made(300, 9, func(at int64) float64 { return float64(random.below(100)) / 50 })
	a.ID, b.ID, a.Class, b.Class, a.Granted, b.Granted = "a<b>", "b", "calm", "wild", 1, 4
	all := []Series{a, b}
	drawn := []Drawn{{Series: a}, {Series: b}}
	o := CompareOptions{Score: Standard(30_000), Node: 4}
	c := Compare(all, []Maker{KRR(), VPA(), FlatMax(1)}, o, func(m Maker, i int, line []float64) {
		drawn[i].Lines = append(drawn[i].Lines, DrawnLine{m.Name, append([]float64{}, line...)})
	})
	return all, c, drawn
}

func TestCompare(t *testing.T) {
	all, c, _ := twoSeries()
	if c.Unit != Cores || c.Series != 2 || c.Clusters != 2 || !c.Granted || c.Node != 4 || len(c.Rows) != 3 {
		t.Fatalf("%+v", c)
	}
	for i, m := range []Maker{KRR(), VPA(), FlatMax(1)} {
		for k, s := range all {
			if got, want := c.Rows[i].Scored[k].Scores, Score(s, Run(m, s), Standard(30_000)); got != want {
				t.Errorf("%s on %s: %+v, want %+v", m.Name, s.ID, got, want)
			}
		}
		if c.Rows[i].Packing.NodeHours != 6*24 || c.Rows[i].Scaled.NodeHours != 6*24 {
			t.Errorf("%s: %g node-hours, want 144: both fit on one node", m.Name, c.Rows[i].Packing.NodeHours)
		}
	}
	if c.Rows[2].Summary.Mean.Over > c.Rows[0].Summary.Mean.Over {
		t.Error("the maximum is exceeded more often than p95")
	}
}

func TestText(t *testing.T) {
	_, c, _ := twoSeries()
	var b strings.Builder
	if err := Text(&b, []Comparison{c}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CPU: 2 series over 9.0 days, in 2 groups that move together; $0.0300 a core-hour", "request, cores", "krr", "vpa", "max", "req/granted", "contention min", "$ a week"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
	c.Granted, c.Node, c.Price = false, 0, 0
	b.Reset()
	if err := Text(&b, []Comparison{c}); err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"granted", "node-h", "$"} {
		if strings.Contains(b.String(), not) {
			t.Errorf("without a grant, nodes or prices it says %q, in the table or below it:\n%s", not, b.String())
		}
	}
}

// TestDrawings: every drawing is well-formed, says in words what it shows, and holds no figure that is none.
func TestDrawings(t *testing.T) {
	_, c, drawn := twoSeries()
	pictures := []string{c.Frontier(false), c.Frontier(true), drawn[0].SVG(), drawn[1].SVG()}
	c.Granted = false
	pictures = append(pictures, c.Frontier(true))
	one := Drawn{Series: Series{ID: "one", Unit: Cores, At: []int64{5}, Used: []float64{0}}, Lines: []DrawnLine{{"krr", []float64{math.NaN()}}}}
	pictures = append(pictures, one.SVG())
	for i, p := range pictures {
		if !strings.Contains(p, "<title>") || !strings.Contains(p, "<desc>") || strings.Contains(p, "NaN") || strings.Contains(p, "Inf") {
			t.Errorf("drawing %d: %.300s", i, p)
		}
		if err := wellFormed(p); err != nil {
			t.Errorf("drawing %d: %v", i, err)
		}
	}
	for i := range c.Rows {
		c.Rows[i].Summary.Mean.Over, c.Rows[i].Summary.Pooled.Unmet = 0, 0
	}
	if c.Frontier(false) != "" || c.Frontier(true) != "" {
		t.Error("rules that nothing tells apart are drawn")
	}
	c.Rows[0].Summary.Pooled.Unmet = 0.0003 // 0.03 %: below the usual lines
	if p := c.Frontier(true); strings.Count(p, `class="grid"`) < 4 || !strings.Contains(p, ">0.02<") {
		t.Errorf("a small share has no lines to be read by: %s", p)
	}
	if (Drawn{}).SVG() != "" || (Comparison{}).Frontier(true) != "" {
		t.Error("nothing is drawn as something")
	}
}

// TestAbout: one series has no groups, and those that no figure is of are told.
func TestAbout(t *testing.T) {
	row := func(scored int) []Row { return []Row{{Summary: Summary{Series: scored}}} }
	for _, tt := range []struct {
		c    Comparison
		want string
	}{
		{Comparison{Unit: Cores, Series: 1, Clusters: 1, Days: 9, Rows: row(1)}, "CPU: 1 series over 9.0 days"},
		{Comparison{Unit: Bytes, Series: 5, Clusters: 3, Days: 9, Price: 4200, Rows: row(2)},
			"Memory: 5 series over 9.0 days, in 3 groups that move together; 3 too short to be scored; $0.0042 a GiB-hour"},
	} {
		if got := tt.c.about(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestPage(t *testing.T) {
	_, c, drawn := twoSeries()
	var b strings.Builder
	if err := Page(&b, "Replay of <x>", []Comparison{c}, drawn, []string{"krr"}); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{
		"<title>Replay of &lt;x&gt;</title>", "a&lt;b&gt;", `id="show-krr" checked`, `id="show-vpa">`, "prefers-color-scheme: dark",
		".r-krr { color: #0b6e4f", "body:has(#show-max:not(:checked)) path.r-max", "the worst tenth", "calm, 1 series",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("lacks %q", want)
		}
	}
	for _, not := range []string{"<script", "<link", "<img", "src=", "@import", "ZgotmplZ", "a<b>"} {
		if strings.Contains(page, not) {
			t.Errorf("holds %q", not)
		}
	}
}

// TestPageClasses: a rule whose name has a dot has its colour and its switch all the same.
func TestPageClasses(t *testing.T) {
	_, c, drawn := twoSeries()
	c.Rows[0].Summary.Name, drawn[0].Lines[0].Rule = "risk-0.5", "risk-0.5"
	var b strings.Builder
	if err := Page(&b, "x", []Comparison{c}, drawn, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{".r-risk-0_5 { color", `class="r-risk-0_5">risk-0.5<`, `class="dot r-risk-0_5"`, `class="line r-risk-0_5"`, `id="show-risk-0_5"`, "#show-risk-0_5:not(:checked)"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(b.String(), "r-risk-0.5") {
		t.Error("a class with a dot")
	}
}

func TestAmount(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, Cores, "0"}, {0.01234, Cores, "0.0123"}, {0.5, Cores, "0.5"}, {1.234, Cores, "1.23"}, {123.4, Cores, "123"}, {1234, Cores, "1234"},
		{95.4 * MiB, Bytes, "95.4 MiB"}, {3.25 * 1024 * MiB, Bytes, "3.25 GiB"},
	} {
		if got := Amount(tt.v, tt.unit); got != tt.want {
			t.Errorf("%g %s: %q, want %q", tt.v, tt.unit, got, tt.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		low, high float64
		want      []float64
	}{{0, 1, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}}, {0, 2.3, []float64{0, 0.5, 1, 1.5, 2}}, {0, 30, []float64{0, 10, 20, 30}}, {3, 3, []float64{3}}} {
		got := ticks(tt.low, tt.high)
		if len(got) != len(tt.want) {
			t.Errorf("%g to %g: %v, want %v", tt.low, tt.high, got, tt.want)
			continue
		}
		for i := range got {
			if math.Abs(got[i]-tt.want[i]) > 1e-9 {
				t.Errorf("%g to %g: %v, want %v", tt.low, tt.high, got, tt.want)
			}
		}
	}
}

// TestTicksIn: bytes in steps that are round in GiB or MiB, as Amount writes them.
func TestTicksIn(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		high float64
		unit string
		want string
	}{
		{4.2 * gib, Bytes, "0 MiB, 1 GiB, 2 GiB, 3 GiB, 4 GiB"},
		{400 * MiB, Bytes, "0 MiB, 100 MiB, 200 MiB, 300 MiB, 400 MiB"},
		{3, Cores, "0, 1, 2, 3"},
	} {
		var got []string
		for _, v := range ticksIn(0, tt.high, tt.unit) {
			got = append(got, Amount(v, tt.unit))
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("to %g %s: %q, want %s", tt.high, tt.unit, got, tt.want)
		}
	}
}

// TestPlace: eight points in one corner, as many names, and none upon another or outside.
func TestPlace(t *testing.T) {
	var taken []box
	for i := range 8 {
		x, y := 700+float64(i), scatterHeight-svgBottom-4.0
		b := place(x, y, "clairvoyant", taken)
		if n := b.among(taken); n > 0 || b.x < svgLeft || b.x+b.width > svgWidth || b.y <= svgTop || b.y >= scatterHeight-svgBottom {
			t.Errorf("name %d stands at %+v, upon %d others", i, b, n)
		}
		taken = append(taken, b)
	}
}

// TestUnder: a figure at the right edge is whole.
func TestUnder(t *testing.T) {
	var b strings.Builder
	frame{height: svgHeight}.under(&b, svgWidth-svgRight, "Jan 2 15:04")
	if !strings.Contains(b.String(), `x="960.0"`) || !strings.Contains(b.String(), `text-anchor="end"`) {
		t.Error(b.String())
	}
}

// TestPageRules: of seventeen rules no two are drawn alike.
func TestPageRules(t *testing.T) {
	var names []string
	for _, m := range Rules(Cores, nil) {
		names = append(names, m.Name)
	}
	seen := map[string]string{}
	for _, r := range pageRules(names, nil) {
		look := string(r.Light + " " + r.Dash)
		if seen[look] != "" {
			t.Errorf("%s and %s look alike: %s", seen[look], r.Name, look)
		}
		seen[look] = r.Name
	}
}
