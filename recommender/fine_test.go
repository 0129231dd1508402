package recommender

import (
	"reflect"
	"testing"

	"trimtab.dev/trimtab/optimizer/fleet"
)

// TestFine: why a rule asks for nothing is said with its numbers, and only where it asks for nothing.
func TestFine(t *testing.T) {
	for _, c := range []struct {
		name     string
		pods     int
		cpu, rps float64
		change   func(*fleet.Workload, *Options)
		want     []string
	}{
		// 0.4 cores of 1000m is 40 %; 12 requests a second are not below 10.
		{"both are right", 3, 0.4, 12, nil, []string{
			"model-server used 400m of 1 requested (40 %) in the hottest of 3 replicas, not below 30 %",
			"12 requests/s for each of 3 ready replicas, and below 10 is few"}},
		{"both recommend", 3, 0.1, 1, nil, nil},
		{"at the floor", 2, 0.4, 1, nil, []string{
			"model-server used 400m of 1 requested (40 %) in the hottest of 2 replicas, not below 30 %",
			"1 requests/s for each of 2 ready replicas, and below 10 is few; 2 replicas is the floor of class online"}},
		{"nothing measured", 3, -1, -1, nil, nil},
		{"rules off", 3, 0.4, 12, func(_ *fleet.Workload, o *Options) { o.RightSize, o.ReduceReplicas = false, false }, nil},
		{"rollout", 3, 0.4, 12, func(w *fleet.Workload, _ *Options) { w.RollingOut = true }, nil},
	} {
		w, o := server(c.pods), options()
		o.Floor = 2
		edit(&w, func(k *fleet.Container) { k.Requests.MilliCPU = 1000 })
		if c.change != nil {
			c.change(&w, &o)
		}
		var got []string
		h := measured(t, w, c.cpu, mib, c.rps)
		if c.cpu < 0 {
			h = NewHistory()
		}
		for _, f := range Fine(w, h, o, noon) {
			got = append(got, f.Why)
			if len(f.Steps) == 0 {
				t.Errorf("%s: %s has no steps", c.name, f.Reason)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}
