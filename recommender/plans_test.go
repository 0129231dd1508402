package recommender

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// stood is plans of a workload that was given what was asked for, minute by minute, until a time.
func stood(t testing.TB, h *History, from, until time.Time) (*Plans, fleet.Workload) {
	p, w := NewPlans(), server(1)
	for at := from; !at.After(until); at = at.Add(10 * time.Minute) {
		for _, r := range Judge(w, h, p, priced(), at).Recommendations {
			w = atRequest(w, r)
		}
	}
	if len(p.Checkpoint(ref)) == 0 {
		t.Fatal("nothing stands")
	}
	return p, w
}

// TestHistoryIsOnlyRead: to judge by price leaves every byte of the history as it was.
func TestHistoryIsOnlyRead(t *testing.T) {
	h := daily(t, "a", day(14, 0))
	before, _ := h.MarshalBinary()
	stood(t, h, day(8, 0), day(14, 0))
	if after, _ := h.MarshalBinary(); !slices.Equal(before, after) {
		t.Error("the history was changed")
	}
}

// TestRestoredPlansAreThePlans: the same bytes, and the same answers from then on.
func TestRestoredPlansAreThePlans(t *testing.T) {
	h := daily(t, "a", day(16, 0))
	p, w := stood(t, h, day(8, 0), day(11, 30))
	text := p.Checkpoint(ref)
	again := NewPlans()
	if err := again.Restore(text, func(fleet.Ref) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Checkpoint(ref), text) {
		t.Error("other bytes")
	}
	for at := day(11, 30); at.Before(day(15, 0)); at = at.Add(7 * time.Minute) {
		if a, b := Judge(w, h, p, priced(), at), Judge(w, h, again, priced(), at); !reflect.DeepEqual(a, b) {
			t.Fatalf("%s: %+v and, restored, %+v", at, a, b)
		}
	}
}

// TestPlansAreKeptUnlessReplaced: what stands is newer than what was saved, unless the history was taken over too.
func TestPlansAreKeptUnlessReplaced(t *testing.T) {
	h := daily(t, "a", day(14, 0))
	old, _ := stood(t, h, day(8, 0), day(9, 0))
	p, _ := stood(t, h, day(8, 0), day(14, 0))
	ours := p.Checkpoint(ref)
	for _, replace := range []bool{false, true} {
		if err := p.Restore(old.Checkpoint(ref), func(r fleet.Ref) bool { return replace && r == ref }); err != nil {
			t.Fatal(err)
		}
		want := ours
		if replace {
			want = old.Checkpoint(ref)
		}
		if !slices.Equal(p.Checkpoint(ref), want) {
			t.Errorf("replaced %t: not what should stand", replace)
		}
	}
}

func TestPlansAreForgottenWithTheirHistory(t *testing.T) {
	h := daily(t, "a", day(14, 0))
	p, _ := stood(t, h, day(8, 0), day(9, 0))
	if p.Forget(h); p.Checkpoint(ref) == nil {
		t.Fatal("forgotten before the history")
	}
	h.Forget(day(20, 0))
	if p.Forget(h); p.Checkpoint(ref) != nil || len(p.workloads) != 0 {
		t.Error("what stood of a workload that is gone is still there")
	}
}

// TestPlansRefuseWhatIsBroken: every truncation and flipped bit; the plans stay as they were.
func TestPlansRefuseWhatIsBroken(t *testing.T) {
	h := daily(t, "a", day(14, 0))
	p, _ := stood(t, h, day(8, 0), day(9, 0))
	data := p.Checkpoint(ref)
	always := func(fleet.Ref) bool { return true }
	for n := range data {
		bad := slices.Clone(data)
		bad[n] ^= 1 << (n % 8)
		if p.Restore(bad, always) == nil || p.Restore(data[:n], always) == nil {
			t.Errorf("a flipped bit of byte %d, or %d bytes, were restored", n, n)
		}
	}
	if !slices.Equal(p.Checkpoint(ref), data) {
		t.Error("the plans were changed")
	}
}

// FuzzRestorePlans: whatever stands between header and checksum is refused or comes back from its own bytes the same.
func FuzzRestorePlans(f *testing.F) {
	h := daily(f, "a", day(14, 0))
	p, _ := stood(f, h, day(8, 0), day(9, 0))
	data := p.Checkpoint(ref)
	f.Add(data[len(plansMagic)+1 : len(data)-crc32.Size])
	f.Fuzz(func(t *testing.T, body []byte) {
		whole := append(append([]byte(plansMagic), plansVersion), body...)
		whole = binary.LittleEndian.AppendUint32(whole, crc32.ChecksumIEEE(whole))
		p := NewPlans()
		if p.Restore(whole, nil) != nil {
			if len(p.workloads) != 0 {
				t.Fatal("a refused checkpoint left something")
			}
			return
		}
		for r := range p.workloads {
			again := NewPlans()
			if err := again.Restore(p.Checkpoint(r), nil); err != nil || !slices.Equal(again.Checkpoint(r), p.Checkpoint(r)) {
				t.Fatalf("its own bytes: %v", err)
			}
		}
	})
}

// TestCheckpointsOfVersion2AreRead: testdata/history-v2.bin was written where what stands was still in the history.
// It is the history of daily until 8:52, with 310 MiB of memory in the last four days, and asks for what it did then.
func TestCheckpointsOfVersion2AreRead(t *testing.T) {
	text, err := os.ReadFile("testdata/history-v2.bin")
	if err != nil {
		t.Fatal(err)
	}
	h := NewHistory()
	if err := h.Restore(text); err != nil {
		t.Fatal(err)
	}
	recs, holds := Recommend(server(1), h, priced(), day(8, 52))
	if len(recs) != 1 || len(holds) != 0 {
		t.Fatalf("%d recommendations, %v", len(recs), holds)
	}
	if got, want := recs[0].Target.Requests[0].Requests, (fleet.Resources{MilliCPU: 826, Memory: 717 << 20}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v is asked for, not %+v", got, want)
	}
	if want := "model-server 825m now (ahead-of-a-rise), 104m from 11:00; 1.07 core-hours a day cheaper than a flat request"; recs[0].Evidence != want {
		t.Errorf("%q", recs[0].Evidence)
	}
}

// TestAUsualMinuteTakesNoHeap: what was said stands, and to find that out takes none.
func TestAUsualMinuteTakesNoHeap(t *testing.T) {
	h, at := daily(t, "a", day(14, 2)), day(14, 2)
	for past := at.Add(-26 * time.Hour); !past.After(at); past = past.Add(5 * time.Minute) {
		feed(t, h, sample(fleet.Memory, "a", past, 300*mib))
	}
	p, w := stood(t, h, day(13, 2), at)
	o := priced()
	Judge(w, h, p, o, at)
	if n := testing.AllocsPerRun(100, func() { Judge(w, h, p, o, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
