package reports_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"trimtab.dev/trimtab/reports"
)

// element is an open element of the page with the colours that hold in it.
type element struct {
	name      string
	ink, back string
	hidden    bool
}

// walkPage visits every piece of text of a page with the colours around it, in the light or the dark
// scheme. Without style, the style element is as good as gone, as some mail programs make it.
func walkPage(t *testing.T, html string, dark bool, visit func(in []element, text string)) {
	t.Helper()
	replaced := map[string]map[string]string{}
	if dark {
		replaced = darkRules(t, html)
	}
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	stack := []element{{ink: "#000000", back: "#ffffff"}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := stack[len(stack)-1]
			e.name = x.Name.Local
			style := map[string]string{}
			for _, a := range x.Attr {
				if a.Name.Local == "style" {
					style = declarations(a.Value)
				}
			}
			for _, a := range x.Attr {
				if a.Name.Local == "class" {
					for _, class := range strings.Fields(a.Value) {
						for k, v := range replaced[class] {
							style[k] = v
						}
					}
				}
			}
			e = styled(e, style)
			stack = append(stack, e)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if s := strings.TrimSpace(strings.ReplaceAll(string(x), "\u00a0", " ")); s != "" {
				visit(stack, s)
			}
		}
	}
}

func styled(e element, style map[string]string) element {
	if c, ok := style["color"]; ok {
		e.ink = c
	}
	if c, ok := style["background"]; ok {
		e.back = c
	}
	e.hidden = e.hidden || style["display"] == "none"
	return e
}

func declarations(style string) map[string]string {
	out := map[string]string{}
	for _, d := range strings.Split(style, ";") {
		if k, v, ok := strings.Cut(d, ":"); ok {
			out[strings.TrimSpace(k)] = strings.TrimSuffix(strings.TrimSpace(v), "!important")
		}
	}
	return out
}

// darkRules is what each class becomes in the dark scheme.
func darkRules(t *testing.T, html string) map[string]map[string]string {
	t.Helper()
	_, media, ok := strings.Cut(html, "@media (prefers-color-scheme:dark){")
	if !ok {
		t.Fatal("the page has no dark colours")
	}
	out := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`\.(\w+)\{([^}]*)\}`).FindAllStringSubmatch(media[:strings.Index(media, "</style>")], -1) {
		out[m[1]] = declarations(m[2])
	}
	return out
}

// luminance and contrast are those of WCAG 2.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("%q is not a colour such as #aabbcc", colour)
	}
	part := func(v uint64) float64 {
		c := float64(v&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestContrastFormula(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#777777", "#ffffff", 4.48}, {"#ffffff", "#ffffff", 1}} {
		if got := contrast(t, c.a, c.b); math.Abs(got-c.want) > 0.005 {
			t.Errorf("%s on %s: %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

// TestEveryTextCanBeRead: each piece of text stands out from what is behind it by 4.5 to 1, in the
// light and in the dark.
func TestEveryTextCanBeRead(t *testing.T) {
	_, html := rendered(t, reports.Build(sample()), reports.Links{Plan: "plan", JSON: "api", Periods: []reports.Link{{Text: "week", URL: "?period=week"}}})
	for _, dark := range []bool{false, true} {
		n := 0
		inks := map[string]bool{}
		walkPage(t, html, dark, func(in []element, text string) {
			e := in[len(in)-1]
			if e.hidden || e.name == "title" || e.name == "style" {
				return
			}
			n++
			inks[e.ink+" on "+e.back] = true
			if c := contrast(t, e.ink, e.back); c < 4.5 {
				t.Errorf("dark %v: %s on %s is %.2f to 1: %.40q in %s", dark, e.ink, e.back, c, text, e.name)
			}
		})
		if n < 100 || len(inks) < 5 {
			t.Errorf("dark %v: only %d texts in %d pairs of colours were looked at", dark, n, len(inks))
		}
	}
}

// TestPageIsMadeForMail: nothing is fetched or run, everything is in tables with inline styles, and
// nothing asks for more than 600 pixels.
func TestPageIsMadeForMail(t *testing.T) {
	in := sample()
	in.Plan.Assessments[0].Ref.Name = "<script>alert(1)</script>"
	_, html := rendered(t, reports.Build(in), reports.Links{})
	for _, bad := range []string{"<script", "http:", "https:", "url(", "@import", "<link", "<img", "<a ", "ZgotmplZ", "flex", "float", "grid", `style=""`, "<div class"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	for _, want := range []string{`<meta name="color-scheme" content="light dark">`, "max-width:600px", `role="presentation"`, "&lt;script&gt;"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, m := range regexp.MustCompile(`(?:width[:=]"?)(\d+)(px)?["; ]`).FindAllStringSubmatch(html, -1) {
		if n, _ := strconv.Atoi(m[1]); n > 600 {
			t.Errorf("something is %s wide", m[0])
		}
	}
	if n := strings.Count(html, "<table"); n != strings.Count(html, "</table>") || n < 10 {
		t.Errorf("%d tables are opened, %d closed", n, strings.Count(html, "</table>"))
	}
}

func TestLinksAreOnlyOnThePage(t *testing.T) {
	r := reports.Build(sample())
	_, html := rendered(t, r, reports.Links{Plan: "plan", JSON: "api/v1/report?period=week", Periods: []reports.Link{{Text: "today", URL: "?period=day"}}})
	for _, want := range []string{`href="plan"`, `href="api/v1/report?period=week"`, `href="?period=day"`, ">today<"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

// TestMailIsNeverCutOff: Gmail cuts a mail of more than 102 KB. 500 models with names as long as Kubernetes
// allows, and refusals of several kilobytes, stay far below.
func TestMailIsNeverCutOff(t *testing.T) {
	in := random(rand.New(rand.NewPCG(1, 1)), 500)
	long := strings.Repeat("the API server refused it at length; ", 200)
	for i := range 100 {
		e := sampleEntries(samplePlan())[3]
		e.ID, e.Detail = fmt.Sprint("e-", i), long
		in.Entries = append(in.Entries, e)
		in.Plan.Kept = append(in.Plan.Kept, samplePlan().Kept[0])
		in.Plan.Kept[i].Detail = long
		in.Plan.Lint = append(in.Plan.Lint, samplePlan().Lint[0])
		in.Plan.Troubles = append(in.Plan.Troubles, long)
		in.Plan.Prices = append(in.Plan.Prices, samplePlan().Prices[0])
	}
	in.Damage = "ConfigMap trimtab-ledger-3 is damaged"
	text, html := rendered(t, reports.Build(in), reports.Links{})
	if !strings.Contains(text, "trimtab-ledger-3") {
		t.Error("what of the ledger cannot be read is not said")
	}
	if len(html) > 60<<10 || len(text) > 40<<10 {
		t.Errorf("500 models make %d bytes of HTML and %d of text", len(html), len(text))
	}
	for _, l := range strings.Split(text, "\n") {
		if n := len([]rune(l)); n > 76 && strings.Contains(strings.TrimSpace(l), " ") && !strings.Contains(l, "model-with-a-name") {
			t.Errorf("%d columns: %s", n, l)
		}
	}
}
