package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	before := []standing{
		{name: "rec", capacity: "on-demand", pods: 3, milliCPU: 1500, memory: 3 << 30, monthly: 43_390_000},
		{name: "gpu", capacity: "on-demand", simulated: true, pods: 2, milliCPU: 4000, memory: 8 << 30, monthly: 3_149_420_000},
	}
	after := []standing{
		{name: "rec", capacity: "spot", pods: 2, milliCPU: 20, memory: 64 << 20, monthly: 650_000},
		{name: "gpu", capacity: "on-demand", simulated: true, pods: 2, milliCPU: 4000, memory: 8 << 30, monthly: 3_149_420_000},
		{name: "new", capacity: "spot", pods: 1, milliCPU: 10, memory: 32 << 20, monthly: 320_000},
	}
	var got []string
	for _, line := range strings.Split(table(before, after), "\n")[1:] {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"rec 3 -> 2 1.500 -> 0.020 3.00 -> 0.06 on-demand -> spot 43.39 -> 0.65",
		"gpu 2 4.000 8.00 on-demand, SIMULATED 3149.42",
		"new 0 -> 1 0.000 -> 0.010 0.00 -> 0.03 spot 0.00 -> 0.32",
		"together, real ones 3 1.500 -> 0.030 3.00 -> 0.09 43.39 -> 0.97", // without the simulated ones
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Each workload counts in whole cents, as in the plan: the sum is that of the amounts beside it.
func TestStandingsAreInCents(t *testing.T) {
	var a answer
	const plan = `{"plan":{"assessments":[{"ref":{"name":"a"},"now":{"amount":10004900}},{"ref":{"name":"b"},"now":{"amount":10004900}},{"ref":{"name":"c"},"now":{"amount":1005000}},{"ref":{"name":"d"},"now":{"amount":4900}}]}}`
	if err := json.Unmarshal([]byte(plan), &a); err != nil {
		t.Fatal(err)
	}
	all := a.standings()
	lines := strings.Split(table(all, all), "\n")
	for i, want := range []string{"10.00", "10.00", "1.01", "0.00", "21.01"} {
		if !strings.HasSuffix(lines[i+1], " "+want) {
			t.Errorf("want %s in %q", want, lines[i+1])
		}
	}
}

func TestHTMLPart(t *testing.T) {
	const mail = "From: a@b\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain\r\n\r\nplain\r\n" +
		"--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>a =3D b</p>\r\n--x--\r\n"
	page, err := htmlPart([]byte(mail))
	if err != nil || strings.TrimSpace(string(page)) != "<p>a = b</p>" {
		t.Errorf("%q, %v", page, err)
	}
	for _, bad := range []string{"no header", "Content-Type: text/plain\r\n\r\nplain", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--\r\n"} {
		if page, err := htmlPart([]byte(bad)); err == nil {
			t.Errorf("%q has the page %q", bad, page)
		}
	}
}
