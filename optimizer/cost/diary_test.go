package cost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

var (
	day0    = time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC)
	ranking = fleet.Deployment("ml", "ranking")
	other   = fleet.Deployment("ml", "other")
)

func after(d time.Duration) time.Time { return day0.Add(d) }

// hourly is a rate a month that costs so many millionths an hour.
func hourly(ref fleet.Ref, micros int64) Rate {
	return Rate{ref, Line{Amount: Money(micros * MonthHours)}}
}

func spent(d *Diary, ref fleet.Ref, from, to time.Duration) string {
	s := d.Spend(after(from), after(to))
	for _, l := range s.Lines {
		if l.Ref == ref {
			return fmt.Sprintf("%d %s", l.Line.Amount, s.Covered)
		}
	}
	return "nothing " + s.Covered.String()
}

// TestDiary: passes at 0, 30 min, 60 min, then none until 3 h, then 3 h 30. The gap is 1 hour. The rate
// in the first half hour is 6,000 an hour, then 2,000, after the gap 10,000.
func TestDiary(t *testing.T) {
	const h = time.Hour
	var d Diary
	d.Add(after(0), h, []Rate{hourly(ranking, 1)}) // the first pass has no time before it
	d.Add(after(h/2), h, []Rate{hourly(ranking, 6_000)})
	d.Add(after(h), h, []Rate{hourly(ranking, 2_000)})
	d.Add(after(h), h, []Rate{hourly(ranking, 999_999)})   // the same pass again adds nothing
	d.Add(after(h/4), h, []Rate{hourly(ranking, 999_999)}) // nor does an older one
	d.Add(after(3*h), h, []Rate{hourly(ranking, 10_000), hourly(other, 40)})
	d.Add(after(3*h+h/2), h, []Rate{hourly(ranking, 10_000), {other, Line{Unpriced: []string{"x9.huge"}}}})
	for _, c := range []struct {
		from, to time.Duration
		want     string
	}{
		{0, h / 2, "3000 30m0s"},
		{0, h, "4000 1h0m0s"},            // 3000 + 1000
		{h / 4, 3 * h / 4, "2000 30m0s"}, // 1500 + 500
		{0, 4 * h, "9000 1h30m0s"},       // 4000 + 5000: two hours are not covered
		{h, 3 * h, "nothing 0s"},         // nobody looked: no zero, no guess
		{3*h + 6*time.Minute, 4 * h, "4000 24m0s"},
		{-9 * h, 0, "nothing 0s"},
	} {
		if got := spent(&d, ranking, c.from, c.to); got != c.want {
			t.Errorf("[%s, %s): got %s, want %s", c.from, c.to, got, c.want)
		}
	}
	s := d.Spend(after(0), after(4*h))
	if len(s.Lines) != 2 || s.Lines[0].Line.String() != "unpriced (no price for x9.huge)" {
		t.Errorf("what has no price became %v", s.Lines)
	}
	for _, c := range []struct{ from, to, want time.Duration }{{0, h, 6_000}, {h / 2, h, 2_000}, {h / 2, 4 * h, 10_000}} {
		if r, ok := d.Dearest(ranking, after(c.from), after(c.to)); !ok || r.Amount != Money(c.want)*MonthHours {
			t.Errorf("[%s, %s): dearest %v %v, want %d an hour", c.from, c.to, r, ok, c.want)
		}
	}
	if _, ok := d.Dearest(ranking, after(h), after(3*h)); ok {
		t.Error("a rate is known where nobody looked")
	}
}

// TestDiaryIsTheNaiveSum compares random passes of three workloads with a table of seconds. The part
// that is old enough to be joined may differ by the rounding of rates alone.
func TestDiaryIsTheNaiveSum(t *testing.T) {
	refs := []fleet.Ref{ranking, other, fleet.Deployment("a", "b")}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var d Diary
		type second struct {
			covered, priced bool
			rate            Money
		}
		seconds := make([][3]second, 6*3600)
		at := 0
		d.Add(after(0), 5*time.Minute, nil)
		for at < len(seconds) {
			step := 1 + r.IntN(400)
			var rates []Rate
			to := min(at+step, len(seconds))
			for i, ref := range refs {
				if r.IntN(4) == 0 {
					continue
				}
				rate := Rate{ref, Line{Amount: Money(r.Int64N(5)) * Dollar}}
				rates = append(rates, rate)
				for s := at; s < to && to-at <= 300; s++ {
					seconds[s][i] = second{true, true, rate.Monthly.Amount}
				}
			}
			for s := at; s < to && to-at <= 300; s++ {
				seconds[s][0].covered = true
			}
			d.Add(after(time.Duration(to)*time.Second), 5*time.Minute, rates)
			at = to
		}
		for range 50 {
			a, b := r.IntN(len(seconds)), r.IntN(len(seconds))
			a, b = min(a, b), max(a, b)
			got := d.Spend(after(time.Duration(a)*time.Second), after(time.Duration(b)*time.Second))
			var covered int64
			var want [3]Money
			for _, s := range seconds[a:b] {
				if s[0].covered {
					covered++
				}
				for i := range refs {
					want[i] += s[i].rate
				}
			}
			if got.Covered != time.Duration(covered)*time.Second {
				t.Fatalf("seed %d: covered %s, want %ds", seed, got.Covered, covered)
			}
			for _, l := range got.Lines {
				i := slices.Index(refs, l.Ref)
				off := l.Line.Amount - want[i].Times(1, MonthHours*3600)
				// A joined spell that is cut keeps its mean: at most 10 minutes of the largest rate on each side.
				if edge := Money(2*600*4*Dollar).Times(1, MonthHours*3600); off > edge || off < -edge {
					t.Fatalf("seed %d: %s [%d, %d): off by %d", seed, l.Ref, a, b, off)
				}
			}
		}
		whole := d.Spend(after(0), after(6*time.Hour))
		for _, l := range whole.Lines { // nothing is cut: only roundings are left, half a millionth a spell
			var want Money
			for _, s := range seconds {
				want += s[slices.Index(refs, l.Ref)].rate
			}
			if off := l.Line.Amount - want.Times(1, MonthHours*3600); off > 200 || off < -200 {
				t.Fatalf("seed %d: %s: the whole is off by %d", seed, l.Ref, off)
			}
		}
	}
}

func saved(t testing.TB, d *Diary) []byte {
	t.Helper()
	b, err := d.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// busy is a diary of minutes [from, to) in which two workloads change their price every minute.
func busy(from, to int) *Diary {
	var d Diary
	for m := from; m <= to; m++ {
		d.Add(after(time.Duration(m)*time.Minute), 3*time.Minute, []Rate{hourly(ranking, 60_000), hourly(other, int64(m%7)*60_000)})
	}
	return &d
}

// TestRestoreNeverCountsTwice: a leader saved minutes 0 to 60 and died; what the next one knows of
// them, all, some or nothing, the hour costs the same.
func TestRestoreNeverCountsTwice(t *testing.T) {
	const h = time.Hour
	old := busy(0, 60)
	want := spent(old, other, 0, h)
	for _, c := range []struct{ from, to int }{{0, 60}, {0, 30}, {30, 60}, {20, 40}, {60, 61}} {
		d := busy(c.from, c.to)
		for range 2 { // restoring twice changes nothing either
			if err := d.Restore(saved(t, old)); err != nil {
				t.Fatal(err)
			}
			if got := spent(d, other, 0, h); got != want {
				t.Errorf("minutes %d to %d of its own: %s, want %s", c.from, c.to, got, want)
			}
		}
		d.Add(after(62*time.Minute), 3*time.Minute, []Rate{hourly(ranking, 60_000)})
		if got := spent(d, ranking, h, 2*h); got != "2000 2m0s" {
			t.Errorf("minutes %d to %d: after the restore %s, want two more minutes", c.from, c.to, got)
		}
	}
	var d Diary
	if err := d.Restore(saved(t, old)); err != nil {
		t.Fatal(err)
	}
	d.Add(after(3*h), 3*time.Minute, []Rate{hourly(ranking, 60_000)})
	if got := spent(&d, ranking, 0, 3*h); got != "60000 1h0m0s" {
		t.Errorf("two hours of downtime cost %s", got)
	}
	if !bytes.Equal(saved(t, busy(0, 60)), saved(t, old)) {
		t.Error("the same diary gives other bytes")
	}
}

// TestDiaryIsBounded: what is older than 35 days goes, and 500 workloads of which each tenth changes its
// price every minute stay below a megabyte, saved.
func TestDiaryIsBounded(t *testing.T) {
	var d Diary
	const days = 36
	flaps := fleet.Deployment("ml", "flaps")
	for m := 0; m <= days*24*60; m++ {
		d.Add(after(time.Duration(m)*time.Minute), 3*time.Minute, []Rate{hourly(ranking, 60_000), hourly(flaps, int64(m%2)*60_000)})
	}
	const h = time.Hour
	if got := spent(&d, ranking, 0, days*24*h); got != fmt.Sprintf("%d %s", 60_000*35*24, 35*24*h) {
		t.Errorf("kept is %s", got)
	}
	// 35 days at half the price, give or take half a minute at a joint
	if got := d.Spend(after(0), after(days*24*h)).Lines[0]; got.Ref != flaps || got.Line.Amount < 30_000*35*24-2_000 || got.Line.Amount > 30_000*35*24+2_000 {
		t.Errorf("joined spells cost %v", got)
	}
	if n := len(d.spells[flaps]); n > 800 {
		t.Errorf("%d spells of a price that changes every minute", n)
	}
	if n := len(d.spells[ranking]); n != 1 {
		t.Errorf("%d spells of a price that never changes", n)
	}
	size := len(saved(t, &d)) // one that changes and one that does not
	if size > 10_000 {
		t.Errorf("%d bytes for two workloads", size)
	}
}

func TestDamagedDiaryIsRefused(t *testing.T) {
	good := saved(t, busy(0, 9))
	resum := func(b []byte) []byte {
		body := b[:len(b)-4]
		return binary.LittleEndian.AppendUint32(slices.Clone(body), crc32.ChecksumIEEE(body))
	}
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 1
		if err := new(Diary).Restore(b); !errors.Is(err, ErrDiary) {
			t.Errorf("with byte %d of %d flipped: %v", i, len(good), err)
		}
	}
	newer := slices.Clone(good)
	newer[4] = 2
	for name, b := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "of another version": resum(newer), "with more behind it": resum(append(slices.Clone(good[:len(good)-4]), 0, 1, 2, 3, 4)),
	} {
		d := busy(0, 3)
		before := saved(t, d)
		if err := d.Restore(b); !errors.Is(err, ErrDiary) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(before, saved(t, d)) {
			t.Errorf("%s: the diary changed", name)
		}
	}
}

// FuzzDiary: no bytes panic; what is taken is saved and read again as the same, and more passes follow.
func FuzzDiary(f *testing.F) {
	f.Add(saved(f, busy(0, 9))[5:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append(append([]byte(diaryMagic), diaryVersion), body...)
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
		var d, again Diary
		if d.Restore(b) != nil {
			return
		}
		once := saved(t, &d)
		if err := again.Restore(once); err != nil {
			t.Fatalf("what it saved it cannot read: %v", err)
		}
		if twice := saved(t, &again); !bytes.Equal(once, twice) {
			t.Fatalf("saved twice, two forms:\n%x\n%x", once, twice)
		}
		d.Add(after(0), time.Minute, []Rate{hourly(ranking, 1)})
		d.Spend(time.Unix(0, 0), after(time.Hour))
	})
}
