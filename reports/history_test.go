package reports_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/deploy/golden"
	"trimtab.dev/trimtab/optimizer"
	"trimtab.dev/trimtab/optimizer/cost"
	"trimtab.dev/trimtab/optimizer/fleet"
	"trimtab.dev/trimtab/reports"
)

// past is a history with one entry of every sort, oldest first.
func past() []optimizer.Entry {
	n := 0
	entry := func(name string, t fleet.Target, saving cost.Line, o optimizer.Outcome, detail string) optimizer.Entry {
		n++
		w := shop(name, 3, 500, 1<<30)
		e := optimizer.Entry{
			ID:     time.Date(2026, 6, 29, n, 30, 5, 0, time.UTC).Format("20060102t150405") + "-3f9a2c",
			Change: optimizer.Change{Ref: w.Ref, From: w, To: w.With(t), Saving: saving}, Begun: at(n).Add(30*time.Minute + 5*time.Second), Outcome: o, Detail: detail,
		}
		if o != "" {
			e.Ended = e.Begun.Add(time.Minute)
		}
		return e
	}
	both := requests(20, 96<<20)
	both.Replicas = 2
	all := []optimizer.Entry{
		entry("ranking", both, dollars(42.744), optimizer.Done, ""),
		entry("search", requests(400, 2<<30), dollars(-1.5), optimizer.Failed, "admission webhook \"sizes.example.com\" denied the request: memory is not to be raised on Sundays"),
		entry("ranking", fleet.Target{Requests: requests(500, 1<<30).Requests, Replicas: 3}, dollars(-42.744), optimizer.Done, ""),
		entry("image-batch", fleet.Target{Capacity: fleet.Spot}, cost.Line{Unpriced: []string{"x9.huge in mars-1"}}, optimizer.Done, "given to newer pods too, last at 2026-06-29T09:00:00Z"),
		entry("search", requests(100, 1<<30), dollars(3), optimizer.Moved, "it is no longer what the change was decided on"),
		entry("valuation", fleet.Target{Replicas: 2}, dollars(20), optimizer.Done, ""),
		entry("valuation", fleet.Target{Replicas: 3}, dollars(-20), "", "2 of 3 replicas"),
	}
	all[2].Change.From, all[2].Change.To = all[0].Change.To, all[0].Change.From
	all[2].Change.By, all[2].Change.Reverts = "ann@example.com", all[0].ID
	all[3].Change.By = "bob"
	all[6].Change.From, all[6].Change.To = all[5].Change.To, all[5].Change.From
	all[6].Change.By, all[6].Change.Reverts = "ann@example.com", all[5].ID
	return all
}

func TestHistoryGolden(t *testing.T) {
	for _, c := range []struct {
		file, of string
		entries  []optimizer.Entry
	}{
		{"history.golden", "", past()},
		{"history-one.golden", "shop/ranking", past()},
		{"history-none.golden", "shop/other", past()},
		{"history-empty.golden", "", nil},
	} {
		var got bytes.Buffer
		if err := reports.HistoryText(&got, c.entries, c.of); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, c.file, got.String())
		for l := range strings.Lines(got.String()) {
			if l = strings.TrimSuffix(l, "\n"); len([]rune(l)) > 100 || strings.TrimRight(l, " ") != l {
				t.Errorf("%s: %q is wider than 100 columns or ends in spaces", c.file, l)
			}
		}
	}
	if err := reports.HistoryText(full{}, past(), ""); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a full disk: %v", err)
	}
}

// TestHistorySuggestsWhatWorks: what is named as an example can be taken back.
func TestHistorySuggestsWhatWorks(t *testing.T) {
	all := past()
	vain := all[2]
	vain.Outcome = optimizer.Failed
	for _, tt := range []struct {
		entries []optimizer.Entry
		want    string
	}{
		{all, "revert " + all[3].ID}, // what came later was not made, or is being taken back, or takes back itself
		{all[:3], ""},                // taken back, failed, takes back
		{all[:1], "revert " + all[0].ID},
		{[]optimizer.Entry{all[0], vain}, "revert " + all[0].ID}, // was not taken back after all
	} {
		var b bytes.Buffer
		if err := reports.HistoryText(io.Writer(&b), tt.entries, ""); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(strings.TrimSpace(b.String()), tt.want) || tt.want == "" && strings.Contains(b.String(), "trimtab revert") {
			t.Errorf("want %q at the end of\n%s", tt.want, &b)
		}
	}
}
