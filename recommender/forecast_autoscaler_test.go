package recommender

import (
	"strings"
	"testing"
	"time"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// underHPA is w under an HPA that is set so.
func underHPA(w fleet.Workload, least, most, percent int32) fleet.Workload {
	w.Owners = []fleet.Owner{{Field: "replicas", Kind: "HorizontalPodAutoscaler", Name: "hpa"}}
	w.Autoscaler = fleet.Autoscaler{Name: "hpa", Min: least, Max: most, CPUPercent: percent}
	return w
}

// TestAutoscalerAdviceByHand: 60 requests/s at all times on 3 pods, 20 each, which used 0.05 + 0.2 cores of 0.5.
// One that answers 40 may be filled to 0.85, 34, of which 20 were seen: their 0.25 cores are 50 % (more is not
// reckoned with). 60 at 34 each are 2, and one to lose makes 3 at least. At 80 % an HPA lets each answer 32 and
// runs 2; at 25 %, 10 and 6, which is three more.
func TestAutoscalerAdviceByHand(t *testing.T) {
	for _, c := range []struct {
		name                 string
		least, most, percent int32
		text                 string
		milli                int64 // of replicas that go
	}{
		{"too few", 1, 12, 80, "minReplicas 1 -> 3, maxReplicas 12 -> 3, target 80 % -> 50 % CPU", -1000},
		{"too many", 3, 3, 25, "target 25 % -> 50 % CPU", 0},
		{"free to grow", 3, 9, 25, "maxReplicas 9 -> 3, target 25 % -> 50 % CPU", 3000},
		{"by something else", 2, 3, 0, "minReplicas 2 -> 3", 0},
		{"nearly", 3, 3, 54, "", 0},
	} {
		w := underHPA(server(3), c.least, c.most, c.percent)
		h, o := serving(t, w, noon, 1, flat(60)), foreseeing(Forecast{Capacity: 40, Redundancy: 1})
		if recs, holds := Recommend(w, h, o, noon); len(recs) != 0 || len(holds) != 0 {
			t.Errorf("%s: %+v, %v: an autoscaler's replicas are left to it", c.name, recs, holds)
		}
		got, fine := Advise(w, h, o, Device{}, noon), Fine(w, h, o, noon)
		if c.text == "" {
			if len(got) != 0 || !hasFinding(fine, fleet.ReplicaForecast) {
				t.Errorf("%s: %+v, fine %+v", c.name, got, fine)
			}
			continue
		}
		if len(got) != 1 || got[0].Text != "HPA hpa: "+c.text || got[0].MilliReplicas != c.milli || hasFinding(fine, fleet.ReplicaForecast) {
			t.Errorf("%s: %+v, fine %+v", c.name, got, fine)
		}
	}
}

// TestAutoscalerAdviceOfADay, at night: min for the night's 20, max for the day's 100 with the errors of an autoscaler on
// top. At 21 each, 16 hours of 1 and 8 of 5 are 2.3 on average.
func TestAutoscalerAdviceOfADay(t *testing.T) {
	w := underHPA(server(5), 5, 5, 80)
	h := serving(t, w, day(20, 0), 8, diurnal)
	c := newJudge(w, h, foreseeing(Forecast{Capacity: 25}), day(20, 0))
	s, hold := c.setting()
	if hold != nil || s.want.Min != 1 || s.want.Max < 5 || s.want.Max > 13 || s.Share > replicaFill || s.then < 2.2 || s.then > 2.5 || s.now < 4.9 {
		t.Errorf("%v: %+v, share %v, %v replicas instead of %v", hold, s.want, s.Share, s.then, s.now)
	}
}

// TestAutoscalerAdviceWantsADay: twelve hours of the night say nothing of the most that comes by day.
func TestAutoscalerAdviceWantsADay(t *testing.T) {
	w, o := underHPA(server(5), 1, 5, 80), foreseeing(Forecast{Capacity: 25})
	o.MinHistory = time.Hour
	all := serving(t, w, day(6, 0), 1, diurnal)
	half := NewHistory()
	for m := range 12 * 12 { // from 18:00 on
		for _, p := range w.Pods {
			feed(t, half, fleet.Sample{Ref: ref, Pod: p.Name, Signal: fleet.Requests, At: day(-6, 5*(m+1)), Window: 5 * time.Minute, Mean: 4, N: 5})
		}
	}
	_, holds := Recommend(w, half, o, day(6, 0))
	if len(Advise(w, half, o, Device{}, day(6, 0))) != 0 || !hasHold(holds, fleet.HoldShortHistory) || !strings.Contains(holds[0].Detail, "12 of the 24 hours") {
		t.Errorf("after half a day: %v", holds)
	}
	if len(Advise(w, all, o, Device{}, day(6, 0))) != 1 {
		t.Error("no advice after a day")
	}
}

func TestAutoscalerAdviceSays(t *testing.T) {
	w := underHPA(server(3), 3, 9, 25)
	w.Owners = append(w.Owners, fleet.Owner{Field: "replicas", Kind: "ScaledObject", Name: "so"})
	h := serving(t, w, noon, 1, flat(60))
	got := Advise(w, h, foreseeing(Forecast{Latency: 50 * time.Millisecond}), Device{}, noon)
	if len(got) != 1 || !strings.Contains(got[0].Before, "ScaledObject so writes it") || !strings.Contains(got[0].Before, "no replica was seen at its limit") ||
		!strings.Contains(got[0].Evidence, "60 to 60 requests/s in the hours of the next week, as is usual; a replica answers at least 20 requests/s") {
		t.Errorf("%+v", got)
	}
	_, holds := Recommend(w, h, foreseeing(Forecast{}), noon)
	if !hasHold(holds, fleet.HoldNoMetrics) || len(Advise(w, h, foreseeing(Forecast{}), Device{}, noon)) != 0 {
		t.Errorf("without a capacity: %v", holds)
	}
	o := foreseeing(Forecast{Capacity: 40})
	o.Forecast = nil
	if _, holds := Recommend(w, h, o, noon); !hasHold(holds, fleet.HoldAutoscaler) || len(Advise(w, h, o, Device{}, noon)) != 0 {
		t.Errorf("by the article's rule: %v", holds)
	}
}
