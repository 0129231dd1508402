package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/reports"
)

func rendered(t testing.TB, r reports.Report, links reports.Links) (text, html string) {
	t.Helper()
	var a, b bytes.Buffer
	if err := reports.ReportText(&a, r); err != nil {
		t.Fatal(err)
	}
	if err := reports.ReportHTML(&b, r, links); err != nil {
		t.Fatal(err)
	}
	return a.String(), b.String()
}

func TestReportGolden(t *testing.T) {
	r := reports.Build(sample())
	text, html := rendered(t, r, reports.Links{})
	value, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{"report.golden": text, "report.golden.html": html, "report.golden.json": string(value) + "\n"} {
		golden.Check(t, file, got)
	}
}

// TestReportOutlivesJSON: what `trimtab report` prints of the daemon's JSON is what the daemon prints.
func TestReportOutlivesJSON(t *testing.T) {
	r := reports.Build(sample())
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again reports.Report
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	text, html := rendered(t, r, reports.Links{})
	text2, html2 := rendered(t, again, reports.Links{})
	if text != text2 || html != html2 || r.Subject() != again.Subject() {
		t.Errorf("after JSON the report reads otherwise:\n%s", text2)
	}
}

var (
	dollarsIn = regexp.MustCompile(`[-+]?\$[0-9][0-9,]*\.[0-9]+`)
	tagsIn    = regexp.MustCompile(`<[^>]*>`)
)

// TestTextAndPageSayTheSame: every amount and every word of the text is in the page, in the same order.
func TestTextAndPageSayTheSame(t *testing.T) {
	text, html := rendered(t, reports.Build(sample()), reports.Links{})
	body := html[strings.Index(html, "<table role"):] // behind the hidden line for previews
	body = regexp.MustCompile(`<code>([^<]*)</code>`).ReplaceAllString(body, "`$1`")
	page := strings.NewReplacer("&#43;", "+", "&#39;", "'", "&#34;", `"`, "→", "->", "\u00a0", " ", "&nbsp;", " ").Replace(tagsIn.ReplaceAllString(body, " "))
	if a, b := dollarsIn.FindAllString(text, -1), dollarsIn.FindAllString(page, -1); !slices.Equal(a, b) {
		t.Errorf("amounts of the text\n%v\nand of the page\n%v", a, b)
	}
	for _, word := range strings.Fields(text) {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(strings.TrimSuffix(word, ":"))) {
			t.Errorf("the page lacks %q", word)
		}
	}
}

// TestCodeOfAPage: what stands between backticks is code, all else is escaped and stays as it was.
func TestCodeOfAPage(t *testing.T) {
	r := reports.Build(sample())
	r.Unknown = []string{"`trimtab plan` & <b> of ml`s"}
	_, html := rendered(t, r, reports.Links{})
	if want := "<code>trimtab plan</code> &amp; &lt;b&gt; of ml`s</li>"; !strings.Contains(html, want) {
		t.Errorf("the page lacks %s", want)
	}
}

// random is a report of as many models, with amounts of every size and some without a price.
func random(r *rand.Rand, models int) reports.Input {
	in := sample()
	in.Plan.Assessments, in.Plan.Changes, in.Diary = nil, nil, &cost.Diary{}
	var now, then []cost.Rate
	for i := range models {
		w := ml(fmt.Sprintf("model-with-a-name-as-long-as-kubernetes-lets-it-be-%04d", i), 1+int32(r.IntN(9)), 100, 1<<30)
		month := cost.Line{Amount: cost.Money(r.Int64N(1 << (10 + r.IntN(32))))}
		if r.IntN(10) == 0 {
			month.Unpriced = []string{"x9.huge in mars-1"}
		}
		a := judged(w, month, r.Float64()*100)
		then = append(then, cost.Rate{Ref: w.Ref, Monthly: cost.Line{Amount: month.Amount.Times(r.Int64N(3000), 1000)}})
		if r.IntN(8) > 0 { // otherwise it is gone
			in.Plan.Assessments = append(in.Plan.Assessments, a)
			now = append(now, cost.Rate{Ref: w.Ref, Monthly: month})
		}
		if r.IntN(3) == 0 {
			saving := cost.Line{Amount: month.Amount.Times(r.Int64N(1000)-200, 1000), Unpriced: month.Unpriced}
			in.Plan.Changes = append(in.Plan.Changes, optimizer.Change{ID: fmt.Sprint(i), Ref: w.Ref, From: w, To: w.With(requests(10, 1<<20)), Saving: saving})
		}
	}
	from := in.Period.Before().From
	in.Diary.Add(from, time.Hour, nil)
	for at := from; at.Before(in.Period.To); at = at.Add(time.Hour) {
		rates := then
		if !at.Before(in.Period.From) {
			rates = now
		}
		in.Diary.Add(at.Add(time.Hour), time.Hour, rates)
	}
	return in
}

// TestReportAddsUp: in the value, in the text and in the page, the rows of the table sum to its last
// row, that row is what the tiles say, and the listed proposals sum to what is claimed.
func TestReportAddsUp(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		report := reports.Build(random(r, 1+r.IntN(40)))
		text, html := rendered(t, report, reports.Links{})
		var claimed cost.Money
		for _, p := range report.Proposed {
			claimed += p.Saving.Amount
		}
		if sum := claimed + report.Further.Saving.Amount; sum != report.Savings.Claimed.Amount {
			t.Errorf("seed %d: proposals sum to %s, claimed are %s", seed, sum, report.Savings.Claimed)
		}
		for name, table := range map[string][][]string{"text": textTable(text), "page": pageTable(html)} {
			if len(table) != len(report.Models)+1 && (report.Others == nil || len(table) != len(report.Models)+2) {
				t.Fatalf("seed %d: the %s has %d rows of %d models", seed, name, len(table), len(report.Models))
			}
			last := table[len(table)-1]
			for col := range last {
				var sum int64
				for _, row := range table[:len(table)-1] {
					sum += inCents(t, row[col])
				}
				if want := inCents(t, last[col]); sum != want {
					t.Errorf("seed %d: column %d of the %s sums to %d cents, its last row says %d\n%s", seed, col, name, sum, want, text)
				}
			}
			if got, want := inCents(t, last[0]), int64(report.Spend.Total.Amount/10_000); got != want {
				t.Errorf("seed %d: the %s says %d cents, the bill is %d", seed, name, got, want)
			}
		}
	}
}

// textTable is the amounts of each row of the models table.
func textTable(text string) [][]string {
	_, part, _ := strings.Cut(text, "\nMODELS\n")
	part, _, _ = strings.Cut(part, "\n\nWHAT TRIMTAB OWNS")
	var rows [][]string
	for _, l := range strings.Split(part, "\n") {
		if !strings.HasPrefix(l, "  ") || strings.HasPrefix(strings.TrimSpace(l), "$") || strings.Contains(l, "     ") {
			if cells := cellsOf(l); len(cells) > 1 {
				rows = append(rows, cells)
			}
		}
	}
	return rows
}

func pageTable(html string) [][]string {
	_, part, _ := strings.Cut(html, ">Models<")
	part, _, _ = strings.Cut(part, "<h2")
	var rows [][]string
	for _, tr := range strings.Split(part, "<tr>") {
		if strings.Contains(tr, "tabular-nums") && !strings.Contains(tr, "<th scope=\"col\"") {
			rows = append(rows, cellsOf(strings.NewReplacer("&#43;", "+").Replace(tagsIn.ReplaceAllString(tr, "  "))))
		}
	}
	return rows
}

// cellsOf is the cells of a line that begin as amounts do; one that is a dash is none.
func cellsOf(line string) []string {
	return regexp.MustCompile(`[-+]?\$[0-9,]+\.[0-9]{2}|\?|–`).FindAllString(regexp.MustCompile(`(\$[0-9,.]+) \+ \?`).ReplaceAllString(line, "$1"), -1)
}

func inCents(t *testing.T, cell string) int64 {
	t.Helper()
	digits := strings.NewReplacer("$", "", ",", "", ".", "", "+", "").Replace(cell)
	if cell == "?" || cell == "–" {
		return 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		t.Fatalf("%q is no amount", cell)
	}
	return n
}

func TestSpendThatIsNotKnown(t *testing.T) {
	in := sample()
	in.Diary = nil
	r := reports.Build(in)
	text, _ := rendered(t, r, reports.Links{})
	for _, want := range []string{"What was spent is not known: no pass was made in this period.", "unknown\n", "168 h of 168 h are not covered", "ml-production/ocr"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(text, "$0.00 spent") || !strings.Contains(r.Subject(), "spend unknown") {
		t.Errorf("what is not known is shown as zero:\n%s\n%s", r.Subject(), text)
	}
	for _, row := range textTable(text) {
		if row[0] != "–" {
			t.Errorf("a row says %v of a period that nobody looked at", row)
		}
	}
}

// TestNothingChanged: the honest short edition.
func TestNothingChanged(t *testing.T) {
	in := sample()
	in.Plan.Changes, in.Entries, in.Plan.Lint, in.Plan.BadPolicies, in.Plan.Kept = nil, nil, nil, nil, nil
	for i := range in.Plan.Assessments {
		a := &in.Plan.Assessments[i]
		a.Verdicts, a.Holds, a.Advice, a.Now, a.After = nil, nil, nil, dollars(10), dollars(10)
	}
	in.Diary = &cost.Diary{}
	in.Diary.Add(in.Period.Before().From, time.Hour, nil)
	for at := in.Period.Before().From; at.Before(in.Period.To); at = at.Add(time.Hour) {
		var rates []cost.Rate
		for _, a := range in.Plan.Assessments {
			rates = append(rates, cost.Rate{Ref: a.Ref, Monthly: a.Now})
		}
		in.Diary.Add(at.Add(time.Hour), time.Hour, rates)
	}
	text, _ := rendered(t, reports.Build(in), reports.Links{})
	long, _ := rendered(t, reports.Build(sample()), reports.Links{})
	for _, want := range []string{"Nothing changed. $36.80 spent, exactly as much", "WHAT WAS DONE\nNothing in this period.", "WHAT IS PROPOSED\nNothing now.", "Nothing is missing"} {
		if !strings.Contains(text, want) { // 16 models at $10 a month: 10 × 168 / 730 = 2.3014, 16 × 2.30
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if len(text) > len(long)*2/3 {
		t.Errorf("it is %d bytes, a full one %d", len(text), len(long))
	}
	in.Plan.Changes = sample().Plan.Changes[:1]
	if reports.Build(in).Quiet {
		t.Error("with a proposal it is still called quiet")
	}
}

func TestNamespacesAreKeptApart(t *testing.T) {
	in := sample()
	in.Namespaces = []string{"other"}
	r := reports.Build(in)
	text, html := rendered(t, r, reports.Links{})
	for _, private := range []string{"ml-production/", "recommendation", "x9.huge"} {
		if strings.Contains(text+html, private) {
			t.Errorf("a report for namespace other says %q", private)
		}
	}
	if r.Spend.Models != 0 || r.Spend.Total.Amount != 0 || len(r.Deeds) != 0 || r.Savings.Standing.Amount != 0 {
		t.Errorf("it has %+v", r.Spend)
	}
}

// A report of some namespaces knows only their models: of no other it says that it is not on nodes that
// are not real.
func TestUnrealNodesOfNamespaces(t *testing.T) {
	in := sample()
	in.Namespaces = []string{"ml-production"}
	in.Plan.Assessments = slices.Clone(in.Plan.Assessments)
	for i := range in.Plan.Assessments {
		in.Plan.Assessments[i].Simulated = false
	}
	const none = "some nodes of this cluster are not real; no model of this report is on them"
	if got := reports.Build(in).Unreal; got != none {
		t.Errorf("got %q, want %q", got, none)
	}
	for i := range in.Plan.Assessments {
		in.Plan.Assessments[i].Simulated = true
	}
	if got, want := reports.Build(in).Unreal, "every model of this report is on nodes that are not real"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A daemon that is older than the field says only that something is not real.
func TestReportWithoutUnreal(t *testing.T) {
	r := reports.Build(sample())
	r.Unreal = ""
	text, html := rendered(t, r, reports.Links{})
	for _, out := range []string{text, html} {
		if !strings.Contains(out, "some nodes of this cluster are not real") {
			t.Errorf("SIMULATED without a word why:\n%s", out)
		}
	}
}

func TestSubject(t *testing.T) {
	in := sample()
	if got, want := reports.Build(in).Subject(), "[trimtab weekly] SIMULATED week 47 of 2026: $504.86 + ? (-$10.81, -2.1 %), 2 proposals worth $2.49 a month"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	in.Plan.Simulated, in.Name, in.Plan.Changes = false, "", nil
	if got, want := reports.Build(in).Subject(), "[trimtab] week 47 of 2026: $504.86 + ? (-$10.81, -2.1 %), 1 thing to decide"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for i := range in.Plan.Assessments {
		in.Plan.Assessments[i].Advice = nil
	}
	if got := reports.Build(in).Subject(); !strings.HasSuffix(got, ", nothing to decide") {
		t.Error(got)
	}
}

// TestCommandIsOnlyForWhatPeopleMustDo: an enforcing policy makes its changes itself, and a daemon that
// may not change anything says so.
func TestCommandIsOnlyForWhatPeopleMustDo(t *testing.T) {
	in := sample()
	in.Plan.Changes[0].Mode = "enforce"
	p := reports.Build(in).Proposed
	if p[0].Command != "" || !strings.Contains(p[0].Note, "makes it by itself") || p[1].Command != "trimtab apply p-reco" || p[1].Note != "" {
		t.Errorf("%+v", p)
	}
	in.Plan.Enforcing = false
	if p := reports.Build(in).Proposed; p[0].Command == "" || !strings.Contains(p[0].Note, "without --enforce") {
		t.Errorf("%+v", p)
	}
}
